"""What a process and its children hold: memory, threads, open files."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Vitals:
    """What is held at one moment, all processes of a family together."""

    megabytes: float
    peak_megabytes: float
    threads: int
    files: int


def vitals(pid: int) -> Vitals:
    """Look at a process and at all that come of it."""
    found = [one for one in family(pid) if (PROC / str(one)).exists()]
    said = [_status(one) for one in found]
    return Vitals(
        megabytes=sum(int(one.get("VmRSS", 0)) for one in said) / 1024,
        peak_megabytes=sum(int(one.get("VmHWM", 0)) for one in said) / 1024,
        threads=sum(int(one.get("Threads", 0)) for one in said),
        files=sum(len(_files(one)) for one in found),
    )


def family(pid: int) -> Iterator[int]:
    """List a process and its descendants."""
    yield pid
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    yield from family(int(child))


def forget_peak(pid: int) -> None:
    """Let the peak of the memory begin anew at what is held now."""
    for one in family(pid):
        (PROC / str(one) / "clear_refs").write_text("5")


def settled(pid: int, least: Vitals, seconds: float = 60.0) -> Vitals:
    """Wait until no more threads and files are held than before, or as long as that may take."""
    deadline = time.monotonic() + seconds
    while True:
        now = vitals(pid)
        if now.threads <= least.threads and now.files <= least.files:
            return now
        if time.monotonic() > deadline:
            return now
        time.sleep(0.1)


def processor_seconds(pid: int) -> float:
    """Say how long a process and its children have computed."""
    ticks = 0
    for one in family(pid):
        with suppress(OSError):
            words = (PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(words[11]) + int(words[12])
    return ticks / 100


def _status(pid: int) -> dict[str, str]:
    with suppress(OSError):
        pairs = [line.split() for line in (PROC / str(pid) / "status").read_text().splitlines()]
        return {pair[0].rstrip(":"): pair[1] for pair in pairs if len(pair) > 1}
    return {}


def _files(pid: int) -> list[str]:
    """List what is open, but the embedded database, of whose connections a pool keeps some."""
    found: list[str] = []
    with suppress(OSError):
        for one in (PROC / str(pid) / "fd").iterdir():
            with suppress(OSError):
                found.append(str(one.readlink()))
    return [one for one in found if "ledger.sqlite" not in one]
