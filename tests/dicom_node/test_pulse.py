"""Who hangs is ended, and nobody else; who ends is started again, later each time."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node import household, pulse
from dicom_node.household import BUSY, Member
from dicom_node.pulse import Watch


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def says(watch: Watch, pid: int, began: float = 0.0) -> None:
    os.write(watch.ends[1], pulse._SIGN.pack(pid, began))
    watch.look()


def watching(**how: float) -> tuple[Watch, list[str]]:
    told: list[str] = []
    watch = Watch(how.pop("silent_seconds", 100.0), told=lambda _, why: told.append(why), **how)
    os.set_blocking(watch.ends[0], False)
    return watch, told


def test_who_has_fallen_silent_is_ended(sleeper: "subprocess.Popen[bytes]") -> None:
    watch, told = watching(silent_seconds=0.1)
    os.kill(sleeper.pid, signal.SIGSTOP)
    says(watch, sleeper.pid)
    assert sleeper.poll() is None
    time.sleep(0.2)
    watch.look()
    assert sleeper.wait(60) == -signal.SIGKILL
    assert told == ["no sign of life for 0 s"]


def test_trouble_with_telling_saves_nobody_and_ends_no_watch(
    sleeper: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot_be_told(_pid: int, _why: str) -> None:
        raise RuntimeError("the log is gone")

    monkeypatch.setattr(pulse, "BEAT_SECONDS", 0.05)
    watch = Watch(0.1, told=cannot_be_told)
    watch.begin()
    with subprocess.Popen(["sleep", "60"]) as another:
        for process in (sleeper, another):
            os.write(watch.ends[1], pulse._SIGN.pack(process.pid, 0.0))
            assert process.wait(60) == -signal.SIGKILL


def test_a_turn_that_takes_too_long_is_ended(sleeper: "subprocess.Popen[bytes]") -> None:
    watch, told = watching(turn_seconds=100.0)
    says(watch, sleeper.pid, time.monotonic() - 95)
    assert not told
    says(watch, sleeper.pid, time.monotonic() - 116)
    assert sleeper.wait(60) == -signal.SIGKILL
    assert told == ["one turn took more than 100 s"]


def test_a_turn_that_can_be_interrupted_ends_with_an_error_that_tells_where() -> None:
    told = Watch(100.0, turn_seconds=0.5).pulse()
    with pytest.raises(TimeoutError), told.turn():
        time.sleep(30)
    with told.turn():
        pass
    time.sleep(0.6)  # nothing rings after the turn
    assert told.began < 0  # it rests, and says since which turn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    at = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    return at


def test_rings_that_wait_while_everybody_rests_are_not_heard(clock: list[float]) -> None:
    deaf: list[float] = []
    resting, waiting = [(-900.0,)], [1]
    hearing = pulse.Hearing(
        lambda: waiting[0], lambda: resting[0], lambda: deaf.append(clock[0]), looked=clock[0]
    )

    def pass_(seconds: float) -> None:
        for _ in range(round(seconds / pulse.LISTEN_SECONDS)):
            clock[0] += pulse.LISTEN_SECONDS
            hearing.look()

    almost = pulse.DEAF_SECONDS
    pass_(almost)
    assert not deaf
    resting[0] = (-1050.0,)  # a turn has come and gone: it hears
    pass_(almost)
    resting[0] = ()  # one is at a turn, or not ready for the first
    pass_(300)
    waiting[0], resting[0] = 0, (-1200.0,)
    pass_(300)
    assert not deaf
    waiting[0] = 3
    pass_(almost)
    clock[0] += 3600  # the machine slept, which is nobody's fault
    hearing.look()
    pass_(almost)
    assert not deaf
    pass_(10)
    assert len(deaf) == 1


def test_who_rests_says_since_which_turn_and_who_is_not_ready_does_not_rest(
    sleeper: "subprocess.Popen[bytes]",
) -> None:
    watch, _ = watching()
    assert watch.rests() == ()
    says(watch, sleeper.pid, 0.0)
    assert watch.rests() == ()
    says(watch, sleeper.pid, 7.0)
    assert watch.rests() == ()
    says(watch, sleeper.pid, -7.0)
    assert watch.rests() == (-7.0,)


def test_a_number_that_is_another_process_by_now_is_left_alone() -> None:
    watch, told = watching(silent_seconds=0.0)
    says(watch, os.getppid())
    time.sleep(0.01)
    watch.look()
    assert not told
    assert not watch.heard


def test_who_slept_blames_nobody_for_silence(
    sleeper: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, told = watching(silent_seconds=20.0)
    says(watch, sleeper.pid)
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    watch.look()
    assert not told


class Ended:
    """A process that ended."""

    pid = 1 << 30  # nobody's

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode

    def poll(self) -> int:
        return self.returncode

    def wait(self) -> int:
        return self.returncode


def waits(clock: list[float], status: int, times: int, *, lived: float = 1.0) -> list[float]:
    """Let a member end so often, and say how long each next start is put off."""
    member, waited = Member(("listen",), Path("node.toml"), 0), list[float]()
    for _ in range(times):
        member.process = Ended(status)  # type: ignore[assignment]
        member.started_at, member.due_at = clock[0] - lived, None
        assert member.look() == status
        assert member.due_at is not None
        waited.append(round(member.due_at - clock[0], 1))
    return waited


def test_who_ends_at_its_start_is_started_again_later_each_time(clock: list[float]) -> None:
    assert waits(clock, 1, 9) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_who_was_killed_or_lived_for_long_is_started_again_at_once(clock: list[float]) -> None:
    assert waits(clock, -signal.SIGKILL, 3) == [0.5, 0.5, 0.5]
    assert waits(clock, 1, 3, lived=household.SETTLED_SECONDS + 1) == [0.5, 0.5, 0.5]


def test_who_waits_for_a_database_does_not_wait_long(clock: list[float]) -> None:
    assert waits(clock, BUSY, 6) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
