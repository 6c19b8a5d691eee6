"""Each way an object can be wrong, and that the proof says so."""

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from spoiled_objects import CAD, MEASURED, SEGMENTED, SPOILED

from dicom_node.reporting.proof import Unsound, prove
from inference.findings import ExamFindings


@pytest.fixture
def objects(written: dict[str, bytes]) -> dict[str, Dataset]:
    return {kind: dcmread(BytesIO(content)) for kind, content in written.items()}


@pytest.mark.parametrize("kind", [CAD, MEASURED, SEGMENTED])
def test_a_sound_object_passes(
    kind: str, objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    prove(objects[kind], headers, exam)


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_object_is_unsound(
    name: str, objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    kind, spoil, reason = SPOILED[name]
    spoil(objects[kind])
    with pytest.raises(Unsound) as caught:
        prove(objects[kind], headers, exam)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (CAD, "the exam has 3 findings, the report 5"),
        (MEASURED, "the image has 0 findings, the report 2"),
    ],
)
def test_a_report_of_other_findings_is_unsound(
    kind: str, reason: str, objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    views = (exam.views[0], replace(exam.views[1], findings=()), *exam.views[2:])
    with pytest.raises(Unsound, match=reason):
        prove(objects[kind], headers, replace(exam, views=views))


def test_the_reasons_name_no_patient(
    objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    objects[CAD].PatientName = "Somebody^Else"
    with pytest.raises(Unsound) as caught:
        prove(objects[CAD], headers, exam)
    assert "Somebody" not in str(caught.value)
    assert "Zo" not in str(caught.value)
