"""Listener, sweep and workers in one go: what `dicom-node up` starts, watches and stops."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dicom_node.logs import log
from dicom_node.pulse import Pulse, Watch
from dicom_node.settings.file import ENVIRONMENT_VARIABLE

STOP_SECONDS = 30.0
SILENT_SECONDS = 30.0  # a member that has given no sign of life for so long hangs
SOON_SECONDS, LATE_SECONDS = 0.5, 60.0  # before one that ended is started again
SETTLED_SECONDS = 60.0  # who lived so long ended for another reason than at its start
MISCONFIGURED, BUSY = os.EX_CONFIG, os.EX_TEMPFAIL
BUSY_SECONDS = 5.0  # a database that comes back is not to wait for us
LOOK_SECONDS = 0.25
HEAD_OF_HOUSEHOLD = "FOURVIEWS_HEAD_OF_HOUSEHOLD"
PULSE = "FOURVIEWS_PULSE"
HOUSEHOLD: tuple[tuple[str, ...], ...] = (
    ("listen",),
    ("work", "--only", "analyze"),
    ("work", "--only", "report", "--only", "deliver"),
)
PAGE = ("page",)  # may fail without taking anybody along

logger = log("household")


def leave_with_the_head() -> None:
    """End when the process that started this one is gone, however it ended; and say that one lives.

    A listener left behind by a killed `up` would hold the port against the next one.
    """
    head = os.environ.get(HEAD_OF_HOUSEHOLD)
    if head is None:
        return
    Pulse(int(os.environ[PULSE])).begin()

    def watch() -> None:
        while os.getppid() == int(head):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        if os.getpgrp() == os.getpid():  # with whatever keeps it from ending
            os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="head-of-household", daemon=True).start()


@dataclass
class Member:
    """One process of the household."""

    arguments: tuple[str, ...]
    config: Path
    pulse: int  # the end of a pipe through which it says that it lives
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    due_at: float | None = None  # when it is started again; None while it runs
    wait_seconds: float = SOON_SECONDS
    renews: bool = False  # told to end, to be started again at once

    @property
    def name(self) -> str:
        """Name it as one would start it."""
        return " ".join(self.arguments)

    @property
    def _hears_of_settings(self) -> bool:
        return "listen" in self.arguments

    def start(self) -> None:
        """Start the process in a group of its own, so that Ctrl-C reaches it through us alone."""
        command = [sys.executable, "-m", "dicom_node", *self.arguments]
        environment = {
            **os.environ,
            ENVIRONMENT_VARIABLE: str(self.config),
            HEAD_OF_HOUSEHOLD: str(os.getpid()),
            PULSE: str(self.pulse),
        }
        self.renews = False
        # SIGHUP would end a listener that cannot hear it yet: it waits until that one asks for it.
        waits = {signal.SIGHUP} if self._hears_of_settings else set()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, waits)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command, env=environment, start_new_session=True, pass_fds=(self.pulse,)
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.started_at, self.due_at = time.monotonic(), None
        logger.info("started", what=self.name, pid=self.process.pid)

    def look(self) -> int | None:
        """Start it again where it ended and its time has come; say how it ended, once."""
        if self.due_at is not None:
            if time.monotonic() >= self.due_at:
                self._start_again()
            return None
        if not self.has_ended():
            return None
        assert self.process is not None
        status = int(self.process.returncode)
        self.kill_all()  # whoever it left behind
        if self.renews:
            self._start_again()
            return None
        seconds = self._wait_after(status)
        self.due_at = time.monotonic() + seconds
        logger.error("ended by itself", what=self.name, status=status, again_in_seconds=seconds)
        return status

    def _start_again(self) -> None:
        """Start it, or try later: a machine without memory is no reason to stop the others."""
        try:
            self.start()
        except OSError as trouble:
            logger.error("cannot be started", what=self.name, why=trouble.strerror)
            self.due_at = time.monotonic() + BUSY_SECONDS

    def _wait_after(self, status: int) -> float:
        """Wait longer each time that it ends soon; not where something from outside killed it."""
        lived = time.monotonic() - self.started_at
        if status == -signal.SIGKILL or lived > SETTLED_SECONDS:
            self.wait_seconds = SOON_SECONDS
            return SOON_SECONDS
        seconds = min(self.wait_seconds, BUSY_SECONDS if status == BUSY else LATE_SECONDS)
        self.wait_seconds = min(2 * self.wait_seconds, LATE_SECONDS)
        return seconds

    def tell(self) -> None:
        """Let a listener read its settings again; any other process is started anew."""
        if self.process is None or self.has_ended():
            return
        self.renews = not self._hears_of_settings
        self.process.send_signal(signal.SIGTERM if self.renews else signal.SIGHUP)

    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self.process is None or self.process.poll() is not None

    def stop(self, deadline: float) -> None:
        """Wait for the process to end, and kill its whole group when it does not."""
        assert self.process is not None
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            logger.warning("killed", what=self.name)
            self.kill_all()

    def kill_all(self) -> None:
        """End the process and what it started."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def keep_house(
    config: Path, stop: threading.Event, tell: threading.Event, *, with_page: bool = False
) -> int:
    """Run all processes until told to stop; start again whichever ends by itself, or hangs.

    `tell` lets those that can read their settings again.
    """
    return _keep((*HOUSEHOLD, PAGE) if with_page else HOUSEHOLD, config, stop, tell)


def keep_listeners(config: Path, count: int, stop: threading.Event, tell: threading.Event) -> int:
    """Run several listeners on one port, and start again whichever ends by itself, or hangs."""
    numbers = range(1, count + 1)
    return _keep([("listen", "--number", str(number)) for number in numbers], config, stop, tell)


def _keep(
    household: Sequence[tuple[str, ...]],
    config: Path,
    stop: threading.Event,
    tell: threading.Event,
) -> int:
    watch = Watch(SILENT_SECONDS, told=_hangs)
    members = [Member(arguments, config, watch.ends[1]) for arguments in household]
    try:
        for member in members:
            member.start()
        watch.begin()
        while not stop.wait(LOOK_SECONDS):
            told = tell.is_set()
            tell.clear()
            for member in list(members):
                if told:
                    member.tell()
                if member.look() == MISCONFIGURED:
                    if member.arguments != PAGE:
                        return MISCONFIGURED
                    members.remove(member)
    finally:
        _stop(members)
    return 0


def _hangs(pid: int, why: str) -> None:
    logger.error("ended a process that hangs", pid=pid, why=why)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # with what it started; the watch ends the process itself


def _stop(members: Sequence[Member]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    running = [member for member in members if not member.has_ended()]
    for member in running:
        assert member.process is not None
        member.process.send_signal(signal.SIGTERM)
    for member in running:
        member.stop(deadline)
    logger.info("all stopped")
