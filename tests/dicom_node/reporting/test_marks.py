from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_node.reporting import codes
from dicom_node.reporting.marks import marks, named, plain_text, walk
from inference.findings import ExamFindings


@pytest.fixture
def objects(written: dict[str, bytes]) -> dict[str, Dataset]:
    return {kind: dcmread(BytesIO(content)) for kind, content in written.items()}


def intent_of(item: Dataset) -> Dataset:
    intent = named(item, codes.RENDERING_INTENT)
    assert intent is not None
    code: Dataset = intent.ConceptCodeSequence[0]
    return code


def with_code(dataset: Dataset, value: str) -> list[Dataset]:
    return [
        item
        for _, item in walk(dataset)
        if item.get("ConceptNameCodeSequence")
        and item.ConceptNameCodeSequence[0].CodeValue == value
    ]


def test_a_cad_sr_draws_a_center_and_an_outline_a_finding(
    objects: dict[str, Dataset], exam: ExamFindings
) -> None:
    drawn = marks(objects["cad_sr"])
    assert [mark.shape for mark in drawn] == ["POINT", "POLYLINE"] * 5
    assert {mark.sop_instance_uid for mark in drawn[:4]} == {exam.views[1].sop_instance_uid}
    assert {mark.sop_instance_uid for mark in drawn[4:]} == {exam.views[3].sop_instance_uid}
    assert drawn[0].points == ((200.5, 300.5),)
    assert drawn[2].kind == "Calcification Cluster"


def test_a_measurement_report_draws_an_outline_a_finding(
    objects: dict[str, Dataset], exam: ExamFindings
) -> None:
    drawn = marks(objects["measurement_report"])
    assert [mark.shape for mark in drawn] == ["POLYLINE"] * 2
    assert [mark.kind for mark in drawn] == ["Mammographic breast mass", "Calcification Cluster"]
    assert {mark.sop_instance_uid for mark in drawn} == {exam.views[1].sop_instance_uid}


def test_both_reports_draw_the_same_lines(objects: dict[str, Dataset]) -> None:
    cad = [mark.points for mark in marks(objects["cad_sr"]) if mark.shape == "POLYLINE"]
    assert cad[:2] == [mark.points for mark in marks(objects["measurement_report"])]


@pytest.mark.parametrize("value", ["111151", "111152"])
def test_what_need_not_be_presented_is_not_drawn(objects: dict[str, Dataset], value: str) -> None:
    finding = with_code(objects["cad_sr"], "111059")[0]
    intent_of(finding).CodeValue = value
    assert len(marks(objects["cad_sr"])) == 8


def test_nothing_is_drawn_below_what_is_not_for_presentation(objects: dict[str, Dataset]) -> None:
    impression = with_code(objects["cad_sr"], "111034")[0]
    intent_of(impression).CodeValue = "111152"
    assert len(marks(objects["cad_sr"])) == 8


def test_a_drawing_in_no_image_is_not_drawn(objects: dict[str, Dataset]) -> None:
    outline = with_code(objects["cad_sr"], "111041")[0]
    outline.ContentSequence[0].ReferencedContentItemIdentifier = [1, 2, 99]
    assert len(marks(objects["cad_sr"])) == 9


def test_a_segmentation_has_no_marks_and_no_text(objects: dict[str, Dataset]) -> None:
    assert marks(objects["segmentation"]) == []
    with pytest.raises(ValueError, match="no text"):
        plain_text(objects["segmentation"])


def test_the_text_reads_like_the_report(objects: dict[str, Dataset]) -> None:
    text = plain_text(objects["cad_sr"])
    lines = text.splitlines()
    assert lines[0] == "Mammography CAD Report"
    assert "        Certainty of Finding: 91.3 %" in lines
    assert "        Center: column 200.5, row 300.5" in lines
    assert "For research use only." in text
    assert "(nowhere)" not in text
    assert any(line.startswith("          -> 1.2.2 Image: 2.25.") for line in lines)


def test_the_text_shows_a_reference_that_leads_nowhere(objects: dict[str, Dataset]) -> None:
    outline = with_code(objects["cad_sr"], "111041")[0]
    outline.ContentSequence[0].ReferencedContentItemIdentifier = [1, 2, 99]
    assert "-> 1.2.99 (nowhere)" in plain_text(objects["cad_sr"])
