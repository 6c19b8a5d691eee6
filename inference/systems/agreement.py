"""Several bundles read one exam: one list of findings, each naming who saw it.

Boxes are joined as in weighted boxes fusion (Solovyev, Wang and Gabruseva 2021), but the score of
a joined finding is that of its surest member and not their mean: the members look for different
things, so that one of them is silent speaks little against what another one saw. How many saw it,
and how far they lie apart, is told beside the score instead of being mixed into it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, pstdev
from typing import NamedTuple

import numpy as np

from inference.bundle import joint_digest
from inference.findings import (
    Box,
    Correction,
    ExamFindings,
    Finding,
    Kind,
    Mask,
    Member,
    ViewFindings,
)
from inference.scores import corrected, logit_of, sigmoid, told

NAME = "agreement"
OVERLAP = 0.4  # intersection over union above which two boxes hold one lesion
LEAST_WEIGHT = 1e-6  # of a box in the mean, so that boxes of score 0 have one


class Sighting(NamedTuple):
    """A finding, and which member saw it."""

    member: int
    finding: Finding


def agreed(readings: Sequence[ExamFindings]) -> ExamFindings:
    """Make one reading of several, one a bundle; that of a single bundle stays as it is."""
    if len(readings) == 1:
        return readings[0]
    members = named(readings)
    scores = [member.cancer_score for member in members]
    calls = [reading.called_from for reading in readings]
    points = [member.operating_point for member in members]
    return ExamFindings(
        system=NAME,
        version="+".join(member.version for member in members),
        digest=joint_digest([member.digest for member in members]),
        operating_point=points[0] if len(set(points)) == 1 else "+".join(points),
        marks=tuple(kind for kind in Kind if any(kind in member.marks for member in members)),
        cancer_score=together(scores),
        views=tuple(
            _view(views, members)
            for views in zip(*(reading.views for reading in readings), strict=True)
        ),
        members=members,
        uncertainty=apart(scores),
        called_from=together(calls) if None not in calls else None,
    )


def decided(
    readings: Sequence[ExamFindings],
    theirs: Sequence[Correction | None],
    ours: Correction | None,
) -> ExamFindings:
    """Return what is told of an exam: the members' scores corrected, agreed, and corrected.

    Kept beside it is the score that would be told without any correction.
    """
    plain = agreed(readings)
    seen = plain
    if any(one is not None for one in theirs):
        seen = agreed([corrected(one, its) for one, its in zip(readings, theirs, strict=True)])
    return corrected(replace(seen, card_score=told(plain)), ours)


def named(readings: Sequence[ExamFindings]) -> tuple[Member, ...]:
    """Return who read, each with a name of its own: of two of one system, their places."""
    members = [member for reading in readings for member in reading.members]
    if len(members) != len(readings) or len(members) < 2:  # noqa: PLR2004 - one agrees with nobody
        raise ValueError(f"{len(readings)} readings of {len(members)} bundles cannot agree")
    systems = [member.system for member in members]
    return tuple(
        replace(member, name=f"{member.system} ({place})")
        if systems.count(member.system) > 1
        else member
        for place, member in enumerate(members, start=1)
    )


def together(scores: Sequence[float | None]) -> float | None:
    """Return the mean of those who judge, taken of their logits."""
    told = [score for score in scores if score is not None]
    if len(told) < 2:  # noqa: PLR2004 - one alone is right to the last digit
        return told[0] if told else None
    return sigmoid(fmean(map(logit_of, told)))


def apart(scores: Sequence[float | None]) -> float | None:
    """Return the standard deviation of those who judge, in logits; one alone has none."""
    told = [logit_of(score) for score in scores if score is not None]
    return pstdev(told) if len(told) > 1 else None


def _view(views: Sequence[ViewFindings], members: Sequence[Member]) -> ViewFindings:
    if len({view.sop_instance_uid for view in views}) > 1:
        raise ValueError("the members did not read the same views in the same order")
    scores = [view.cancer_score for view in views]
    return replace(
        views[0],
        cancer_score=together(scores),
        uncertainty=apart(scores),
        raw=None,
        findings=joined([view.findings for view in views], [member.name for member in members]),
    )


def joined(seen: Sequence[Sequence[Finding]], names: Sequence[str]) -> tuple[Finding, ...]:
    """Join what the members saw in one view, surest first.

    Each finding, the surest first, goes to the lesion of its kind whose box it shares most with.
    What one member holds apart stays apart: a lesion has at most one finding of each member.
    """
    sightings = [
        Sighting(member, finding) for member, found in enumerate(seen) for finding in found
    ]
    lesions: list[list[Sighting]] = []
    for one in sorted(sightings, key=lambda sighting: -sighting.finding.score):
        fitting = [lesion for lesion in lesions if _fits(one, lesion)]
        if fitting:
            box = one.finding.box
            max(fitting, key=lambda lesion: _mean_box(lesion).overlap(box)).append(one)
        else:
            lesions.append([one])
    return tuple(_finding(lesion, names) for lesion in lesions)


def same_place(one: Box, other: Box) -> bool:
    """Tell whether two boxes hold one lesion: they overlap, or one holds the other's center.

    A network that segments draws a tighter box than one that detects, so overlap is not enough.
    """
    return one.overlap(other) > OVERLAP or _holds(one, other) or _holds(other, one)


def voted(masks: Sequence[Mask]) -> Mask:
    """Return the pixels that at least half of the masks hold: of two, their union.

    An outline that is looked at may not lose what one of two saw; the more masks, the more it
    takes. Dots that several saw at different places have no such pixel: then the first one's stay.
    """
    left, top = min(mask.left for mask in masks), min(mask.top for mask in masks)
    bottom = max(mask.top + mask.pixels.shape[0] for mask in masks)
    right = max(mask.left + mask.pixels.shape[1] for mask in masks)
    votes = np.zeros((bottom - top, right - left), dtype=np.int_)
    for mask in masks:
        height, width = mask.pixels.shape
        down, across = mask.top - top, mask.left - left
        votes[down : down + height, across : across + width] += mask.pixels
    held = 2 * votes >= len(masks)
    if not held.any():
        return masks[0]
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    return Mask(
        left=left + int(columns[0]),
        top=top + int(rows[0]),
        pixels=held[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
    )


def _fits(one: Sighting, lesion: Sequence[Sighting]) -> bool:
    return (
        lesion[0].finding.kind is one.finding.kind
        and all(sighting.member != one.member for sighting in lesion)
        and same_place(_mean_box(lesion), one.finding.box)
    )


def _finding(lesion: Sequence[Sighting], names: Sequence[str]) -> Finding:
    """Describe a lesion by all who saw it; they come surest first."""
    surest = lesion[0].finding
    judged = [found.cancer_score for _, found in lesion if found.cancer_score is not None]
    masks = [found.mask for _, found in lesion if found.mask is not None]
    in_order = sorted(lesion, key=lambda sighting: sighting.member)
    scores = tuple(found.score for _, found in in_order)
    return Finding(
        kind=surest.kind,
        box=_mean_box(lesion),
        score=surest.score,
        cancer_score=fmean(judged) if judged else None,
        mask=voted(masks) if masks else None,
        systems=tuple(names[member] for member, _ in in_order),
        scores=scores,
        uncertainty=apart(scores),
    )


def _mean_box(lesion: Sequence[Sighting]) -> Box:
    """Return the mean of the boxes, each as heavy as it is sure."""
    weights = [max(found.score, LEAST_WEIGHT) for _, found in lesion]

    def mean(*edges: float) -> float:
        total = math.fsum(weight * edge for weight, edge in zip(weights, edges, strict=True))
        # Rounding may not push the mean beyond the edges themselves.
        return max(min(edges), min(total / math.fsum(weights), max(edges)))

    boxes = [found.box for _, found in lesion]
    return Box(
        left=mean(*(box.left for box in boxes)),
        top=mean(*(box.top for box in boxes)),
        right=mean(*(box.right for box in boxes)),
        bottom=mean(*(box.bottom for box in boxes)),
    )


def _holds(one: Box, other: Box) -> bool:
    column, row = other.center
    return one.left <= column < one.right and one.top <= row < one.bottom
