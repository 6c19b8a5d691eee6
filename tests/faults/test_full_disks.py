"""A full disk is an answer, for the store, the database and the log; nothing is lost by it."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from blake3 import blake3
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from running_node import Pacs, RunningNode, running_node
from senders import send
from small_disk import SmallDisk, small_disk
from small_images import encoded, mammogram
from sqlalchemy import select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Instance
from dicom_node.life import State
from dicom_node.spool import data_set_digest
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

MEGABYTE = 1 << 20
WAIT_SECONDS = 30.0  # a second or less where the machine has nothing else to do


@pytest.fixture
def within() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(within: ExitStack, folder: Path, **changes: str) -> RunningNode:
    """Make a node that listens to everybody; nothing runs yet."""
    node = within.enter_context(running_node(folder, []))
    text = node.config.read_text().replace("[receiving]", "[receiving]\nany_caller = true")
    for old, new in changes.items():
        text = text.replace(old, new)
    node.config.write_text(text)
    return node


def image(megabytes: float = 1.0) -> Dataset:
    return mammogram(PixelData=bytes(int(megabytes * MEGABYTE) // 2 * 2))


def sent_until_refused(node: RunningNode, megabytes: float = 1.0) -> tuple[list[Dataset], int]:
    """Send until there is another answer than Success; return what has the node's word."""
    kept = []
    for _ in range(1000):
        one = image(megabytes)
        (status,) = send(node.port, one)
        if status != 0x0000:
            assert status is not None
            return kept, status
        kept.append(one)
    raise AssertionError("the disk was never full")


def lost(node: RunningNode, kept: list[Dataset]) -> list[str]:
    """List which of the images that have the node's word it does not have, byte for byte."""
    faults = []
    with Session(node.node.engine) as session:
        rows = {row.sop_uid: row for row in session.scalars(select(Instance))}
    for one in kept:
        row = rows.get(str(one.SOPInstanceUID))
        digest = "blake3:" + blake3(encoded(one)).hexdigest()
        if row is None or row.digest != digest:
            faults.append(str(one.SOPInstanceUID))
        elif data_set_digest(node.node.spool.path(row.path)) != digest:
            faults.append(row.path)
    return faults


def seconds_until_taken(node: RunningNode, refused: Dataset) -> float:
    """Send what was refused until it is taken."""
    at = time.monotonic()
    while send(node.port, refused) != [0x0000]:
        assert time.monotonic() - at < WAIT_SECONDS, node.log()[-3000:]
        time.sleep(0.2)
    return time.monotonic() - at


def test_R10_a_full_store_refuses_and_loses_nothing_and_comes_back_by_itself(
    within: ExitStack, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    node = listening(within, tmp_path, **{"reserve_megabytes = 50": "reserve_megabytes = 0"})
    disk = within.enter_context(small_disk(tmp_path / "data" / "spool", 24))
    node.start("listen")
    node.wait_until_listening()
    kept, status = sent_until_refused(node)
    disk.fill()
    last = image()
    assert send(node.port, last, image(0.1), last) == [0xA700] * 3
    assert status == 0xA700
    assert lost(node, kept) == []
    assert list((disk.folder / "incoming").iterdir()) == []
    disk.make_room()
    seconds = seconds_until_taken(node, image(0.1))
    assert lost(node, kept) == []
    figure(f"store full: A700 after {len(kept)} images, 0 lost; back after {seconds:.1f} s")


def test_R10_the_watermark_refuses_before_the_disk_is_full(
    within: ExitStack, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    node = listening(within, tmp_path, **{"reserve_megabytes = 50": "reserve_megabytes = 10"})
    disk = within.enter_context(small_disk(tmp_path / "data" / "spool", 24))
    node.start("listen")
    node.wait_until_listening()
    kept, status = sent_until_refused(node)
    free = shutil.disk_usage(disk.folder).free >> 20
    assert status == 0xA700
    assert 8 <= free <= 10
    assert lost(node, kept) == []
    said = [event.sentence for event in node.questions.last_events(5)]
    assert "A700: less than 10 MB are free" in said
    figure(f"watermark of 10 MB: refused early, {free} MB still free")


def test_R10_a_full_database_refuses_and_loses_nothing_and_comes_back_by_itself(
    within: ExitStack, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    disk = within.enter_context(small_disk(tmp_path / "database", 4))
    place = f'database = "sqlite:///{disk.folder}/ledger.sqlite"'
    node = listening(within, tmp_path, **{'database = ""': place})
    node.start("listen")
    node.wait_until_listening()
    disk.fill(leave_bytes=200_000)
    kept, status = sent_until_refused(node, 0.01)
    disk.fill()
    last = image(0.01)
    assert send(node.port, last) == [0xA700]
    assert status == 0xA700
    disk.make_room()
    seconds = seconds_until_taken(node, last)
    assert lost(node, [*kept, last]) == []
    figure(f"database full: A700 after {len(kept)} images, 0 lost; back after {seconds:.1f} s")


def test_R10_a_full_log_keeps_nobody_from_work(
    within: ExitStack, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    disk = within.enter_context(small_disk(tmp_path / "log", 1))
    (tmp_path / "node.log").symlink_to(disk.folder / "node.log")
    node = listening(within, tmp_path)
    node.start("listen")
    node.wait_until_listening()
    disk.fill()
    images = [image(0.01) for _ in range(60)]  # more lines than its last page still takes
    answers = send(node.port, *images)
    assert set(answers) <= {0x0000, 0xA700}
    kept = [one for one, answer in zip(images, answers, strict=True) if answer == 0x0000]
    assert lost(node, kept) == []
    assert str(images[-1].SOPInstanceUID) not in node.log()
    disk.make_room()
    last = image(0.01)
    seconds = seconds_until_taken(node, last)
    assert str(last.SOPInstanceUID) in node.log(), "and the log goes on"
    figure(f"log full: {len(kept)} of {len(images)} taken, 0 lost; back after {seconds:.1f} s")


@pytest.mark.slow
def test_R10_a_store_without_room_for_results_lets_the_case_wait(
    within: ExitStack, orthanc: OrthancServer, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    images = datasets(study(7, pitch_mm=0.4, lesions=()), uid_salt="no room for results")
    study_uid = str(images[0].StudyInstanceUID)
    pacs = [Pacs("archive", orthanc.aet, orthanc.dicom_port)]
    node = within.enter_context(running_node(tmp_path, pacs))
    text = node.config.read_text() + "[analyzing.accept]\nrows_min = 100\n"
    node.config.write_text(text.replace("reserve_megabytes = 50", "reserve_megabytes = 1"))
    disk: SmallDisk = within.enter_context(small_disk(tmp_path / "data" / "spool", 24))
    node.start("listen")
    node.wait_until_listening()
    assert storescu(write(images, tmp_path / "study"), node.port).returncode == 0
    disk.fill()
    node.start("work")
    node.wait_until(
        lambda: (case := node.case(study_uid)) is not None and "No space left" in case.reason,
        "waiting for room",
    )
    disk.make_room()
    at = time.monotonic()
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    seconds = time.monotonic() - at
    figure(f"no room for results: the case waits, delivered {seconds:.1f} s after there is room")
    assert seconds < WAIT_SECONDS
