"""Each way an object can be wrong, and that the proof says so."""

from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from scenes import CAD, MEASURED
from spoiled_objects import WAYS as WAYS_OF_THE_EXAM
from spoiled_scenes import WAYS as WAYS_OF_OTHERS
from spoiling import Scene, Way, names

from dicom_node.reporting.proof import Unsound, prove
from inference.findings import ExamFindings

WAYS = [*WAYS_OF_THE_EXAM, *WAYS_OF_OTHERS]


@pytest.fixture
def objects(written: dict[str, bytes]) -> dict[str, Dataset]:
    return {kind: dcmread(BytesIO(content)) for kind, content in written.items()}


def test_sound_objects_pass(scenes: dict[str, Scene]) -> None:
    assert {name: scene.complaint(scene.read()) for name, scene in scenes.items()} == dict.fromkeys(
        scenes, ""
    )


@pytest.mark.parametrize("way", WAYS, ids=names(WAYS))
def test_a_spoiled_object_is_unsound(way: Way, scenes: dict[str, Scene]) -> None:
    assert way.reason in scenes[way.scene].complaint(way.spoiled(scenes))


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


def test_findings_of_the_other_breast_or_view_are_unsound(
    objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    for header in headers:
        header.ImageLaterality = {"L": "R", "R": "L"}[header.ImageLaterality]
    with pytest.raises(Unsound, match="LCC was read from an image of the other breast"):
        prove(objects[CAD], headers, exam)
    headers[1].ViewCodeSequence = headers[3].ViewCodeSequence
    with pytest.raises(Unsound, match="LCC was read from an image of another view"):
        prove(objects[CAD], headers, exam)
