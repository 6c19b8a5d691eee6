"""What the CC and the MLO view show of one lesion, as one feature of a CAD SR (TID 4004, 4005)."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from pydicom.uid import UID

from dicom_node.reporting import codes, content, naming
from dicom_node.reporting.content import Item
from dicom_node.reporting.places import Pair


def features(
    pairs: Iterable[Pair], findings: Mapping[UID, Item], algorithm: Callable[[], Iterable[Item]]
) -> Iterator[Item]:
    """Tie the findings of each pair together; those of no pair stay as they are."""
    ties = list(pairs)
    seconds = {pair.oblique.uid for pair in ties}
    firsts = {pair.across.uid: pair for pair in ties}
    for uid, finding in findings.items():
        if uid in firsts:
            pair = firsts[uid]
            yield _feature(pair, (finding, findings[pair.oblique.uid]), algorithm())
        elif uid not in seconds:
            yield finding


def name(pair: Pair) -> str:
    """Name what two views show of one lesion."""
    return f"{pair.across.name} and {pair.oblique.name}"


def uid(pair: Pair) -> UID:
    """Name it for machines: by the lesions themselves, whose names last."""
    return naming.uid("pair", pair.across.uid, pair.oblique.uid)


def _feature(pair: Pair, findings: Iterable[Item], algorithm: Iterable[Item]) -> Item:
    item = content.code(codes.COMPOSITE_FEATURE, codes.LESIONS[pair.across.finding.kind])
    item.add(
        content.HAS_CONCEPT_MOD, content.code(codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)
    )
    item.add(
        content.HAS_OBS_CONTEXT,
        content.text(codes.TRACKING_IDENTIFIER, name(pair)),
        content.uid_reference(codes.TRACKING_UNIQUE_IDENTIFIER, uid(pair)),
    )
    item.add(
        content.HAS_PROPERTIES,
        content.code(codes.COMPOSITE_TYPE, codes.RELATED_SPATIALLY),
        content.code(codes.SCOPE_OF_FEATURE, codes.ON_MULTIPLE_IMAGES),
        *algorithm,
        *_scores(pair),
    )
    return item.add(content.INFERRED_FROM, *findings)


def _scores(pair: Pair) -> Iterator[Item]:
    """Be as sure, and as suspicious, as of the view that shows the lesion best."""
    both = (pair.across.finding, pair.oblique.finding)
    certainty = max(finding.score for finding in both)
    yield content.percent(codes.CERTAINTY_OF_FEATURE, certainty)
    judged = [found.cancer_score for found in both if found.cancer_score is not None]
    if judged:
        yield content.percent(codes.PROBABILITY_OF_CANCER, max(judged))
