"""Every status of a CAD report: with findings, without, partial, failed, not eligible."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import validators
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing

from dicom_node.life import State
from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD, Dialect
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import children, code_value, is_named, named, plain_text, walk
from dicom_node.reporting.notice import Attempt, Ending, notice
from dicom_node.reporting.notice_picture import notice_picture
from dicom_node.reporting.notice_proof import prove_notice
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from inference.findings import ExamFindings, Kind

CAD = frozenset({"cad_sr"})
RAW = "this is a For Processing image; the network reads For Presentation images"
NETWORK = Attempt("shared_trunk", "1.2.0", "ab" * 32, tuple(Kind), judges=True)
OLD = Dialect("SRT", short_meanings=True)
Spoil = Callable[[Dataset], None]


def view_of(header: Dataset) -> str:
    projection = {"399162004": "CC", "399368009": "MLO"}[header.ViewCodeSequence[0].CodeValue]
    return f"{header.ImageLaterality}{projection}"


def unread(header: Dataset, code: str, sentence: str, *, missed: bool = False) -> Unread:
    return Unread(tidy(header), view_of(header), code, sentence, missed)


@pytest.fixture
def not_eligible(headers: list[Dataset]) -> Ending:
    for header in headers:
        header.SOPClassUID = DigitalMammographyXRayImageStorageForProcessing
    reason = f"S02: no image can be read: I01: {RAW}"
    return Ending(State.DECLINED, reason, tuple(unread(header, "I01", RAW) for header in headers))


@pytest.fixture
def failed(headers: list[Dataset]) -> Ending:
    images = tuple(unread(header, "", "") for header in headers)
    return Ending(State.FAILED, "RuntimeError at trunks.py:7", images, (NETWORK,))


def partial(
    headers: Sequence[Dataset],
    exam: ExamFindings,
    maker: Maker,
    when: Circumstances,
    dialect: Dialect = STANDARD,
) -> tuple[Dataset, list[Dataset], ExamFindings, tuple[Unread, ...]]:
    """Report an exam whose last view was declined."""
    from dicom_node.reporting.profile import Profile

    missing = (unread(headers[3], "I14", "PartialView is YES", missed=True),)
    read = replace(exam, views=exam.views[:3])
    when = replace(when, unread=missing)
    profile = Profile(codes=dialect.snomed, short_meanings=dialect.short_meanings)
    (built,) = report(headers[:3], read, maker, when, CAD, profile)
    return built.dataset, list(headers[:3]), read, missing


def below(dataset: Dataset, heading: codes.Concept) -> list[tuple[str, int]]:
    """Tell what stands below a heading, and in how many images each was done."""
    return [
        (
            code_value(one),
            sum("ReferencedContentItemIdentifier" in child for child in children(one)),
        )
        for _, item in walk(dataset)
        if is_named(item, heading)
        for one in children(item)
    ]


def answer(dataset: Dataset, concept: codes.Concept) -> str:
    said = named(dataset, concept)
    assert said is not None
    return str(said.ConceptCodeSequence[0].CodeMeaning)


def test_a_study_that_is_not_eligible_says_by_which_rule(
    not_eligible: Ending, maker: Maker, first_round: Circumstances
) -> None:
    told = notice(not_eligible, maker, first_round)
    prove_notice(told, not_eligible, first_round)
    assert answer(told, codes.FINDINGS_SUMMARY) == "No algorithms succeeded; without findings"
    assert answer(told, codes.SUMMARY_OF_DETECTIONS) == "Not Attempted"
    assert answer(told, codes.SUMMARY_OF_ANALYSES) == "Not Attempted"
    assert f"I01: {RAW}" in plain_text(told)
    assert "Not read: LCC (I01: " in plain_text(told)
    assert "that nothing is marked means nothing" in plain_text(told)
    assert told.SeriesDescription == "AI CAD SR, not analyzed, research use only"


def test_a_study_that_failed_lists_what_failed_and_in_which_images(
    failed: Ending, maker: Maker, first_round: Circumstances
) -> None:
    told = notice(failed, maker, first_round)
    prove_notice(told, failed, first_round)
    assert answer(told, codes.FINDINGS_SUMMARY) == "No algorithms succeeded; without findings"
    assert answer(told, codes.SUMMARY_OF_DETECTIONS) == "Failed"
    assert answer(told, codes.SUMMARY_OF_ANALYSES) == "Failed"
    assert below(told, codes.FAILED_DETECTIONS) == [
        (codes.DETECTIONS[kind].value, 4) for kind in Kind
    ]
    assert below(told, codes.FAILED_ANALYSES) == [(codes.OVERALL_IMPRESSION_ANALYSIS.value, 4)]
    assert "The analysis of this study failed: RuntimeError" in plain_text(told)


def test_a_system_that_marks_nothing_fails_no_detection(
    failed: Ending, maker: Maker, first_round: Circumstances
) -> None:
    ending = replace(failed, attempts=(replace(NETWORK, marks=()),))
    told = notice(ending, maker, first_round)
    prove_notice(told, ending, first_round)
    assert answer(told, codes.SUMMARY_OF_DETECTIONS) == "Not Attempted"
    assert answer(told, codes.SUMMARY_OF_ANALYSES) == "Failed"


@pytest.mark.parametrize("found", [True, False])
def test_a_view_that_nobody_could_read_makes_a_partial_report(
    found: bool,  # noqa: FBT001 - a parameter of the test
    headers: list[Dataset],
    exam: ExamFindings,
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    seen = replace(exam, views=exam.views[::-1]) if found else clear_exam
    told, read, seen, missing = partial(
        headers[::-1] if found else headers, seen, maker, first_round
    )
    prove(told, read, seen, unread=missing)
    said = "with findings" if found else "without findings"
    assert answer(told, codes.FINDINGS_SUMMARY) == f"Not all algorithms succeeded; {said}"
    assert answer(told, codes.SUMMARY_OF_DETECTIONS) == "Partially Succeeded"
    assert answer(told, codes.SUMMARY_OF_ANALYSES) == "Partially Succeeded"
    kinds = [codes.DETECTIONS[kind].value for kind in Kind]
    assert below(told, codes.SUCCESSFUL_DETECTIONS) == [(kind, 3) for kind in kinds]
    assert below(told, codes.FAILED_DETECTIONS) == [(kind, 1) for kind in kinds]
    view = missing[0].view
    assert f"Not read: {view} (I14: PartialView is YES)." in plain_text(told)
    assert f"Nothing is said of {view}." in plain_text(told)


def test_an_image_whose_view_was_read_from_another_is_told_of_in_words_alone(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    older = (unread(headers[0], "S03", "a newer RCC is in the study"),)
    (built,) = report(headers, exam, maker, replace(first_round, unread=older), CAD)
    prove(built.dataset, headers, exam, unread=older)
    assert (
        answer(built.dataset, codes.FINDINGS_SUMMARY) == "All algorithms succeeded; with findings"
    )
    assert "Not read: RCC (S03: a newer RCC is in the study)." in plain_text(built.dataset)


def test_a_report_that_conceals_a_missed_view_is_unsound(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    missing = (unread(headers[3], "I14", "PartialView is YES", missed=True),)
    read = replace(exam, views=exam.views[:3])
    (built,) = report(headers[:3], read, maker, first_round, CAD)
    with pytest.raises(Unsound) as caught:
        prove(built.dataset, headers[:3], read, unread=missing)
    for reason in (
        "the summary does not say 'Not all algorithms succeeded",
        "no text of the report says 'Not read: LMLO",
        "the image library has other images",
        "the Summary of Detections does not say 'Partially Succeeded'",
    ):
        assert reason in str(caught.value)


def _other_answer(told: Dataset) -> None:
    said = named(told, codes.FINDINGS_SUMMARY)
    assert said is not None
    said.ConceptCodeSequence = [codes.item(codes.ANSWERS[False, False])]


def _silent(told: Dataset) -> None:
    for _, item in walk(told):
        if is_named(item, codes.IMPRESSION_DESCRIPTION):
            item.TextValue = "For research use only."


def _attempted(told: Dataset) -> None:
    said = named(told, codes.SUMMARY_OF_DETECTIONS)
    assert said is not None
    said.ConceptCodeSequence = [codes.item(codes.FAILED)]


def _another_patient(told: Dataset) -> None:
    told.PatientID = "SOMEBODY"


def _another_image(told: Dataset) -> None:
    library = next(item for _, item in walk(told) if is_named(item, codes.IMAGE_LIBRARY))
    library.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "2.25.9"


SPOILED: dict[str, tuple[Spoil, str]] = {
    "another answer": (_other_answer, "the summary does not say 'No algorithms succeeded"),
    "no word of why": (_silent, "no text of the notice says 'This study was not analyzed"),
    "an attempt that was none": (_attempted, "does not say 'Not Attempted'"),
    "another patient": (_another_patient, "PatientID is not the source's"),
    "another image": (_another_image, "the image library has other images"),
}


@pytest.mark.parametrize("way", SPOILED)
def test_a_spoiled_notice_never_leaves(
    way: str, not_eligible: Ending, maker: Maker, first_round: Circumstances
) -> None:
    spoil, reason = SPOILED[way]
    told = dcmread(BytesIO(encoded(notice(not_eligible, maker, first_round))))
    spoil(told)
    with pytest.raises(Unsound) as caught:
        prove_notice(told, not_eligible, first_round)
    assert reason in str(caught.value)
    assert "SOMEBODY" not in str(caught.value)


def test_a_notice_may_be_a_picture_of_its_words(
    not_eligible: Ending, maker: Maker, first_round: Circumstances, tmp_path: Path
) -> None:
    made = notice_picture(not_eligible, maker, first_round)
    prove_notice(made, not_eligible, first_round)
    said = made.ImageComments
    assert said.startswith(maker.research_statement)
    assert f"This study was not analyzed: S02: no image can be read: I01: {RAW}." in said
    assert f"Not read: LCC (I01: {RAW})." in said
    assert (made.Modality, made.SeriesNumber, made.BurnedInAnnotation) == ("OT", 9300, "NO")
    assert made.PatientID == "SYN001"
    assert "SYN001" not in said
    assert len(made.PixelData) == made.Rows * made.Columns * 3
    path = tmp_path / "picture.dcm"
    path.write_bytes(encoded(made))
    assert validators.dciodvfy_errors(path) == []
    assert notice_picture(not_eligible, maker, first_round).SOPInstanceUID == made.SOPInstanceUID


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda d: setattr(d, "PatientID", "X"), "PatientID is not the source's"),
        (lambda d: setattr(d, "BurnedInAnnotation", "YES"), "BurnedInAnnotation is YES, not NO"),
        (lambda d: setattr(d, "Laterality", "L"), "Laterality is not empty"),
        (lambda d: setattr(d, "ImageLaterality", "L"), "looks like a mammogram"),
        (lambda d: setattr(d, "ImageComments", "research use"), "the comments do not say 'This"),
        (lambda d: setattr(d, "ImageComments", "No findings."), "do not say 'research use'"),
        (lambda d: setattr(d, "Rows", d.Rows + 1), "rows and 1200 columns"),
        (lambda d: setattr(d, "PixelData", bytes(len(d.PixelData))), "does not show the words"),
        (lambda d: delattr(d, "PixelData"), "cannot be checked"),
        (lambda d: setattr(d, "SeriesDescription", "MAMMO"), "does not begin with 'AI '"),
    ],
)
def test_a_picture_that_says_something_else_is_unsound(
    not_eligible: Ending, maker: Maker, first_round: Circumstances, spoil: Spoil, reason: str
) -> None:
    made = notice_picture(not_eligible, maker, first_round)
    spoil(made)
    with pytest.raises(Unsound, match=reason):
        prove_notice(made, not_eligible, first_round)


def test_no_validator_complains_of_any_status(  # noqa: PLR0913, PLR0917 - fixtures
    headers: list[Dataset],
    exam: ExamFindings,
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    failed: Ending,
    tmp_path: Path,
) -> None:
    objects: dict[str, Dataset] = {}
    raw = tuple(replace(one, code="I01", sentence=RAW) for one in failed.images)
    for spelled, dialect in (("SCT", STANDARD), ("SRT", OLD)):
        for name, seen in (("with", exam), ("without", clear_exam)):
            objects[f"partial-{name}-{spelled}"] = partial(
                headers, seen, maker, first_round, dialect
            )[0]
        declined = replace(
            failed, state=State.DECLINED, reason="S02: none", images=raw, attempts=()
        )
        objects[f"failed-{spelled}"] = notice(failed, maker, first_round, dialect)
        objects[f"not-eligible-{spelled}"] = notice(declined, maker, first_round, dialect)
    paths = []
    for name, dataset in objects.items():
        paths.append(tmp_path / f"{name}.dcm")
        paths[-1].write_bytes(encoded(dataset))
    assert [line for path in paths for line in validators.dciodvfy_errors(path)] == []
    assert [line for path in paths for line in validators.dsrdump_errors(path)] == []
    assert validators.pixelmed_errors(paths) == []
