"""How much memory a tree of processes takes, looked at again and again."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


def tree(roots: Iterable[int]) -> set[int]:
    """List processes with all that they started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            words = stat.read_text(errors="replace").rpartition(")")[2].split()
            children.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found, left = set[int](), list(roots)
    while left:
        pid = left.pop()
        found.add(pid)
        left += [child for child in children.get(pid, []) if child not in found]
    return found


def bytes_of(pids: Iterable[int]) -> int:
    """Add up what processes have of their own, and what they share through unnamed files."""
    return sum(_own_bytes(pid) for pid in pids)


def _own_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        own = sum(
            int(line.split()[1]) * 1024
            for line in status.splitlines()
            if line.startswith(("RssAnon:", "RssShmem:"))
        )
    except OSError:
        return 0
    return own + sum(_shared(place) for place in _places(pid))


def _places(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def _shared(place: Path) -> int:
    with suppress(OSError):
        if "memfd:" in str(place.readlink()):
            return place.stat().st_blocks * 512
    return 0


@dataclass
class Watched:
    """The most that was seen, and what there was at the beginning."""

    before: int
    most: int

    @property
    def growth_mib(self) -> float:
        """Return by how much it grew at most."""
        return (self.most - self.before) / (1 << 20)


@contextmanager
def watched(roots: Iterable[int], every_seconds: float = 0.1) -> Iterator[Watched]:
    """Watch the trees of some processes while the block runs."""
    roots = list(roots)
    before = bytes_of(tree(roots))
    seen, stop = Watched(before, before), threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.most = max(seen.most, bytes_of(tree(roots)))
            time.sleep(every_seconds)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield seen
    finally:
        stop.set()
        looking.join()
