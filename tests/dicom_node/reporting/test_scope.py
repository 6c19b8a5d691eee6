"""A report says what was looked for and judged, so that nobody hears more in its silence."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import plain_text
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import KINDS, report
from inference.findings import ExamFindings, Kind

CAD = frozenset({"cad_sr"})


def lines(dataset: Dataset) -> list[str]:
    return [line.strip() for line in plain_text(dataset).splitlines()]


def test_a_system_for_masses_says_nothing_of_calcifications_and_nothing_of_cancer(
    headers: list[Dataset], masses_only: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    built = report(headers, masses_only, maker, first_round, KINDS)
    for each in built:
        prove(each.dataset, headers, masses_only)
    told = lines(built[0].dataset)
    assert [line for line in told if line.startswith("Detection Performed")] == [
        "Detection Performed: Mammography breast density"
    ]
    assert "Summary of Detections: Succeeded" in told
    assert "Summary of Analyses: Not Attempted" in told
    assert not any(line.startswith(("Analysis Performed", "Certainty of imp")) for line in told)
    for each in built[:3]:
        words = plain_text(each.dataset)
        assert "Looked for masses only. The system does not judge cancer." in words
    labels = [segment.SegmentLabel for segment in built[3].dataset.SegmentSequence]
    assert labels == ["Mass", "Calcifications: not looked for"]


def test_a_system_that_marks_nothing_is_not_said_to_have_found_nothing(
    headers: list[Dataset], scored_only: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    built = report(headers, scored_only, maker, first_round, KINDS)
    (cad,) = built
    assert cad.kind == "cad_sr"
    prove(cad.dataset, headers, scored_only)
    told = lines(cad.dataset)
    assert "Summary of Detections: Not Attempted" in told
    assert "Summary of Analyses: Succeeded" in told
    assert not any(line.startswith("Detection Performed") for line in told)
    (words,) = (line for line in told if line.startswith("Impression Description"))
    assert "The system scores views and the exam; it marks nothing." in words
    assert "no findings" not in words
    assert "all_conv 1.2.0 at operating point screening read RCC (score 3.0 %), " in words


def test_a_proof_wants_what_was_looked_for_and_nothing_else(
    headers: list[Dataset],
    exam: ExamFindings,
    masses_only: ExamFindings,
    scored_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    both, marked, scored = (
        report(headers, one, maker, first_round, CAD)[0].dataset
        for one in (exam, masses_only, scored_only)
    )
    for dataset, other, reason in (
        (both, replace(exam, marks=tuple(Kind), cancer_score=None), "Summary of Analyses lists"),
        (marked, replace(masses_only, marks=tuple(Kind)), "Summary of Detections lists 129793001"),
        (marked, replace(masses_only, cancer_score=0.5), "does not say 'Succeeded'"),
        (scored, replace(scored_only, marks=(Kind.MASS,)), "says 'Looked for masses only.'"),
    ):
        with pytest.raises(Unsound, match=reason):
            prove(dataset, headers, other)


def test_what_was_neither_marked_nor_judged_is_refused(
    headers: list[Dataset],
    exam: ExamFindings,
    scored_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    with pytest.raises(ValueError, match="neither marked nor judged"):
        report(headers, replace(scored_only, cancer_score=None), maker, first_round, KINDS)
    with pytest.raises(ValueError, match="LCC calcification 1 is of a kind that shared_trunk did"):
        report(headers, replace(exam, marks=(Kind.MASS,)), maker, first_round, KINDS)
