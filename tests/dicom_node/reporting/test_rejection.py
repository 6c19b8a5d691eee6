"""The note that takes a result back: sound for other people's validators, and proved by us."""

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
import validators
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage, SegmentationStorage
from spoiled_rejections import SPOILED_REJECTIONS, references
from spoiling import Scene, Way, unnoticed
from test_every_change import ANY_OBJECT
from ways_table import judged, write

from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import REJECTIONS
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import name_value, named
from dicom_node.reporting.proof import Unsound
from dicom_node.reporting.rejection import Recalling, Rejected, rejection
from dicom_node.reporting.rejection_proof import prove_rejection
from dicom_node.reporting.report import report
from inference.findings import ExamFindings

AT = datetime(2025, 9, 2, 8, 0, tzinfo=UTC)
KINDS = frozenset({"cad_sr", "presentation_state", "segmentation"})


@pytest.fixture
def sent(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> list[Dataset]:
    """A report, two presentation states and two segmentations."""
    built = report(headers, exam, maker, first_round, KINDS)
    return [each.dataset for each in sorted(built, key=lambda each: each.kind)]


def recalling(sent: list[Dataset], reason: str = "113037") -> Recalling:
    rejected = tuple(
        Rejected(str(one.SOPClassUID), str(one.SOPInstanceUID), str(one.SeriesInstanceUID))
        for one in sent
    )
    return Recalling(REJECTIONS[reason], 1, AT, rejected)


@pytest.fixture
def note(sent: list[Dataset], maker: Maker) -> Dataset:
    return rejection(sent[0], recalling(sent), maker)


def test_a_note_lists_each_object_once_under_its_reason(sent: list[Dataset], note: Dataset) -> None:
    assert name_value(note) == ("113037", "DCM")
    listed = {
        (str(one.ReferencedSOPInstanceUID), str(one.ReferencedSOPClassUID))
        for item in references(note)
        for one in item.ReferencedSOPSequence
    }
    assert listed == {(str(one.SOPInstanceUID), str(one.SOPClassUID)) for one in sent}
    kinds = {
        one.ReferencedSOPSequence[0].ReferencedSOPClassUID: one.ValueType
        for one in references(note)
    }
    assert kinds[SegmentationStorage] == "IMAGE"
    assert kinds[MammographyCADSRStorage] == "COMPOSITE"
    said = named(note, codes.KEY_OBJECT_DESCRIPTION)
    assert said is not None
    assert said.TextValue == (
        "For research use only. The result of Four Views, round 1, was recalled: Rejected for "
        "Patient Safety Reasons. Do not use its 5 objects."
    )


def test_the_same_recall_makes_the_same_note(sent: list[Dataset], maker: Maker) -> None:
    one, two = (encoded(rejection(sent[0], recalling(sent), maker)) for _ in range(2))
    assert one == two


def test_a_note_on_fewer_objects_is_another_note(sent: list[Dataset], maker: Maker) -> None:
    whole = rejection(sent[0], recalling(sent), maker)
    part = rejection(sent[0], recalling(sent[:2]), maker)
    assert whole.SOPInstanceUID != part.SOPInstanceUID


def test_a_note_that_takes_nothing_back_is_none(sent: list[Dataset]) -> None:
    with pytest.raises(ValueError, match="takes nothing back"):
        recalling(sent[:0])


@pytest.mark.parametrize("reason", REJECTIONS)
def test_every_validator_accepts_a_note(
    sent: list[Dataset], maker: Maker, reason: str, tmp_path: Path
) -> None:
    note = rejection(sent[0], recalling(sent, reason), maker)
    prove_rejection(note, sent[0], recalling(sent, reason), maker)
    path = tmp_path / "note.dcm"
    path.write_bytes(encoded(note))
    assert validators.dciodvfy_errors(path) == []
    assert validators.dsrdump_errors(path) == []
    assert validators.pixelmed_errors([path]) == []


@pytest.mark.parametrize("name", SPOILED_REJECTIONS)
def test_a_spoiled_note_is_unsound(
    name: str, sent: list[Dataset], note: Dataset, maker: Maker
) -> None:
    spoil, reason = SPOILED_REJECTIONS[name]
    again = dcmread(BytesIO(encoded(note)))
    spoil(again)
    with pytest.raises(Unsound) as caught:
        prove_rejection(again, sent[0], recalling(sent), maker)
    assert reason in str(caught.value)


def test_the_reasons_name_no_patient(sent: list[Dataset], note: Dataset, maker: Maker) -> None:
    note.PatientName = "Somebody^Else"
    with pytest.raises(Unsound) as caught:
        prove_rejection(note, sent[0], recalling(sent), maker)
    assert "Somebody" not in str(caught.value)


@pytest.fixture
def scene(sent: list[Dataset], note: Dataset, maker: Maker) -> Scene:
    def proof(dataset: Dataset) -> None:
        prove_rejection(dataset, sent[0], recalling(sent), maker)

    return Scene("rejection", encoded(note), proof)


def test_every_change_of_every_element_of_a_note_is_noticed(scene: Scene) -> None:
    assert unnoticed(scene, ANY_OBJECT) == []


def test_the_table_of_ways_to_spoil_a_note(scene: Scene, tmp_path: Path) -> None:
    ways = [
        Way(name, "a note", spoil, reason) for name, (spoil, reason) in SPOILED_REJECTIONS.items()
    ]
    rows = judged(ways, {"a note": scene}, tmp_path)
    write("ways_of_rejections", rows)
    assert [row.way.name for row in rows if not row.said] == []
    seen = [row for row in rows if row.dciodvfy or row.dsrdump or row.pixelmed]
    assert len(seen) < len(rows), "our proof sees more than all validators together"
