"""Signs of life: whoever works gives one each second; whoever watches ends what has fallen silent.

A killed process is missed by its parent at once. One that hangs or was stopped is not: it holds its
place for ever. So it has to say that it lives, and since when it has been at the same turn.
"""

import os
import signal
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.errors import told
from dicom_node.logs import log

BEAT_SECONDS = 1.0
NAP_SECONDS = 5.0
LISTEN_SECONDS = 5.0
DEAF_SECONDS = 20.0  # that rings may wait while whoever is to answer them rests
GRACE_SECONDS = 15.0  # between the error that ends a turn and the end of its process
# Who; and since when it is at this turn. Where it rests, when its last turn began, below zero; 0
# where it has not been ready for one yet.
_SIGN = struct.Struct("<id")

logger = log("pulse")


@dataclass
class Pulse:
    """What a process says of itself, again and again, until it ends."""

    place: int  # the end of a pipe that is written to
    turn_seconds: float = 0.0  # after which a turn ends with an error; 0: never
    began: float = 0.0

    def begin(self) -> None:
        """Give signs of life from now on."""
        threading.Thread(target=self._beat, name="pulse", daemon=True).start()

    def _beat(self) -> None:
        with suppress(OSError):  # nobody watches any more
            while True:
                os.write(self.place, _SIGN.pack(os.getpid(), self.began))
                time.sleep(BEAT_SECONDS)

    def ready(self) -> None:
        """Say that the first turn may come."""
        self.began = -time.monotonic()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Say that a turn has begun, and that it has ended; in the main thread.

        One that takes too long is interrupted, which tells where it was. What cannot be interrupted
        is ended by the watch a little later.
        """
        self.began = time.monotonic()
        signal.signal(signal.SIGALRM, _too_long)
        signal.setitimer(signal.ITIMER_REAL, self.turn_seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.began = -self.began


@dataclass
class Watch:
    """Listen to the signs of life of one's children, and end those that give none."""

    silent_seconds: float
    turn_seconds: float = 0.0  # that a turn may take; 0: as long as it likes
    told: Callable[[int, str], None] = lambda _pid, _why: None
    ends: tuple[int, int] = field(default_factory=os.pipe)
    heard: dict[int, tuple[float, float]] = field(default_factory=dict)  # when, and its turn
    looked: float = field(default_factory=time.monotonic)

    def pulse(self) -> Pulse:
        """Return what a child speaks through; it is made before the child is."""
        return Pulse(self.ends[1], self.turn_seconds)

    def begin(self) -> None:
        """Watch from now on."""
        os.set_blocking(self.ends[0], False)
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception as fault:  # noqa: BLE001 - whoever hangs later is to be ended still
                logger.error("fault of the watch", why=told(fault))
            time.sleep(BEAT_SECONDS)

    def look(self) -> None:
        """Hear what was said, and end whoever is overdue."""
        now = time.monotonic()
        if now - self.looked > NAP_SECONDS:  # who slept heard nothing, and that is nobody's fault
            self.heard = {pid: (now, began) for pid, (_, began) in self.heard.items()}
        self.looked = now
        with suppress(BlockingIOError):
            while said := os.read(self.ends[0], _SIGN.size * 64):
                for pid, began in _SIGN.iter_unpack(said):
                    self.heard[pid] = (now, began)
        for pid, (last, began) in list(self.heard.items()):
            if not is_child(pid):
                del self.heard[pid]
            elif now - last > self.silent_seconds:
                self._end(pid, f"no sign of life for {self.silent_seconds:.0f} s")
            elif 0 < self.turn_seconds < now - began - GRACE_SECONDS and began > 0:
                self._end(pid, f"one turn took more than {self.turn_seconds:.0f} s")

    def rests(self) -> tuple[float, ...]:
        """Return when the last turn of each child began, if all of them rest."""
        turns = tuple(began for _, began in list(self.heard.values()))
        return turns if turns and max(turns) < 0 else ()

    def _end(self, pid: int, why: str) -> None:
        del self.heard[pid]
        try:
            self.told(pid, why)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Hearing:
    """Notice that rings wait, and nobody who rests comes: the queue is not heard any more.

    Celery sometimes finds a lost broker again and then takes nothing from it, without a word
    (celery/celery issues 8030 and 10302). Whoever starts the worker again cures that.
    """

    waiting: Callable[[], int]
    rests: Callable[[], tuple[float, ...]]
    deaf: Callable[[], None]
    resting: tuple[float, ...] = ()
    since: float = 0.0
    looked: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """Listen from now on."""
        threading.Thread(target=self._listen, name="hearing", daemon=True).start()

    def _listen(self) -> None:
        while True:
            time.sleep(LISTEN_SECONDS)
            try:
                self.look()
            except Exception as fault:  # noqa: BLE001 - it is to be noticed later still
                logger.error("fault of the hearing", why=told(fault))

    def look(self) -> None:
        """See whether anything waits, and whether a turn has begun since it does."""
        now = time.monotonic()
        slept = now - self.looked > LISTEN_SECONDS + NAP_SECONDS
        self.looked = now
        resting = self.rests()
        if slept or not resting or resting != self.resting or not self.waiting():
            self.resting, self.since = resting, now
        elif now - self.since > DEAF_SECONDS:
            self.since = now
            self.deaf()


def _too_long(*_: object) -> None:
    raise TimeoutError


def is_child(pid: int) -> bool:
    """Say whether a process is there, and ours: a number is soon another's."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return int(stat.rpartition(")")[2].split()[1]) == os.getpid()


def end_with_parent() -> None:
    """End this process at once when its parent is gone, however that ended.

    The kernel could see to it (PR_SET_PDEATHSIG), but means the thread that forked: Celery ends
    that one before its workers have finished what they are at.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(BEAT_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def goes_before_the_listener() -> None:
    """Where the machine runs out of memory, let the kernel end this process and not the listener.

    What a worker was at is read again; what a listener was sent has to be sent again.
    """
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("300", encoding="ascii")
