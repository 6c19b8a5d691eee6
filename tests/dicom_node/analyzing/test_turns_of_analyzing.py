"""A case's turn where nothing is read: what the ledger says of its images, and of the case."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_book import reading
from pydicom import Dataset
from pydicom.uid import (
    BreastTomosynthesisImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)
from small_images import file_of, mammogram
from sqlalchemy import select

from dicom_node.analyzing.analyze import Desk, analyze
from dicom_node.errors import Busy
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Case, Instance
from dicom_node.life import State
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node

STUDY = "2.25.7"


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node]) -> Node:
    """Open a node that takes small images."""
    return opened(settled(analyzing={"accept": {"rows_min": 16, "brightest_min": 0.0}}))


def arrive(node: Node, image: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "arriving"
    path.write_bytes(file_of(image))
    sop_class, sop_uid = str(image.SOPClassUID), str(image.SOPInstanceUID)
    envelope = Envelope(None, "MG1", "1.2.3.4", sop_class, sop_uid, str(ExplicitVRLittleEndian))
    assert keep(node.ledger, node.spool, path, envelope)


def judged(node: Node) -> tuple[Case, dict[str, str]]:
    """Take the newest round's turn; return the case, and the verdicts by the image's view."""
    newest = max(node.questions.cases_of(STUDY), key=lambda case: case.round)
    node.ledger.move(newest.id, State.RECEIVING, State.RECEIVED)
    desk = Desk(node.ledger, node.questions, node.spool, node.settings, nobody, "test")
    analyze(desk, newest.id)
    case = node.questions.case(newest.id)
    assert case is not None
    verdicts = node.questions.verdicts_of(case.id)
    return case, {
        image.sop_uid: f"{verdicts[image.id].code}: {verdicts[image.id].sentence}"
        for image in node.questions.images_of(case)
    }


def nobody() -> list[object]:
    raise AssertionError("there is nothing to read")


def test_every_image_of_a_declined_study_keeps_its_verdict(node: Node, tmp_path: Path) -> None:
    raw = mammogram(
        StudyInstanceUID=STUDY, SOPClassUID=DigitalMammographyXRayImageStorageForProcessing
    )
    volume = mammogram(StudyInstanceUID=STUDY, SOPClassUID=BreastTomosynthesisImageStorage)
    for image in (raw, volume):
        arrive(node, image, tmp_path)
    case, verdicts = judged(node)
    said = (
        "I01: this is a For Processing image; the network reads For Presentation images",
        "I01: this is a tomosynthesis; the network reads single projections",
    )
    assert verdicts == {raw.SOPInstanceUID: said[0], volume.SOPInstanceUID: said[1]}
    assert case.state == State.DECLINED
    assert case.reason == f"S02: no image can be read: {said[0]}; {said[1]}"


def test_a_header_that_makes_no_sense_is_declined_and_fails_nothing(
    node: Node, tmp_path: Path
) -> None:
    image = mammogram(StudyInstanceUID=STUDY)
    image.add_new("NumberOfFrames", "LO", "Small^Image")
    arrive(node, image, tmp_path)
    case, verdicts = judged(node)
    said = "I09: an attribute that this rule asks for has a value that cannot be read"
    assert verdicts == {image.SOPInstanceUID: said}
    assert (case.state, case.reason) == (State.DECLINED, f"S02: no image can be read: {said}")


def test_a_late_image_that_is_not_read_leaves_the_former_result(node: Node, tmp_path: Path) -> None:
    arrive(node, mammogram("LCC", StudyInstanceUID=STUDY), tmp_path)
    (first,) = node.questions.cases_of(STUDY)
    with node.ledger.writing() as session:
        session.get_one(Case, first.id).state = State.DELIVERED
        session.add(reading(first.id))
    late = mammogram("RCC", StudyInstanceUID=STUDY, PartialView="YES")
    arrive(node, late, tmp_path)
    case, verdicts = judged(node)
    assert (case.round, case.state) == (2, State.DECLINED)
    assert case.reason == "S06: no image of this round can be read; the former result stands"
    assert verdicts[late.SOPInstanceUID] == "I14: it is a partial view"
    assert min(verdicts.values()) == ": "  # the image of round 1 is still a good one


def test_what_no_rule_let_in_is_not_missed_and_what_was_read_is(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node], tmp_path: Path
) -> None:
    accept = {"rows_min": 16, "brightest_min": 0.0, "sexes": ["F"]}
    node = opened(settled(analyzing={"accept": accept}))
    part = mammogram("RCC", StudyInstanceUID=STUDY, PartialView="YES")
    for image in (mammogram("LCC", StudyInstanceUID=STUDY, PatientSex="M"), part):
        arrive(node, image, tmp_path)
    assert judged(node)[0].reason.startswith("S04: the patient's sex")
    with node.ledger.writing() as session:
        for row in session.scalars(select(Instance)):
            row.purged_at = now()
    arrive(node, mammogram("RMLO", StudyInstanceUID=STUDY, PartialView="YES"), tmp_path)
    case, verdicts = judged(node)
    sentence = "1 image that came earlier is no longer kept here: send the whole study again"
    assert (case.round, case.state, case.reason) == (2, State.DECLINED, f"S07: {sentence}")
    assert list(verdicts.values()) == ["I14: it is a partial view"], "the judgement of what is here"
    arrive(node, mammogram("LMLO", StudyInstanceUID=STUDY, PatientSex="M"), tmp_path)
    assert judged(node)[0].reason.startswith("S04: the patient's sex"), "with all images, too"


def test_a_reading_that_could_not_be_reported_is_no_result_that_stands(
    node: Node, tmp_path: Path
) -> None:
    arrive(node, mammogram("LCC", StudyInstanceUID=STUDY), tmp_path)
    (first,) = node.questions.cases_of(STUDY)
    with node.ledger.writing() as session:
        session.get_one(Case, first.id).state = State.FAILED
        session.add(reading(first.id))
    arrive(node, mammogram("RCC", StudyInstanceUID=STUDY, PartialView="YES"), tmp_path)
    with pytest.raises(Busy, match="AssertionError"):  # so it would have been read
        judged(node)
