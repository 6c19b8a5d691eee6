"""Somebody sets the clock while studies are on their way, by an hour and by a year, both ways."""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from dcmtk import storescu
from running_node import Pacs, RunningNode, running_node
from set_clock import SetClock
from slow_pacs import SlowPacs, slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

HOUR, YEAR = 3600, 365 * 86400
JUMPS = (HOUR, -YEAR, 2 * YEAR, -HOUR)


def send(node: RunningNode, folder: Path, name: str) -> str:
    images = datasets(study(7), uid_salt=name)
    assert storescu(write(images, folder / name), node.port).returncode == 0
    return str(images[0].StudyInstanceUID)


def read_through(
    node: RunningNode, pacs: SlowPacs, clock: SetClock, jump: int, folder: Path
) -> float:
    """Set the clock while a study is read, again while it waits for its PACS; time the waiting."""
    pacs.status = 0xA700
    study_uid = send(node, folder, f"jump by {jump} s")
    node.wait_for_state(study_uid, State.ANALYZING)
    clock.jump(jump)
    node.wait_until(lambda: waits(node, study_uid), "waiting for its PACS")
    clock.jump(-jump)
    pacs.status, began = 0x0000, time.monotonic()
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    return time.monotonic() - began


def waits(node: RunningNode, study_uid: str) -> bool:
    case = node.case(study_uid)
    assert case is not None
    return case.state == State.REPORTED and "owed" in case.reason


def test_R18_studies_outlive_a_clock_that_is_set(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    clock, jumps = SetClock(tmp_path / "clock"), JUMPS[: at_length(2, 4)]
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    with (
        slow_pacs() as pacs,
        running_node(tmp_path / "node", [Pacs("pacs", pacs.ae_title, pacs.port)]) as node,
    ):
        node.start("listen")
        node.start("work")
        monkeypatch.undo()  # this process and its senders go by the machine's clock
        node.wait_until_listening()
        waited = [read_through(node, pacs, clock, jump, tmp_path) for jump in jumps]
        events = node.questions.events()
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        assert any(one.at > two.at for one, two in pairwise(events))
        lost = [event.sentence for event in events if "lost" in event.sentence]
        assert lost == [], "no living worker lost its case to a clock"
        verified = node.run("audit", "verify")
        assert verified.returncode == 0, verified.stdout
        balance = node.run("balance", "--deep")
        assert balance.returncode == 0, balance.stdout
    assert max(waited) < 60
    figure(
        f"{len(jumps)} jumps of an hour and a year there and back: {len(jumps)} of {len(jumps)} "
        f"delivered, at most {max(waited):.0f} s after the PACS was back; {len(events)} events in "
        "sequence"
    )
