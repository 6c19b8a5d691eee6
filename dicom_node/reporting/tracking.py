"""Which lesion of an earlier round a finding is, so that it keeps its name and its UID.

Viewers and people follow a lesion by these. A number once given is not given again within a study:
"LCC mass 2" of round 2 is never another lesion than "LCC mass 2" of round 1.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.uid import UID
from scipy.optimize import linear_sum_assignment

from dicom_node.reporting import naming
from inference.findings import Box, ExamFindings, Finding, Kind, ViewFindings

SAME_PLACE = 0.2  # intersection over union; a box of half the edges within another has 0.25


@dataclass(frozen=True, slots=True)
class Name:
    """What every object calls a lesion."""

    words: str  # "LCC mass 1"
    uid: UID


@dataclass(frozen=True, slots=True)
class Known:
    """A lesion that an earlier round named, and where it was seen last."""

    name: Name
    sop_uid: str
    kind: Kind
    box: Box


@dataclass(frozen=True, slots=True)
class Spot:
    """Which finding of an exam this is; of several that are alike, which of them."""

    sop_uid: str
    kind: Kind
    box: Box
    score: float
    turn: int


Names = Mapping[Spot, Name]


def spots(view: ViewFindings) -> Iterator[tuple[Spot, Finding]]:
    """Tell the findings of a view apart, whichever of them are left out."""
    turns = Counter[tuple[Kind, Box, float]]()
    for finding in view.findings:
        alike = finding.kind, finding.box, finding.score
        turns[alike] += 1
        yield Spot(view.sop_instance_uid, *alike, turns[alike]), finding


def named(exam: ExamFindings, known: Sequence[Known], bundle: str) -> dict[Spot, Name]:
    """Name the findings of an exam: those seen before as before, the others by fresh numbers."""
    last = _last_numbers(known)
    names: dict[Spot, Name] = {}
    for view in exam.views:
        found = [spot for spot, _ in spots(view)]
        again = _seen_again(found, known)
        for spot in found:
            if spot in again:
                names[spot] = again[spot].name
                continue
            series = f"{view.side}{view.projection} {spot.kind}"
            last[series] += 1
            names[spot] = _fresh(spot, f"{series} {last[series]}", bundle)
    return names


def _fresh(spot: Spot, words: str, bundle: str) -> Name:
    box = spot.box
    edges = (f"{edge:.1f}" for edge in (box.left, box.top, box.right, box.bottom))
    return Name(words, naming.tracking_uid(bundle, spot.sop_uid, words, *edges))


def _last_numbers(known: Sequence[Known]) -> Counter[str]:
    """Return the highest number that was given in each series of names, such as "LCC mass"."""
    last = Counter[str]()
    for lesion in known:
        series, _, number = lesion.name.words.rpartition(" ")
        last[series] = max(last[series], int(number))
    return last


def _seen_again(found: Sequence[Spot], known: Sequence[Known]) -> dict[Spot, Known]:
    """Pair findings with known lesions of the image, so that the pairs overlap most in all."""
    pairs: dict[Spot, Known] = {}
    for kind in Kind:
        here = [spot for spot in found if spot.kind is kind]
        there = [
            lesion
            for lesion in known
            if here and lesion.kind is kind and lesion.sop_uid == here[0].sop_uid
        ]
        shared = np.array(
            [[_near(spot.box, lesion.box) for lesion in there] for spot in here]
        ).reshape(len(here), len(there))
        for row, column in zip(*linear_sum_assignment(shared, maximize=True), strict=True):
            if shared[row, column] > 0:
                pairs[here[row]] = there[column]
    return pairs


def _near(one: Box, other: Box) -> float:
    """Return how much two boxes share; nothing where that is too little for one lesion."""
    share = one.overlap(other)
    return share if share >= SAME_PLACE else 0.0
