"""Whether a device's exams get other scores than those on which the bundle's card rests.

The card's deciles cut the scores into ten parts of equal size. How far a device's exams fill them
otherwise is the population stability index, less what as many exams would show by chance. Scores
are those of the card's own calibration: what a site corrects moves nothing here.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from dicom_node.errors import Misconfigured
from dicom_node.ledger.scores import last_logits, was_drifting, was_seen_before
from dicom_node.wiring import Node
from inference.scores import sigmoid

if TYPE_CHECKING:
    from inference.bundle import Card, Reference

DEVICES = 20  # so many at most are told of, of those that are judged and of those that are not
CALM = 0.8  # of the alarm: below, scores that drifted are steady again


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a device's scores lie from those of the card; None: it sent too few exams to tell."""

    device: str
    bundle: str
    digest: str
    drift: float | None
    exams: int
    wanted: int  # so many it takes
    mean: float | None
    alarm: bool


def drift_from(reference: "Reference", scores: Sequence[float]) -> float:
    """Return how far scores are spread otherwise than the reference; chance is taken off."""
    edges = sorted(set(reference.deciles))
    below = [bisect_right(reference.deciles, edge) / (len(reference.deciles) + 1) for edge in edges]
    expected = [after - before for before, after in pairwise([0.0, *below, 1.0])]
    counts = [0] * len(expected)
    for score in scores:
        counts[bisect_left(edges, score)] += 1
    parts = len(expected)
    seen = [(count + 0.5) / (len(scores) + 0.5 * parts) for count in counts]
    index = sum((s - e) * math.log(s / e) for s, e in zip(seen, expected, strict=True))
    return max(0.0, index - (parts - 1) * (1 / len(scores) + 1 / reference.exams))


def drifts(node: Node, device: str = "") -> list[Drift]:
    """Look at each device, or at one: the furthest first, last those that sent too few exams."""
    try:
        cards = node.cards
    except Misconfigured:
        return []  # nobody reads; that is told elsewhere
    found = [one for card in cards for one in _drifts(node, card, device)]
    judged = sorted(
        (one for one in found if one.drift is not None), key=lambda one: -(one.drift or 0)
    )
    unjudged = sorted((one for one in found if one.drift is None), key=lambda one: -one.exams)
    return judged[:DEVICES] + unjudged[:DEVICES]


def _drifts(node: Node, card: "Card", device: str) -> Iterator[Drift]:
    how, reference, line = node.settings.watching.drift, card.reference, card.calibration
    if reference is None or line is None:
        return
    lately = last_logits(node.engine, card.weights_sha256, how.exams, device)
    for name, logits in lately.items():
        newest = [sigmoid(line.logit(raw)) for raw in logits]
        drift = drift_from(reference, newest) if len(newest) >= how.least else None
        yield Drift(
            device=name,
            bundle=f"{card.name} {card.version}",
            digest=card.weights_sha256,
            drift=None if drift is None else round(drift, 3),
            exams=len(newest),
            wanted=how.least,
            mean=None if drift is None else round(sum(newest) / len(newest), 3),
            alarm=drift is not None and drift >= how.alarm,
        )


def watch_scores(node: Node, case_id: int) -> None:
    """Record what a case that was read has changed: a device never seen, scores that drift."""
    run = node.questions.run_of(case_id)
    if run is None or not run.imaged_by:
        return
    device = run.imaged_by
    if not was_seen_before(node.engine, device, case_id):
        node.ledger.record("new device", f"{device}: never read before", device=device)
    for one in drifts(node, device):
        _tell(node, one)


def _tell(node: Node, one: Drift) -> None:
    """Record that scores begin to drift, or are steady again."""
    if one.drift is None:
        return
    before = was_drifting(node.engine, one.device, one.digest)
    about = {"device": one.device, "digest": one.digest, "drift": one.drift, "exams": one.exams}
    said = f"{one.device}: {sentence(one)}"
    if one.alarm and not before:
        node.ledger.record("scores drift", said, **about)
    elif before and one.drift < CALM * node.settings.watching.drift.alarm:
        node.ledger.record("scores steady", said, **about)


def drift_told(node: Node) -> list[dict[str, Any]]:
    """Tell how far each device's scores lie from the card's, as plain values."""
    return [
        asdict(one) | {"judged": one.drift is not None, "sentence": sentence(one)}
        for one in drifts(node)
    ]


def sentence(one: Drift) -> str:
    """Say how far a device's scores lie from the card's."""
    if one.drift is None:
        count = f"{one.exams} exams of the {one.wanted} it takes"
        return f"not judged yet: {one.bundle} has scored {count}"
    return (
        f"the last {one.exams} exams lie {one.drift:.2f} from the card of {one.bundle}, "
        f"their mean score is {one.mean:.3f}"
    )
