"""What is checked of the features that two views of a CAD SR share."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes
from dicom_node.reporting.common_proof import Claim
from dicom_node.reporting.marks import Position, children, code_value, is_named, named, walk
from dicom_node.reporting.places import Pair, pairs

ROUNDING = 0.051  # percent


def features(claim: Claim) -> Iterator[str]:
    """Check that what two views show of one lesion is tied together, where that is wanted."""
    if claim.dataset.SOPClassUID != MammographyCADSRStorage:
        return
    items = dict(walk(claim.dataset))
    expected = (
        {_tied(pair): pair for pair in pairs(claim.sources)} if claim.profile.two_view else {}
    )
    there = [
        (position, item)
        for position, item in items.items()
        if is_named(item, codes.COMPOSITE_FEATURE)
    ]
    if len(there) != len(expected):
        yield f"{len(expected)} lesions are seen in two views, the report ties {len(there)}"
    for position, item in there:
        inferred = [child for child in children(item) if child.RelationshipType == "INFERRED FROM"]
        uids = frozenset(_tracking_uid(child) for child in inferred)
        if uids not in expected or len(uids) != len(inferred):
            yield "a feature ties findings together that are no pair"
            continue
        pair = expected[uids]
        for fault in _faults(item, items[position[:-1]], pair, claim):
            yield f"the feature of {pair.across.name} and {pair.oblique.name} {fault}"


def tied(position: Position, items: dict[Position, Dataset]) -> bool:
    """Say whether an item stands below a feature of several findings."""
    above = items.get(position[:-1])
    return above is not None and is_named(above, codes.COMPOSITE_FEATURE)


def _tied(pair: Pair) -> frozenset[str]:
    return frozenset({str(pair.across.uid), str(pair.oblique.uid)})


def _faults(item: Dataset, above: Dataset, pair: Pair, claim: Claim) -> Iterator[str]:
    kind = codes.LESIONS[pair.across.finding.kind]
    if code_value(item) not in (kind.value, kind.retired):
        yield f"is not called {kind.meaning}"
    if not is_named(above, codes.INDIVIDUAL_IMPRESSION) or item.RelationshipType != "CONTAINS":
        yield "stands in no impression of its own"
    for concept, wanted in (
        (codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED),
        (codes.COMPOSITE_TYPE, codes.RELATED_SPATIALLY),
        (codes.SCOPE_OF_FEATURE, codes.ON_MULTIPLE_IMAGES),
    ):
        said = named(item, concept)
        if said is None or code_value(said) != wanted.value:
            yield f"does not say '{wanted.meaning}'"
    for concept, words in (
        (codes.ALGORITHM_NAME, claim.exam.system),
        (codes.ALGORITHM_VERSION, claim.exam.version),
        (codes.TRACKING_IDENTIFIER, f"{pair.across.name} and {pair.oblique.name}"),
    ):
        told = named(item, concept)
        if told is None or told.TextValue != words:
            yield f"has another {concept.meaning} than '{words}'"
    if not _tracking_uid(item) or _tracking_uid(item) in _tied(pair):
        yield "has no tracking UID of its own"
    both = (pair.across.finding, pair.oblique.finding)
    judged = [found.cancer_score for found in both if found.cancer_score is not None]
    yield from _score_faults(item, codes.CERTAINTY_OF_FEATURE, max(one.score for one in both))
    yield from _score_faults(item, codes.PROBABILITY_OF_CANCER, max(judged, default=None))


def _score_faults(item: Dataset, concept: codes.Concept, score: float | None) -> Iterator[str]:
    told = named(item, concept)
    if told is None or score is None:
        if (told is None) != (score is None):
            yield f"has {'no' if told is None else 'a'} {concept.meaning}"
        return
    measured = told.MeasuredValueSequence[0]
    if measured.MeasurementUnitsCodeSequence[0].CodeValue != codes.PERCENT.value:
        yield f"has its {concept.meaning} in other units than percent"
    if abs(float(measured.NumericValue) - 100 * score) > ROUNDING:
        yield f"has another {concept.meaning} than its surest finding"


def _tracking_uid(item: Dataset) -> str:
    told = named(item, codes.TRACKING_UNIQUE_IDENTIFIER)
    return "" if told is None else str(told.UID)
