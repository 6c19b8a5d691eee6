"""Content items that are expected in a structured report."""

from collections.abc import Iterable, Iterator, Sequence

from pydicom.dataset import Dataset

from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.expected_frame import (
    Subject,
    evidence,
    frame,
    predecessors,
    reference,
    requests,
)
from dicom_node.reporting.facts import Facts, Maybe, Near, Path
from dicom_node.reporting.outline import Point
from inference.findings import ExamFindings

HALF_A_TENTH = 0.0501  # percents are written with one decimal
A_HUNDREDTH = 0.0101


def item(
    relationship: str, value_type: str, name: Concept | None, *below: Facts, **values: object
) -> Facts:
    """Expect an item, and below it these and no others."""
    facts: dict[str, object] = {
        "RelationshipType": relationship,
        "ValueType": value_type,
        **values,
    }
    if name is not None:
        facts["ConceptNameCodeSequence"] = name
    if below:
        facts["ContentSequence"] = list(below)
    return facts


def container(relationship: str, name: Concept, flow: str, below: Iterable[Facts]) -> Facts:
    """Expect a heading."""
    return item(relationship, "CONTAINER", name, *below, ContinuityOfContent=flow)


def code(relationship: str, name: Concept, value: Concept, *below: Facts) -> Facts:
    """Expect a coded answer."""
    return item(relationship, "CODE", name, *below, ConceptCodeSequence=value)


def text(relationship: str, name: Concept, words: object) -> Facts:
    """Expect words."""
    return item(relationship, "TEXT", name, TextValue=words)


def number(relationship: str, name: Concept, value: Near, unit: Concept) -> Facts:
    """Expect a measured value; highdicom adds the same with more digits where there are more."""
    measured = {
        "NumericValue": value,
        "FloatingPointValue": Maybe(value),
        "MeasurementUnitsCodeSequence": unit,
    }
    return item(relationship, "NUM", name, MeasuredValueSequence=[measured])


def percent(relationship: str, name: Concept, share: float) -> Facts:
    """Expect a score, written as a percentage of one decimal."""
    return number(relationship, name, Near(100 * share, HALF_A_TENTH), codes.PERCENT)


def drawing(
    relationship: str, name: Concept, shape: str, points: Sequence[Point], image: Facts
) -> Facts:
    """Expect something drawn in an image."""
    drawn = Path(points)
    return item(relationship, "SCOORD", name, image, GraphicType=shape, GraphicData=drawn)


def image(relationship: str, name: Concept | None, header: Dataset, *below: Facts) -> Facts:
    """Expect an image by value."""
    referred = [reference(header)]
    return item(relationship, "IMAGE", name, *below, ReferencedSOPSequence=referred)


def pointer(relationship: str, *position: int) -> Facts:
    """Expect an item that is another one, by its place in the tree."""
    return {
        "RelationshipType": relationship,
        "ReferencedContentItemIdentifier": list(position),
    }


def exact(exam: ExamFindings) -> Iterator[str]:
    """Expect the exact weights and thresholds behind a result."""
    yield f"bundle sha256 {exam.digest}"
    yield f"operating point {exam.operating_point}"


def members(exam: ExamFindings) -> Iterator[str]:
    """Expect each of several who agreed."""
    for each in exam.members if len(exam.members) > 1 else ():
        yield (
            f"member {each.name} {each.version}, bundle sha256 {each.digest}, "
            f"operating point {each.operating_point}"
        )


def settings(digest: str) -> Iterator[str]:
    """Expect the digest of the settings, where it is known."""
    if digest:
        yield f"settings sha256 {digest}"


def document(of: Subject, headers: Sequence[Dataset]) -> dict[str, object]:
    """Expect what every structured report about these images has around its content."""
    facts: dict[str, object] = {
        **frame(of),
        "Modality": "SR",
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ReferencedPerformedProcedureStepSequence": [],
        "PerformedProcedureCodeSequence": [],
        "CurrentRequestedProcedureEvidenceSequence": evidence(headers),
        "ValueType": "CONTAINER",
    }
    if asked := list(requests(of.header)):
        facts["ReferencedRequestSequence"] = asked
    if (before := predecessors(of)) is not None:
        facts["PredecessorDocumentsSequence"] = before
    return facts


def template(identifier: str) -> list[Facts]:
    """Expect the name of the template an item follows."""
    return [{"MappingResource": "DCMR", "TemplateIdentifier": identifier}]
