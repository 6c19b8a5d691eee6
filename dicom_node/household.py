"""Listener, sweep and workers in one go: what `dicom-node up` starts, watches and stops."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.logs import log
from dicom_node.settings.file import ENVIRONMENT_VARIABLE

STOP_SECONDS = 30.0
RESTART_SECONDS = 2.0
MISCONFIGURED = os.EX_CONFIG
HEAD_OF_HOUSEHOLD = "FOURVIEWS_HEAD_OF_HOUSEHOLD"
HOUSEHOLD: tuple[tuple[str, ...], ...] = (
    ("listen",),
    ("work", "--only", "analyze"),
    ("work", "--only", "report", "--only", "deliver"),
)
PAGE = ("page",)  # may fail without taking anybody along

logger = log("household")


def leave_with_the_head() -> None:
    """End when the process that started this one is gone, however it ended.

    A listener left behind by a killed `up` would hold the port against the next one.
    """
    head = os.environ.get(HEAD_OF_HOUSEHOLD)
    if head is None:
        return

    def watch() -> None:
        while os.getppid() == int(head):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="head-of-household", daemon=True).start()


@dataclass
class Member:
    """One process of the household."""

    arguments: tuple[str, ...]
    config: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        """Start the process in a group of its own, so that Ctrl-C reaches it through us alone."""
        command = [sys.executable, "-m", "dicom_node", *self.arguments]
        environment = {
            **os.environ,
            ENVIRONMENT_VARIABLE: str(self.config),
            HEAD_OF_HOUSEHOLD: str(os.getpid()),
        }
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=environment, start_new_session=True
        )
        logger.info("started", what=" ".join(self.arguments), pid=self.process.pid)

    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self.process is None or self.process.poll() is not None

    def stop(self, deadline: float) -> None:
        """Wait for the process to end, and kill its whole group when it does not."""
        assert self.process is not None
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("killed", what=" ".join(self.arguments))
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def keep_house(config: Path, stop: threading.Event, *, with_page: bool = False) -> int:
    """Run all processes until told to stop; start again whichever ends by itself."""
    household = (*HOUSEHOLD, PAGE) if with_page else HOUSEHOLD
    members = [Member(arguments, config) for arguments in household]
    try:
        for member in members:
            member.start()
        while not stop.wait(0.5):
            for member in list(members):
                if member.has_ended() and _ended(member) == MISCONFIGURED:
                    if member.arguments != PAGE:
                        return MISCONFIGURED
                    members.remove(member)
    finally:
        _stop(members)
    return 0


def _ended(member: Member) -> int:
    """Start a process again, unless only the administrator can help; return how it ended."""
    assert member.process is not None
    status = int(member.process.returncode)
    logger.error("ended by itself", what=" ".join(member.arguments), status=status)
    if status != MISCONFIGURED:
        time.sleep(RESTART_SECONDS)
        member.start()
    return status


def _stop(members: Sequence[Member]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    running = [member for member in members if not member.has_ended()]
    for member in running:
        assert member.process is not None
        member.process.send_signal(signal.SIGTERM)
    for member in running:
        member.stop(deadline)
    logger.info("all stopped")
