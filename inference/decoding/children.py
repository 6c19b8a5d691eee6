"""Children that decode, as many as there are cores: warm, and each within limits of its own.

Whoever takes too much memory or time is ended, and another one takes its place. They are programs
of their own and no forks: a fork of a process in which torch computes would hang, and Celery's
workers may have no children of the usual kind.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from inference.errors import Unreadable

if TYPE_CHECKING:
    from inference.decoding.pixels import Layout

# What decoders take beside the pixels themselves: measured at five times their bytes, at most.
_TIMES_THE_PIXELS, _LEAST_BYTES = 7, 32 << 20
_KEPT_BYTES = 64 << 20  # of shared memory between two images: new memory has to be cleared first
_ROOM_BYTES = 768 << 20  # for all children together: larger images wait for each other
_CPU_SECONDS, _CPU_SECONDS_A_MEGAPIXEL = 5.0, 0.75
_PATIENCE = 3.0  # of the clock on the wall, for each second of work: others want the cores, too
_HEADER_BYTES, _HEADER_SECONDS = 64 << 20, 8.0
_START_SECONDS = 60.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SYSTEMROOT")
Result = TypeVar("Result")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class _Gone(Exception):
    """Say that a child came to an end over what it was asked for."""


class _Killed(_Gone):
    """Say that somebody else ended it: a machine without memory, or a person; not the image."""


class _Child:
    """One process that decodes, and the memory that it shares with this one."""

    def __init__(self) -> None:
        self.shared = os.memfd_create("pixels")
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "inference.decoding.child", str(self.shared)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(self.shared,),
            env=_environment(),
            start_new_session=True,
        )
        self.ready = False

    def ask(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Send a wish and wait for the answer, no longer than it may take."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        wish["seconds"] = int(_PATIENCE * wish["cpu_seconds"]) + 1
        patience = wish["seconds"] + 1.0 + (0.0 if self.ready else _START_SECONDS)
        try:
            self.process.stdin.write(json.dumps(wish).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError as fault:
            raise self._how_it_ended() from fault
        with DefaultSelector() as selector:
            selector.register(self.process.stdout, EVENT_READ)
            if not selector.select(patience):
                raise _Gone
        answer = self.process.stdout.readline()
        if not answer.endswith(b"\n"):
            raise self._how_it_ended()
        self.ready = True
        told: dict[str, Any] = json.loads(answer)
        return told

    def _how_it_ended(self) -> _Gone:
        """Tell its own limits, whose signals are others, from a kill that came from outside."""
        try:
            status = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return _Gone()
        return _Killed() if status == -signal.SIGKILL else _Gone()

    def end(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        os.close(self.shared)


def _environment() -> dict[str, str]:
    """Give a child what it needs to find its modules, and none of our secrets."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    places = [str(Path(place).absolute()) for place in sys.path if place]
    return {
        **kept,
        **dict.fromkeys(_ONE_THREAD, "1"),
        "PYTHONPATH": os.pathsep.join(places),
        "MALLOC_ARENA_MAX": "1",
    }


@dataclass
class _Children:
    """The children of this process: those at rest, and how much the others may take."""

    idle: list[_Child] = field(default_factory=list)
    all: set[_Child] = field(default_factory=set)
    places: dict[object, int] = field(default_factory=dict)  # that are taken: room, in bytes
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        """Wait with the lock itself: a Condition's own `with` can be interrupted and keep it."""
        self.changed = threading.Condition(self.lock)

    @contextmanager
    def one(self, room_bytes: int) -> Iterator[_Child]:
        """Lend a child, once there is room for what it may take.

        A turn that takes too long is interrupted wherever it is, also between two lines of this.
        """
        place = object()
        try:
            yield from self._lent(place, room_bytes)
        finally:  # a second time, for whom was interrupted as it left
            self._leave(place)

    def _lent(self, place: object, room_bytes: int) -> Iterator[_Child]:
        child = None
        try:
            with self.lock:
                self.changed.wait_for(lambda: self._room(room_bytes))
                self.places[place] = room_bytes
                if self.idle:
                    child = self.idle[-1]
                    del self.idle[-1]
            if child is None or child.process.poll() is not None:
                child = self._replaced(child)
            yield child
            self._rest(child)
        except Unreadable:  # the image's fault and not the child's
            self._rest(child)
            raise
        except BaseException:
            if child is not None:
                self._forget(child)
            raise
        finally:
            self._leave(place)

    def _leave(self, place: object) -> None:
        with self.lock:
            self.places.pop(place, None)
            self.changed.notify_all()

    def _rest(self, child: _Child | None) -> None:
        assert child is not None
        if os.fstat(child.shared).st_size > _KEPT_BYTES:
            os.ftruncate(child.shared, 0)
        with self.lock:
            self.idle.append(child)

    def _room(self, room_bytes: int) -> bool:
        if len(self.places) >= cores():
            return False
        return not self.places or sum(self.places.values()) + room_bytes <= _ROOM_BYTES

    def _replaced(self, former: _Child | None) -> _Child:
        if former is not None:
            self._forget(former)
        child = _Child()
        with self.lock:
            self.all.add(child)
        return child

    def _forget(self, child: _Child) -> None:
        with self.lock:
            if child not in self.all:
                return
            self.all.remove(child)
        child.end()

    def end(self) -> None:
        """End all children."""
        for child in list(self.all):
            self._forget(child)
        self.idle.clear()


_OURS = _Children()


def _begin_anew() -> None:
    """Leave the children to the process that has them: this one is its fork."""
    _OURS.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_OURS.end)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def decoded(stream: bytes, layout: "Layout") -> NDArray[np.integer]:
    """Let a child decode a code stream whose size is the header's."""
    room = _LEAST_BYTES + _TIMES_THE_PIXELS * layout.rows * layout.columns * 2
    wish = {
        "do": "decode",
        **layout._asdict(),
        "stream_bytes": len(stream),
        "memory_bytes": room + 2 * len(stream),
        "cpu_seconds": _CPU_SECONDS
        + _CPU_SECONDS_A_MEGAPIXEL * layout.rows * layout.columns / 1_000_000,
    }

    def decode() -> NDArray[np.integer]:
        with _OURS.one(room) as child:
            _write(child.shared, stream)
            answer = _told(child.ask(wish))
            pixels = np.empty(answer["shape"], dtype=answer["dtype"])
            if pixels.shape != (layout.rows, layout.columns):
                raise Unreadable(
                    f"the pixels have the shape {pixels.shape}: expected rows and columns"
                )
            _read(child.shared, pixels)
            return pixels

    try:
        return _again_if_killed(decode)
    except _Gone as fault:
        raise Unreadable(
            "the pixels cannot be decoded: that took more memory or time than such an image may"
        ) from fault


def tried(path: Path, most_bytes: int) -> None:
    """Let a child read a large header first: if that is too much for it, it is for us."""
    wish = {
        "do": "try",
        "path": str(path.absolute()),
        "most_bytes": most_bytes,
        "memory_bytes": _HEADER_BYTES,
        "cpu_seconds": _HEADER_SECONDS,
    }

    def read() -> None:
        with _OURS.one(_HEADER_BYTES) as child:
            _told(child.ask(wish), "the header cannot be read")

    try:
        _again_if_killed(read)
    except _Gone as fault:
        raise Unreadable(
            "the header cannot be read: that took more memory or time than a header may"
        ) from fault


def _again_if_killed(work: Callable[[], Result]) -> Result:
    """Do it once more where the child was killed from outside; an image that does it twice ends."""
    try:
        return work()
    except _Killed:
        return work()


def _told(answer: dict[str, Any], what: str = "the pixels cannot be decoded") -> dict[str, Any]:
    """Raise what a child says was wrong; of a library's fault it tells the kind alone."""
    if sentence := answer.get("sentence"):
        raise Unreadable(sentence)
    if fault := answer.get("fault"):
        if fault == "memory":
            raise Unreadable(f"{what}: that took more memory than is allowed for")
        raise Unreadable(f"{what} ({fault})")
    return answer


def _write(place: int, content: bytes) -> None:
    rest, at = memoryview(content), 0
    while rest:
        some = os.pwrite(place, rest, at)
        rest, at = rest[some:], at + some


def _read(place: int, pixels: NDArray[np.integer]) -> None:
    rest, at = pixels.data.cast("B"), 0
    while rest:
        some = os.preadv(place, [rest], at)
        if not some:
            raise _Gone
        rest, at = rest[some:], at + some
