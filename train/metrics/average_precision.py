"""Precision, averaged over recall: of a ranking of cases, and of boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.findings import Box
from train.metrics.froc import iou
from train.metrics.ranked import ranked


@dataclass(frozen=True, slots=True)
class Judged:
    """One image: the score of each mark and the lesion it was given, and how many lesions."""

    scores: tuple[float, ...]
    lesion: tuple[int | None, ...]  # None: a false mark
    lesions: int


def average_precision(
    truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return the precision at each step of recall, weighted by the step; nothing in between.

    NaN without positives. Its value by chance is the prevalence, so it compares only at one.
    """
    order = ranked(truth, scores, weights)
    if not order.yes.sum() > 0:
        return float("nan")
    precision = _ratio(np.cumsum(order.yes), np.cumsum(order.yes + order.no))
    return float((precision * order.yes).sum() / order.yes.sum())


def judged(
    marks: Sequence[tuple[Box, float]], lesions: Sequence[Box], *, iou_above: float = 0.5
) -> Judged:
    """Give each mark, surest first, the lesion not yet given that it overlaps most.

    A second mark on one lesion is false, as in the PASCAL VOC and COCO challenges; the FROC of
    this workshop counts it neither way.
    """
    given: list[int | None] = [None] * len(marks)
    free = set(range(len(lesions)))
    for place in sorted(range(len(marks)), key=lambda place: -marks[place][1]):
        shares = {number: iou(marks[place][0], lesions[number]) for number in sorted(free)}
        best = max(shares, key=shares.__getitem__, default=None)
        if best is not None and shares[best] > iou_above:
            given[place] = best
            free.remove(best)
    return Judged(tuple(score for _, score in marks), tuple(given), len(lesions))


def detection_average_precision(images: Sequence[Judged], *, levels: int | None = 101) -> float:
    """Return the mean precision over recall levels, all images together.

    At each level the best precision at that recall or more counts. COCO reads 101 levels, VOC
    2007 read 11; without levels the whole area is taken, as VOC has done since 2010. NaN
    without lesions.
    """
    recall, precision = recall_and_precision(images)
    if np.isnan(recall).any() or not any(image.lesions for image in images):
        return float("nan")
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if levels is None:
        return float((best * np.diff(recall, prepend=0.0)).sum())
    wanted = np.linspace(0, 1, levels)
    places = np.searchsorted(recall, wanted - 1e-12)
    return float(np.append(best, 0.0)[places].mean())


def detection_recall(images: Sequence[Judged], threshold: float = float("-inf")) -> float:
    """Return the part of the lesions given to a mark that scores at least the threshold."""
    lesions = sum(image.lesions for image in images)
    found = sum(
        lesion is not None and score >= threshold
        for image in images
        for score, lesion in zip(image.scores, image.lesion, strict=True)
    )
    return found / lesions if lesions else float("nan")


def recall_and_precision(
    images: Sequence[Judged],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and precision at each distinct score, highest first."""
    lesions = sum(image.lesions for image in images)
    order = ranked(
        [lesion is not None for image in images for lesion in image.lesion],
        [score for image in images for score in image.scores],
    )
    found = np.cumsum(order.yes)
    recall = found / lesions if lesions else np.full(found.shape, np.nan)
    return recall, _ratio(found, np.cumsum(order.yes + order.no))


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.zeros_like(part)
    np.divide(part, whole, out=ratio, where=whole > 0)  # weights of zero come before any case
    return ratio
