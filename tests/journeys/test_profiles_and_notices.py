"""Two destinations with wishes of their own, and what they hear of studies without results."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForProcessing,
    MammographyCADSRStorage,
    generate_uid,
)
from running_node import Pacs, RunningNode, running_node
from validators import dciodvfy_errors, dsrdump_errors, pixelmed_errors

from dicom_node.life import Receipt, State
from dicom_node.reporting.marks import marks, plain_text
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

SEED = 17  # a malignant cluster of calcifications and a benign mass
WISHES = (
    'role = "workstation"',
    "max_marks = 1",
    'operating_point = "sensitive"',
    'scores = "as-given"',
    'codes = "SRT"',
    "short_meanings = true",
    'transfer_syntax = "implicit"',
    'model = "FV at the screen"',
)


@pytest.fixture
def node(orthanc: OrthancServer, tmp_path: Path) -> Iterator[RunningNode]:
    """Run all of a node but whoever analyzes."""
    destinations = [
        Pacs("pacs", orthanc.aet, orthanc.dicom_port),
        Pacs("screen", orthanc.aet, orthanc.dicom_port, ("cad_sr",), WISHES),
    ]
    with running_node(tmp_path / "node", destinations) as running:
        running.start("listen")
        running.start("work", "--only", "report", "--only", "deliver")
        running.wait_until_listening()
        yield running


def sent(node: RunningNode, images: list[Dataset], folder: Path) -> str:
    """Send images as a study of their own."""
    uid = str(images[0].StudyInstanceUID)
    answer = storescu(write(images, folder), node.port)
    assert answer.returncode == 0, answer.stderr
    return uid


def renamed(images: list[Dataset]) -> list[Dataset]:
    """Make another study of a study."""
    uid = generate_uid()
    for image in images:
        image.StudyInstanceUID = uid
        image.SeriesInstanceUID = generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return images


def told(node: RunningNode, uid: str, kind: str) -> None:
    """Wait until both destinations have an object of a kind."""

    def both() -> bool:
        case = node.case(uid)
        if case is None:
            return False
        debts = node.questions.debts_of(case.id)
        receipts = [one.delivery.receipt for one in debts if one.product.kind == kind]
        return len(receipts) == 2 and set(receipts) == {Receipt.DELIVERED}

    node.wait_until(both, f"told by a {kind}")


def reports(orthanc: OrthancServer, uid: str) -> dict[str, Dataset]:
    """Fetch the CAD reports of a study, by the model that they name."""
    return {
        str(one.ManufacturerModelName): one
        for one in orthanc.datasets(uid)
        if one.SOPClassUID == MammographyCADSRStorage
    }


def complaints(objects: list[Dataset], folder: Path) -> list[str]:
    paths = []
    for number, one in enumerate(objects):
        paths.append(folder / f"fetched-{number}.dcm")
        one.save_as(paths[-1], enforce_file_format=True)
    lines = [line for path in paths for line in (*dciodvfy_errors(path), *dsrdump_errors(path))]
    return [*lines, *pixelmed_errors(paths)]


def test_each_destination_gets_its_own_and_is_told_of_what_has_no_result(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    read = sent(node, datasets(study(SEED)), tmp_path / "read")
    raw = renamed(datasets(study(SEED)))
    for image in raw:
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = (
            DigitalMammographyXRayImageStorageForProcessing
        )
        image.PresentationIntentType = "FOR PROCESSING"
    declined = sent(node, raw, tmp_path / "raw")
    failed = sent(node, renamed(datasets(study(SEED))), tmp_path / "failed")
    node.wait_for_state(failed, State.RECEIVED)
    case = node.case(failed)
    assert case is not None
    spoiled = node.node.spool.path(node.questions.images_of(case)[0].path)
    sound = spoiled.read_bytes()
    spoiled.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    node.start("work", "--only", "analyze")

    told(node, read, "cad_sr")
    told(node, declined, "notice")
    told(node, failed, "notice")
    for uid, state in ((declined, State.DECLINED), (failed, State.FAILED)):
        ended = node.wait_for_end(uid)
        assert ended.state == state
        both = reports(orthanc, uid)
        assert set(both) == {"fourviews", "FV at the screen"}
        for one in both.values():
            assert "No algorithms succeeded; without findings" in plain_text(one)
        assert complaints(list(both.values()), tmp_path) == []
    assert "I01: this is a For Processing image" in plain_text(
        reports(orthanc, declined)["fourviews"]
    )

    both = reports(orthanc, read)
    usual, screen = both["fourviews"], both["FV at the screen"]
    assert len({mark.tracking_id for mark in marks(screen)}) == 1
    assert "operating point sensitive" in plain_text(screen)
    assert "operating point balanced" in plain_text(usual)
    assert "SRT" in str(screen)
    assert "SRT" not in str(usual)
    assert complaints([usual, screen], tmp_path) == []

    notices = {one.SOPInstanceUID for one in reports(orthanc, failed).values()}
    spoiled.write_bytes(sound)
    assert node.run("retry", str(case.id)).returncode == 0
    told(node, failed, "cad_sr")
    for one in orthanc.datasets(failed):
        if one.SOPClassUID == MammographyCADSRStorage and one.SOPInstanceUID not in notices:
            replaced = one.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
            assert replaced.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in notices
