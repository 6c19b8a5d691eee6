"""What is checked in a structured report before it may leave."""

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, MammographyCADSRStorage

from dicom_node.reporting import cad_sr_proof, codes, measurement_report_proof
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.common_proof import Check, Claim, Referring, listed
from dicom_node.reporting.composite_proof import features, tied
from dicom_node.reporting.marks import (
    children,
    code_value,
    identifier,
    is_named,
    marks,
    name_value,
    named,
    points,
    source_uid,
    walk,
)
from dicom_node.reporting.outline import MIN_POINTS, Point
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.reporting.status_proof import attempted
from dicom_node.reporting.unread import not_read
from dicom_node.reporting.words import exam_score, promised, seen_by, several
from dicom_node.settings.reporting import RESEARCH_USE
from inference.findings import Finding

TEMPLATES = {MammographyCADSRStorage: "4000", ComprehensiveSRStorage: "1500"}
UNITS = {
    codes.CERTAINTY_OF_IMPRESSION: {"%"},
    codes.CERTAINTY_OF_FINDING: {"%"},
    codes.PROBABILITY_OF_CANCER: {"%"},
    codes.AREA: {"mm2"},
    codes.NUMBER_OF_CALCIFICATIONS: {"1"},
    codes.HORIZONTAL_PIXEL_SPACING: {"um", "mm"},
    codes.VERTICAL_PIXEL_SPACING: {"um", "mm"},
}
RELATIONSHIPS = {
    codes.INDIVIDUAL_IMPRESSION: "INFERRED FROM",
    codes.SINGLE_IMAGE_FINDING: "CONTAINS",
    codes.CENTER: "HAS PROPERTIES",
    codes.OUTLINE: "HAS PROPERTIES",
    codes.IMAGE_REGION: "CONTAINS",
}
PERCENT_ROUNDING = 0.051
SLACK = 1.0  # pixels an outline may lie outside of the box and the mask it was drawn from


def document(claim: Referring) -> Iterator[str]:
    """Check what the report says of itself."""
    dataset = claim.dataset
    template = dataset.get("ContentTemplateSequence")
    if not template or template[0].TemplateIdentifier != TEMPLATES[dataset.SOPClassUID]:
        yield f"the content template is not TID {TEMPLATES[dataset.SOPClassUID]}"
    if dataset.get("CompletionFlag") != "COMPLETE":
        yield "the report is not marked COMPLETE"
    if dataset.get("VerificationFlag") != "UNVERIFIED":
        yield "the report is not marked UNVERIFIED"
    first = children(dataset)[0]
    if not is_named(first, codes.LANGUAGE):
        yield "the report does not begin with its language"


def statement(claim: Claim) -> Iterator[str]:
    """Check that people can read what the report must not be used for, nor be taken to say."""
    said = (codes.IMPRESSION_DESCRIPTION, codes.COMMENT)
    words = [
        str(item.TextValue)
        for _, item in walk(claim.dataset)
        if any(is_named(item, concept) for concept in said)
    ]
    if not any(RESEARCH_USE in text.lower() for text in words):
        yield f"no text of the report says '{RESEARCH_USE}'"
    for sentence in (
        *exam_score(claim.exam, claim.given),
        *promised(claim.sources, claim.exam),
        *not_read(claim.unread),
        *claim.remarks,
    ):
        if not any(sentence in text for text in words):
            yield f"no text of the report says '{sentence}'"


def evidence(claim: Referring) -> Iterator[str]:
    """Check that every image in the tree is listed in the evidence, in its own series."""
    items = claim.dataset.get("CurrentRequestedProcedureEvidenceSequence")
    if not items:
        yield "the report lists no evidence"
        return
    series = listed([each for study in items for each in study.ReferencedSeriesSequence])
    if any(study.StudyInstanceUID != claim.dataset.StudyInstanceUID for study in items):
        yield "the evidence is of another study"
    for _, item in walk(claim.dataset):
        if item.get("ValueType") == "IMAGE":
            uid = str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            header = claim.headers.get(uid)
            if header is not None and uid not in series.get(header.SeriesInstanceUID, set()):
                yield f"the evidence does not list {uid} in its series"


def tree(claim: Referring) -> Iterator[str]:
    """Check how the items hang together."""
    items = dict(walk(claim.dataset))
    for position, item in items.items():
        where = ".".join(map(str, position))
        if "ReferencedContentItemIdentifier" in item:
            target = items.get(identifier(item))
            if target is None or target.get("ValueType") != "IMAGE":
                yield f"item {where} points at no image"
            continue
        for concept, relationship in RELATIONSHIPS.items():
            # What two views show of one lesion is inferred from what each shows (TID 4004).
            wanted = "INFERRED FROM" if tied(position, items) else relationship
            if is_named(item, concept) and item.get("RelationshipType") != wanted:
                yield f"item {where} ({concept.meaning}) is not {wanted}"
        for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
            for code in item.get(keyword, []):
                if str(code.CodingSchemeDesignator).startswith("99"):
                    yield f"item {where} has a private code"


def units(claim: Referring) -> Iterator[str]:
    """Check that measured values are in the units their names promise."""
    for _, item in walk(claim.dataset):
        if item.get("ValueType") == "NUM":
            unit = str(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue)
            for concept, allowed in UNITS.items():
                same = (name_value(item) or ("",))[0] in (concept.value, concept.retired)
                if same and unit not in allowed:
                    yield f"{concept.meaning} is measured in {unit}"


def drawings(claim: Claim) -> Iterator[str]:
    """Check that what is drawn is a point or a closed line inside a source image."""
    items = dict(walk(claim.dataset))
    by_reference = claim.dataset.SOPClassUID == MammographyCADSRStorage
    for position, item in items.items():
        if item.get("ValueType") != "SCOORD":
            continue
        where = ".".join(map(str, position))
        path = points(item)
        yield from (f"item {where} {fault}" for fault in _shape_faults(item, path))
        selected = children(item)
        if by_reference and "ReferencedContentItemIdentifier" not in selected[0]:
            yield f"item {where} names its image by value; TID 4021 wants a reference"
        header = claim.headers.get(source_uid(item, items) or "")
        if header is None:
            yield f"item {where} is drawn on no source image"
        elif not all(0 <= x <= header.Columns and 0 <= y <= header.Rows for x, y in path):
            yield f"item {where} leaves the image"


def _shape_faults(item: Dataset, path: Sequence[Point]) -> Iterator[str]:
    shape = item.get("GraphicType")
    if shape == "POINT":
        if len(path) != 1:
            yield f"is a point of {len(path)} points"
    elif shape == "POLYLINE":
        if path[0] != path[-1]:
            yield "is an open line"
        if len(path) <= MIN_POINTS:
            yield f"is a line of only {len(path)} points"
    else:
        yield f"is drawn as {shape}"


def one_image(claim: Claim) -> Iterator[str]:
    """Check that a measurement report is about one image; OHIF draws no more of it."""
    if claim.dataset.SOPClassUID != MammographyCADSRStorage and len(spoken_of(claim)) != 1:
        yield f"the report is about {len(spoken_of(claim))} images; OHIF draws one"


def spoken_of(claim: Claim) -> Sequence[Source]:
    """Return the sources a report is about: all of them, or those in its evidence."""
    if claim.dataset.SOPClassUID == MammographyCADSRStorage:
        return claim.sources
    items = claim.dataset.get("CurrentRequestedProcedureEvidenceSequence") or []
    series = listed([each for study in items for each in study.ReferencedSeriesSequence])
    uids = {uid for each in series.values() for uid in each}
    return [source for source in claim.sources if source.view.sop_instance_uid in uids]


def findings(claim: Claim) -> Iterator[str]:
    """Check that the report holds the findings of its images, each once and each in its own."""
    is_cad = claim.dataset.SOPClassUID == MammographyCADSRStorage
    items = dict(walk(claim.dataset))
    holder = codes.SINGLE_IMAGE_FINDING if is_cad else codes.MEASUREMENT_GROUP
    held = [item for item in items.values() if is_named(item, holder)]
    expected = {
        str(lesion.uid): (source, lesion)
        for source in spoken_of(claim)
        for lesion in source.lesions
    }
    if len(held) != len(expected):
        whose = "exam has" if is_cad else "image has"
        yield f"the {whose} {len(expected)} findings, the report {len(held)}"
    names = [named(item, codes.TRACKING_UNIQUE_IDENTIFIER) for item in held]
    uids = [str(name.UID) if name is not None else "" for name in names]
    if len(set(uids)) != len(uids):
        yield "two findings have one tracking UID"
    for item, uid in zip(held, uids, strict=True):
        if uid not in expected:
            yield f"a finding has no tracking UID of the exam's, but '{uid}'"
            continue
        source, lesion = expected[uid]
        faults = _finding_faults(item, source, lesion, claim, items)
        yield from (f"{lesion.name} {fault}" for fault in faults)
    drawn = {mark.tracking_uid for mark in marks(claim.dataset)}
    if drawn != set(expected):
        yield f"a viewer would draw {len(drawn)} of {len(expected)} findings"


def _finding_faults(
    item: Dataset,
    source: Source,
    lesion: Lesion,
    claim: Claim,
    items: dict[tuple[int, ...], Dataset],
) -> Iterator[str]:
    is_cad = claim.dataset.SOPClassUID == MammographyCADSRStorage
    kinds, holder = (
        (codes.DETECTIONS, item) if is_cad else (codes.LESIONS, named(item, codes.FINDING))
    )
    kind = kinds[lesion.finding.kind]
    if holder is None or code_value(holder) not in (kind.value, kind.retired):
        yield f"is not called {kind.meaning}"
    if not _text(item, codes.TRACKING_IDENTIFIER):
        yield "has no tracking identifier"
    if is_cad and named(item, codes.RENDERING_INTENT) is None:
        yield "has no rendering intent"
    yield from _algorithm_faults(item, claim)
    if several(claim.exam) and seen_by(lesion, claim.exam) not in _texts(
        item, codes.ALGORITHM_PARAMETERS
    ):
        yield "does not say who saw it"
    yield from _score_faults(item, lesion.finding)
    for concept in (codes.CENTER, codes.OUTLINE) if is_cad else (codes.IMAGE_REGION,):
        drawn = named(item, concept)
        if drawn is None:
            yield f"has no {concept.meaning}"
        elif source_uid(drawn, items) != source.view.sop_instance_uid:
            yield f"has its {concept.meaning} in another image"
        elif not all(_is_near(point, lesion.finding) for point in points(drawn)):
            yield f"has its {concept.meaning} elsewhere in the image"


def _is_near(point: Point, finding: Finding) -> bool:
    """Say whether a point lies where the finding does, to a pixel."""
    box, mask = finding.box, finding.mask
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    if mask is not None:
        height, width = mask.pixels.shape
        left, top = min(left, mask.left), min(top, mask.top)
        right, bottom = max(right, mask.left + width), max(bottom, mask.top + height)
    x, y = point
    return left - SLACK <= x <= right + SLACK and top - SLACK <= y <= bottom + SLACK


def _algorithm_faults(item: Dataset, claim: Claim) -> Iterator[str]:
    if _text(item, codes.ALGORITHM_NAME) != claim.exam.system:
        yield "does not name its algorithm"
    if _text(item, codes.ALGORITHM_VERSION) != claim.exam.version:
        yield "does not give the version of its algorithm"


def _score_faults(item: Dataset, finding: Finding) -> Iterator[str]:
    for concept, score in (
        (codes.CERTAINTY_OF_FINDING, finding.score),
        (codes.PROBABILITY_OF_CANCER, finding.cancer_score),
    ):
        if not _is_percent(named(item, concept), score):
            yield f"has another {concept.meaning} than the exam"


def _is_percent(item: Dataset | None, score: float | None) -> bool:
    if item is None or score is None:
        return item is None and score is None
    written = float(item.MeasuredValueSequence[0].NumericValue)
    return abs(written - 100 * score) < PERCENT_ROUNDING


def _text(item: Dataset, concept: Concept) -> str:
    return next(iter(_texts(item, concept)), "")


def _texts(item: Dataset, concept: Concept) -> list[str]:
    return [str(child.get("TextValue", "")) for child in children(item) if is_named(child, concept)]


def summary(claim: Claim) -> Iterator[str]:
    """Check the answer of a CAD report, the exam's score, and what was looked for."""
    if claim.dataset.SOPClassUID != MammographyCADSRStorage:
        return
    items = [item for _, item in walk(claim.dataset)]
    answer = named(claim.dataset, codes.FINDINGS_SUMMARY)
    if answer is None:
        yield "the report has no summary of its findings"
        return
    missed = any(one.missed for one in claim.unread)
    expected = codes.ANSWERS[missed, bool(claim.exam.findings)]
    if code_value(answer) != expected.value:
        yield f"the summary does not say '{expected.meaning}'"
    if not _is_percent(named(answer, codes.CERTAINTY_OF_IMPRESSION), claim.exam.cancer_score):
        yield "the summary has another score than the exam"
    performed = [item for item in items if is_named(item, codes.DETECTION_PERFORMED)]
    analyses = [item for item in items if is_named(item, codes.ANALYSIS_PERFORMED)]
    detected = [codes.DETECTIONS[kind] for kind in claim.exam.marks]
    judged = [] if claim.exam.cancer_score is None else [codes.OVERALL_IMPRESSION_ANALYSIS]
    partly = codes.PARTIALLY_SUCCEEDED if missed else codes.SUCCEEDED
    times = 2 if missed else 1  # once for the images that were read, once for the others
    yield from _done_faults(claim, codes.SUMMARY_OF_DETECTIONS, performed, times * detected, partly)
    yield from _done_faults(claim, codes.SUMMARY_OF_ANALYSES, analyses, times * judged, partly)
    for item in (answer, *performed, *analyses):
        yield from (f"the summary {fault}" for fault in _algorithm_faults(item, claim))


def _done_faults(
    claim: Claim,
    concept: Concept,
    items: Sequence[Dataset],
    expected: Sequence[Concept],
    succeeded: Concept = codes.SUCCEEDED,
) -> Iterator[str]:
    """Check that what was done is listed, all of it and no more, and else said to be left out."""
    done = sorted(code_value(item) for item in items)
    spelled = [sorted(c.value for c in expected), sorted(c.retired or c.value for c in expected)]
    if done not in spelled:
        yield f"the {concept.meaning} lists {', '.join(done) or 'nothing'}, not {spelled[0]}"
    told = named(claim.dataset, concept)
    status = succeeded if expected else codes.NOT_ATTEMPTED
    if told is None or code_value(told) != status.value:
        yield f"the {concept.meaning} does not say '{status.meaning}'"
    elif not expected and children(told):
        yield f"the {concept.meaning} holds something although nothing was attempted"


def contents(claim: Claim) -> Iterator[str]:
    """Check everything else that the report holds."""
    kind = {MammographyCADSRStorage: cad_sr_proof, ComprehensiveSRStorage: measurement_report_proof}
    yield from kind[claim.dataset.SOPClassUID].contents(claim)


CHECKS: tuple[Check, ...] = (
    document,
    statement,
    evidence,
    tree,
    units,
    drawings,
    one_image,
    findings,
    features,
    summary,
    attempted,
    contents,
)
