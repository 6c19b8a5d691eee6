"""A node as an administrator runs it: `dicom-node` processes with a settings file of their own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dcmtk import echoscu
from free_ports import free_port
from private_process import program

from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case
from dicom_node.life import State
from dicom_node.settings.file import Settings, load_settings
from dicom_node.wiring import Node

PATIENCE_SECONDS = 300.0
ENDS = frozenset({State.DELIVERED, State.DECLINED, State.FAILED})


@dataclass(frozen=True)
class Pacs:
    """Where results go."""

    name: str
    ae_title: str
    port: int
    objects: tuple[str, ...] = ("cad_sr", "measurement_report", "segmentation")
    wishes: tuple[str, ...] = ()  # further lines of its settings
    timeout_seconds: float = 30.0  # for who answers, be the machine ever so busy


def settings_text(  # noqa: PLR0913 - what journeys vary
    folder: Path,
    port: int,
    destinations: Sequence[Pacs],
    *,
    database: str = "",
    broker: str = "",
    return_port: int | None = None,
    retry_seconds: Sequence[float] = (1.0, 2.0),
    probe_seconds: float = 1.0,
    bundle: str | Sequence[str] = "shared_trunk_phantom",
) -> str:
    """Write a settings file with the short waits of a test."""
    lines = [
        "[node]",
        f'data = "{folder / "data"}"',
        f'database = "{database}"',
        f'broker = "{broker}"',
        "[receiving]",
        f"port = {port}",
        "reserve_megabytes = 50",
        "grace_seconds = 1.0",
        "quiet_seconds = 4.0",
        "cap_seconds = 60.0",
        "[[receiving.callers]]",
        'ae_title = "STORESCU"',
        'addresses = ["127.0.0.1"]',
        f"return_port = {return_port or 104}",
        "[[receiving.callers]]",
        'ae_title = "FOURVIEWS_SEND"',
        "[analyzing]",
        f"bundle = {json.dumps(bundle)}",
        "threads = 1",
        "[delivering]",
        f"retry_seconds = {list(retry_seconds)}",
        f"probe_seconds = {probe_seconds}",
        "[watching]",
        "sweep_seconds = 1.0",
        "lease_seconds = 3.0",
    ]
    for one in destinations:
        lines += [
            "[[delivering.destinations]]",
            f'name = "{one.name}"',
            f'ae_title = "{one.ae_title}"',
            'host = "127.0.0.1"',
            f"port = {one.port}",
            f"objects = {list(one.objects)}",
            f"timeout_seconds = {one.timeout_seconds}",
            *one.wishes,
        ]
    if return_port is not None:
        lines += ["[[delivering.destinations]]", 'name = "sender"', "return_to_sender = true"]
    return "\n".join(lines) + "\n"


@dataclass
class RunningNode:
    """The processes of one node, and what may be asked of its ledger."""

    folder: Path
    config: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)  # of its processes, besides ours

    @property
    def settings(self) -> Settings:
        """Read the settings as the node does."""
        return load_settings(self.config)

    @property
    def port(self) -> int:
        """Say where it listens."""
        return self.settings.receiving.port

    @cached_property
    def node(self) -> Node:
        """Open the same ledger and spool as its processes."""
        return Node(self.settings)

    @property
    def questions(self) -> Questions:
        """Ask its ledger."""
        return self.node.questions

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of this node to its end."""
        return subprocess.run(
            [sys.executable, "-m", "dicom_node", *arguments],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> None:
        """Start a command that goes on."""
        until_death = [program("setpriv"), "--pdeathsig", "TERM", "--"]  # of the test run
        with (self.folder / "node.log").open("ab") as log:
            self.processes[" ".join(arguments)] = subprocess.Popen(
                [*until_death, sys.executable, "-m", "dicom_node", *arguments],
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, *arguments: str) -> None:
        """End a process and its children as a power cut would."""
        process = self.processes.pop(" ".join(arguments))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """Stop everything cleanly; kill what does not stop."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def log(self) -> str:
        """Return what its processes said."""
        path = self.folder / "node.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_until(self, true: Callable[[], object], what: str) -> None:
        """Wait for a condition, and fail with the node's last words."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"never {what}; the node's log:\n{self.log()[-4000:]}")
            time.sleep(0.05)

    def wait_until_listening(self) -> None:
        """Wait for the listener."""
        self.wait_until(lambda: echoscu(self.port, calling="STORESCU").returncode == 0, "listening")

    def case(self, study_uid: str, round_: int = 1) -> Case | None:
        """Return one round of a study."""
        cases = self.questions.cases_of(study_uid)
        return next((case for case in cases if case.round == round_), None)

    def wait_for_end(self, study_uid: str, round_: int = 1) -> Case:
        """Wait until a round has come to an end, and return it so: it is told of next."""
        seen: list[Case] = []

        def ended() -> bool:
            case = self.case(study_uid, round_)
            if case is not None and case.state in ENDS:
                seen.append(case)
            return bool(seen)

        self.wait_until(ended, f"round {round_} of {study_uid} at its end")
        return seen[0]

    def wait_for_state(self, study_uid: str, state: State) -> None:
        """Wait until the first round is in a state, looking as often as can be."""
        questions = self.questions
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(case.state == state for case in questions.cases_of(study_uid)):
            assert time.monotonic() < deadline, f"never {state}:\n{self.log()[-4000:]}"
            time.sleep(0.001)

    def _environment(self) -> Mapping[str, str]:
        own = {"FOURVIEWS_CONFIG": str(self.config), "OMP_NUM_THREADS": "1"}
        return {**os.environ, **own, **self.environment}


@contextmanager
def running_node(
    folder: Path, destinations: Sequence[Pacs], **wishes: object
) -> Iterator[RunningNode]:
    """Make a node in a folder; nothing runs yet; everything is stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "node.toml"
    text = settings_text(folder, free_port(), destinations, **wishes)  # type: ignore[arg-type]
    config.write_text(text, encoding="utf-8")
    node = RunningNode(folder, config)
    try:
        yield node
    finally:
        node.stop()
        node.node.engine.dispose()


def sqlite_bytes(node: RunningNode) -> bytes:
    """Return everything that the embedded ledger holds, as bytes."""
    path = node.settings.data / "ledger.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()
