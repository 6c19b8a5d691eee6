"""Named points through the whole way, each met by a kill, a fault and a stall: delivered once."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import pytest
from dcmtk import storescu
from failpoints import POINTS, Failpoints, Point, failpoints
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node
from slow_pacs import SlowPacs, slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)
PATIENCE_SECONDS = 600.0  # with a stall at each point in turn
FAULTS = ("ENOSPC", "OperationalError", "RuntimeError", "EIO")
STAGES = tuple(dict.fromkeys(point.stage for point in POINTS))


@pytest.fixture(scope="module")
def witness() -> Iterator[SlowPacs]:
    """Run a second PACS that notes down each content that it is sent."""
    with slow_pacs() as pacs:
        yield pacs


def in_rounds(points: Sequence[Point]) -> list[list[Point]]:
    """Give each study one point of each stage, so that no strikes add up."""
    stages = [[point for point in points if point.stage == stage] for stage in STAGES]
    return [[one for one in group if one is not None] for group in zip_longest(*stages)]


def send_as_a_modality(node: RunningNode, files: list[Path]) -> int:
    """Send until every image was answered with Success, and count the attempts."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    for attempt in range(1, 1000):
        if storescu(files, node.port, options=["-to", "60", "-td", "60"]).returncode == 0:
            return attempt
        assert time.monotonic() < deadline, node.log()[-4000:]
        time.sleep(0.5)
    raise AssertionError("never taken in")


class House:
    """A node whose points can be armed, and what came of the studies sent to it."""

    def __init__(
        self, node: RunningNode, points: Failpoints, archive: OrthancServer, witness: SlowPacs
    ) -> None:
        self.node, self.points, self.archive, self.witness = node, points, archive, witness
        self.sent: list[str] = []
        self._made = study(7, pitch_mm=0.4, lesions=MASS)

    def send(self, salt: str) -> None:
        """Send the next study."""
        images = datasets(self._made, uid_salt=salt)
        folder = self.node.folder / salt
        self.sent.append(str(images[0].StudyInstanceUID))
        send_as_a_modality(self.node, write(images, folder))

    def has_fired(self, points: Sequence[Point]) -> None:
        """Wait until somebody came by each of these points."""
        names = {point.name for point in points}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while missed := sorted(names & set(self.points.waiting())):
            assert time.monotonic() < deadline, (missed, self.node.log()[-4000:])
            time.sleep(0.05)

    def every_study_is_there_once(self) -> None:
        """See that each study has one round with one report, and that its bytes are one."""
        for study_uid in self.sent:
            self._is_there_once(study_uid)
        twice = [uid for uid, contents in self.witness.contents.items() if len(contents) > 1]
        assert twice == [], "one UID was sent with two contents"
        states = Counter(row.state for uid in self.sent for row in self._cases(uid))
        assert states == {State.DELIVERED: len(self.sent)}
        balance = self.node.run("balance", "--deep")
        assert balance.returncode == 0, balance.stdout + balance.stderr

    def _cases(self, study_uid: str) -> Sequence[object]:
        return self.node.questions.cases_of(study_uid)

    def _is_there_once(self, study_uid: str) -> None:
        case = self.node.wait_for_end(study_uid)
        told = [event.sentence for event in self.node.questions.events(case_id=case.id)]
        assert case.state == State.DELIVERED, (case.reason, told, self.node.log()[-3000:])
        assert len(self.node.questions.images_of(case)) == 4
        products = {one.sop_uid: one.sha256 for one in self.node.questions.products_of(case.id)}
        held: list[Dataset] = self.archive.datasets(study_uid)
        assert Counter(str(one.SOPInstanceUID) for one in held) == Counter(list(products))
        reports = [one for one in held if one.SOPClassUID == MammographyCADSRStorage]
        assert len(reports) == 1
        assert set(products) <= set(self.witness.received)


@pytest.fixture(scope="module")
def house(
    orthanc: OrthancServer, witness: SlowPacs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    pacs = [
        Pacs("archive", orthanc.aet, orthanc.dicom_port),
        Pacs("witness", witness.ae_title, witness.port),
    ]
    folder = tmp_path_factory.mktemp("points")
    with running_node(folder / "node", pacs) as node:
        text = node.config.read_text() + "[analyzing.accept]\nrows_min = 100\n"
        # A sender that stalls is not one that has sent all.
        node.config.write_text(text.replace("quiet_seconds = 4.0", "quiet_seconds = 60.0"))
        points = failpoints(folder / "failpoints")
        node.environment.update(points.environment)
        node.start("up")
        node.wait_until_listening()
        yield House(node, points, orthanc, witness)


def chosen(how_many: int, first: int) -> list[Point]:
    """Choose some points, the same ones each time; or all."""
    return list(POINTS[first :: len(POINTS) // how_many][:how_many])


def deeds(kill_or_raise: str, number: int) -> str:
    """Say what is done at a point; faults take turns."""
    return "kill" if kill_or_raise == "killed" else f"raise {FAULTS[number % len(FAULTS)]}"


@pytest.mark.parametrize("how", ["killed", "raised"])
def test_R9_a_study_is_delivered_once_wherever_a_process_was_killed_or_a_fault_raised(
    how: str,
    house: House,
    at_length: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    points = chosen(at_length(2, len(POINTS)), at_length(2 if how == "killed" else 8, 0))
    first = len(house.sent)
    for number, group in enumerate(in_rounds(points)):
        if number >= 2:  # no case meets more points of one stage than it has strikes
            house.node.wait_for_end(house.sent[-2])
        for place, point in enumerate(group):
            house.points.arm(point, deeds(how, number + place))
        house.send(f"{how} {number}")
        house.has_fired(group)
    house.every_study_is_there_once()
    sent = len(house.sent) - first
    figure(f"{how} at {len(points)} points: {sent} studies, each delivered once")


def test_R9_a_study_is_delivered_once_wherever_a_process_stalled(
    house: House, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    points = chosen(at_length(5, len(POINTS)), at_length(1, 0))
    seconds, studies = at_length(1, 30), at_length(1, 4)
    if studies > 1:  # who stalls holds up nobody but himself
        for verb in ("analyze", "report", "deliver"):
            house.node.start("work", "--only", verb)
    long = points[:: at_length(1, 6)]  # the rest for a moment: all of them would take half an hour
    for point in points:
        house.points.arm(point, f"stall {seconds if point in long else 2}")
    first = len(house.sent)
    with ThreadPoolExecutor() as senders:
        list(senders.map(house.send, [f"stalled {number}" for number in range(studies)]))
    house.has_fired(points)
    house.every_study_is_there_once()
    sent = len(house.sent) - first
    figure(
        f"stalled {seconds} s at {len(long)} points and 2 s at {len(points) - len(long)} others: "
        f"{sent} studies, each delivered once"
    )


@pytest.mark.slow
def test_R9_a_study_is_delivered_once_though_a_frozen_worker_wakes_up_after_its_lease(
    house: House, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    """A process that stands still loses its case, and must not spoil it when it goes on."""
    places = ("before-end-of-turn", "after-write-object", "after-send")
    points = [point for point in POINTS if point.name in places][: at_length(1, 3)]
    first = len(house.sent)
    house.node.start("work")  # who takes over
    for point in points:
        house.points.arm(point, "freeze 8")
        house.send(f"frozen {point.name}")
        house.has_fired([point])
    house.every_study_is_there_once()
    sent = len(house.sent) - first
    figure(f"frozen beyond the lease at {sent} points: each delivered once")
