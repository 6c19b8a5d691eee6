"""What is expected in a Mammography CAD SR, by the rows of TID 4000 and those below it."""

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset

from dicom_node.reporting import codes, naming
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.common_proof import Claim
from dicom_node.reporting.expected_frame import subject
from dicom_node.reporting.expected_items import (
    A_HUNDREDTH,
    code,
    container,
    document,
    drawing,
    exact,
    image,
    item,
    members,
    number,
    percent,
    pointer,
    settings,
    template,
    text,
)
from dicom_node.reporting.facts import SOME, Facts, Near, faults, plain
from dicom_node.reporting.places import pairs
from dicom_node.reporting.sources import Lesion
from dicom_node.reporting.words import impression, seen_by, several
from inference.findings import ExamFindings
from inference.mammogram import Projection, Side

LIBRARY = (1, 2)  # where the images are described, in the tree
SEPARATE = "SEPARATE"
INTENT = code("HAS CONCEPT MOD", codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)


def contents(claim: Claim) -> Iterator[str]:
    """Check that the report holds what is expected of it, and not a word more."""
    yield from faults(expected(claim), claim.dataset, [claim.profile.dialect], "the report")


def expected(claim: Claim) -> Facts:
    """Expect a report of these findings, and of what could not be read."""
    read = [(one.header, str(one.view.side), str(one.view.projection)) for one in claim.sources]
    missed = [(one.header, one.view[:1], one.view[1:]) for one in claim.unread if one.missed]
    places = range(1, 1 + len(read)), range(1 + len(read), 1 + len(read) + len(missed))
    exam = claim.exam
    detected = [codes.DETECTIONS[kind] for kind in exam.marks]
    judged = [] if exam.cancer_score is None else [codes.OVERALL_IMPRESSION_ANALYSIS]
    below = _algorithm(exam)
    return {
        **document(
            subject(claim, "cad_sr", claim.sources[0].header),
            [header for header, _, _ in (*read, *missed)],
        ),
        **content(
            [entry(*each) for each in (*read, *missed)],
            _answer(claim, partial=bool(missed)),
            done(
                codes.SUMMARY_OF_DETECTIONS,
                (codes.SUCCESSFUL_DETECTIONS, codes.FAILED_DETECTIONS),
                [performed(codes.DETECTION_PERFORMED, detected, below, each) for each in places],
            ),
            done(
                codes.SUMMARY_OF_ANALYSES,
                (codes.SUCCESSFUL_ANALYSES, codes.FAILED_ANALYSES),
                [performed(codes.ANALYSIS_PERFORMED, judged, below, each) for each in places],
            ),
        ),
    }


def content(library: Sequence[Facts], *statuses: Facts) -> Facts:
    """Expect a report's language, its images, and what is said of them (TID 4000)."""
    return {
        "ConceptNameCodeSequence": codes.MAMMOGRAPHY_CAD_REPORT,
        "ContinuityOfContent": SEPARATE,
        "ContentTemplateSequence": template("4000"),
        "ContentSequence": [
            code("HAS CONCEPT MOD", codes.LANGUAGE, codes.ENGLISH),
            container("CONTAINS", codes.IMAGE_LIBRARY, SEPARATE, library),
            *statuses,
        ],
    }


def entry(header: Dataset, side: str, projection: str) -> Facts:
    """Expect an image of the library, described by its header (TID 4020)."""
    how = "HAS ACQ CONTEXT"
    below = []
    if side in codes.BREASTS:
        below.append(code(how, codes.IMAGE_LATERALITY, codes.BREASTS[Side(side)]))
    if projection in codes.VIEWS:
        view = codes.VIEWS[Projection(projection)]
        below.append(code(how, codes.IMAGE_VIEW, view, *_modifiers(header)))
    if header.get("PatientOrientation"):
        row, column = header.PatientOrientation
        below.append(text(how, codes.PATIENT_ORIENTATION_ROW, str(row)))
        below.append(text(how, codes.PATIENT_ORIENTATION_COLUMN, str(column)))
    for keyword, name, value_type in (
        ("StudyDate", codes.STUDY_DATE, "Date"),
        ("StudyTime", codes.STUDY_TIME, "Time"),
        ("ContentDate", codes.CONTENT_DATE, "Date"),
        ("ContentTime", codes.CONTENT_TIME, "Time"),
    ):
        if header.get(keyword):
            value = {value_type: plain(header[keyword])}
            below.append(item(how, value_type.upper(), name, **value))
    if header.get("ImagerPixelSpacing"):
        between_rows, between_columns = map(float, header.ImagerPixelSpacing)
        for name, spacing_mm in (
            (codes.HORIZONTAL_PIXEL_SPACING, between_columns),
            (codes.VERTICAL_PIXEL_SPACING, between_rows),
        ):
            near = Near(1000 * spacing_mm, 1e-6 * 1000 * spacing_mm)
            below.append(number(how, name, near, codes.MICROMETER))
    return image("CONTAINS", None, header, *below)


def _modifiers(header: Dataset) -> Iterator[Facts]:
    for view in header.get("ViewCodeSequence") or []:
        for said in view.get("ViewModifierCodeSequence") or []:
            words = [said.get(f"Code{part}") for part in ("Value", "Meaning")]
            if all(words) and said.get("CodingSchemeDesignator"):
                modifier = Concept(str(words[0]), str(said.CodingSchemeDesignator), str(words[1]))
                yield code("HAS CONCEPT MOD", codes.IMAGE_VIEW_MODIFIER, modifier)


def _answer(claim: Claim, *, partial: bool) -> Facts:
    """Expect the answer, what it says in words, and each finding once (TID 4001 to 4003)."""
    exam, how = claim.exam, "HAS PROPERTIES"
    answer = codes.ANSWERS[partial, bool(exam.findings)]
    below = [text(how, codes.IMPRESSION_DESCRIPTION, _words(claim))]
    if exam.cancer_score is not None:
        below.append(percent(how, codes.CERTAINTY_OF_IMPRESSION, exam.cancer_score))
    below += _algorithm(exam)
    once = (*members(exam), *settings(claim.settings))
    below += [text(how, codes.ALGORITHM_PARAMETERS, words) for words in once]
    for one in _features(claim):
        opinion = container("INFERRED FROM", codes.INDIVIDUAL_IMPRESSION, SEPARATE, [INTENT, one])
        below.append(opinion)
    return code("CONTAINS", codes.FINDINGS_SUMMARY, answer, *below)


def _words(claim: Claim) -> object:
    """Expect the whole impression; `statement` checks what it must say in any case."""
    if claim.origin is None:
        return SOME
    return impression(claim.sources, claim.exam, claim.origin.maker, claim.origin.circumstances)


def _features(claim: Claim) -> Iterator[Facts]:
    """Expect each lesion once: with its pair, where that is wanted, or by itself."""
    ties = {pair.across.uid: pair for pair in pairs(claim.sources) if claim.profile.two_view}
    seconds = {pair.oblique.uid for pair in ties.values()}
    places = {
        lesion.uid: (lesion, place)
        for place, source in enumerate(claim.sources, start=1)
        for lesion in source.lesions
    }
    for uid, (lesion, place) in places.items():
        if uid in ties:
            other = places[ties[uid].oblique.uid]
            yield _composite(claim.exam, ((lesion, place), other))
        elif uid not in seconds:
            yield _finding("CONTAINS", lesion, claim.exam, place)


def _composite(exam: ExamFindings, both: Sequence[tuple[Lesion, int]]) -> Facts:
    """Expect what two views show of one lesion, and below it what each shows (TID 4004)."""
    how, findings = "HAS PROPERTIES", [lesion.finding for lesion, _ in both]
    uids = [lesion.uid for lesion, _ in both]
    judged = [one.cancer_score for one in findings if one.cancer_score is not None]
    below = [
        INTENT,
        *tracking(" and ".join(lesion.name for lesion, _ in both), str(naming.uid("pair", *uids))),
        code(how, codes.COMPOSITE_TYPE, codes.RELATED_SPATIALLY),
        code(how, codes.SCOPE_OF_FEATURE, codes.ON_MULTIPLE_IMAGES),
        *_algorithm(exam),
        percent(how, codes.CERTAINTY_OF_FEATURE, max(one.score for one in findings)),
    ]
    if judged:
        below.append(percent(how, codes.PROBABILITY_OF_CANCER, max(judged)))
    below += [_finding("INFERRED FROM", lesion, exam, place) for lesion, place in both]
    return code("CONTAINS", codes.COMPOSITE_FEATURE, codes.LESIONS[findings[0].kind], *below)


def _finding(relationship: str, lesion: Lesion, exam: ExamFindings, place: int) -> Facts:
    """Expect a finding of one image (TID 4006)."""
    how, finding = "HAS PROPERTIES", lesion.finding
    where = pointer("SELECTED FROM", *LIBRARY, place)
    below = [INTENT, *tracking(lesion.name, str(lesion.uid)), *_algorithm(exam)]
    if several(exam):
        below.append(text(how, codes.ALGORITHM_PARAMETERS, seen_by(lesion, exam)))
    below.append(percent(how, codes.CERTAINTY_OF_FINDING, finding.score))
    if finding.cancer_score is not None:
        below.append(percent(how, codes.PROBABILITY_OF_CANCER, finding.cancer_score))
    below.append(drawing(how, codes.CENTER, "POINT", [lesion.center], where))
    below.append(drawing(how, codes.OUTLINE, "POLYLINE", lesion.outline, where))
    if lesion.area_mm2 is not None:
        area = Near(lesion.area_mm2, A_HUNDREDTH)
        below.append(number(how, codes.AREA, area, codes.SQUARE_MILLIMETER))
    if lesion.specks is not None:
        count = Near(lesion.specks, 0)
        below.append(number(how, codes.NUMBER_OF_CALCIFICATIONS, count, codes.NO_UNITS))
    if lesion.grouped:
        below.append(code(how, codes.CALCIFICATION_DISTRIBUTION, codes.GROUPED))
    kind = codes.DETECTIONS[finding.kind]
    return code(relationship, codes.SINGLE_IMAGE_FINDING, kind, *below)


def tracking(name: str, uid: str) -> list[Facts]:
    """Expect the name by which a lesion is known in every object (TID 4108)."""
    how = "HAS OBS CONTEXT"
    return [
        text(how, codes.TRACKING_IDENTIFIER, name),
        item(how, "UIDREF", codes.TRACKING_UNIQUE_IDENTIFIER, UID=uid),
    ]


def _algorithm(exam: ExamFindings) -> list[Facts]:
    how = "HAS PROPERTIES"
    return [
        text(how, codes.ALGORITHM_NAME, exam.system),
        text(how, codes.ALGORITHM_VERSION, exam.version),
        *(text(how, codes.ALGORITHM_PARAMETERS, words) for words in exact(exam)),
    ]


def performed(
    name: Concept, each: Sequence[Concept], algorithm: Sequence[Facts], places: Sequence[int]
) -> list[Facts]:
    """Expect each thing that was done, with the images at these places of the library."""
    images = [pointer("HAS PROPERTIES", *LIBRARY, place) for place in places]
    return [code("CONTAINS", name, one, *algorithm, *images) for one in each if images]


def done(
    summary: Concept, headings: tuple[Concept, Concept], items: Sequence[Sequence[Facts]]
) -> Facts:
    """Expect what succeeded and what failed, or that nothing was attempted (TID 4015, 4016)."""
    statuses = {
        (False, False): codes.NOT_ATTEMPTED,
        (True, False): codes.SUCCEEDED,
        (False, True): codes.FAILED,
        (True, True): codes.PARTIALLY_SUCCEEDED,
    }
    succeeded, failed = items
    held = [
        container("INFERRED FROM", heading, SEPARATE, below)
        for heading, below in zip(headings, items, strict=True)
        if below
    ]
    return code("CONTAINS", summary, statuses[bool(succeeded), bool(failed)], *held)
