"""Lesions found against false marks, as the threshold moves (FROC)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.findings import Box

RULE = (
    "a mark finds a lesion when the IoU of their boxes exceeds 0.2 or the mark's center lies in "
    "the lesion's box; a mark that finds none is false; further marks on a found lesion count "
    "neither way"
)
_IOU = 0.2
OVERLAP_RULE = (
    "a mark finds a lesion when the IoU of their boxes exceeds 0.2; a mark that finds none is "
    "false; further marks on a found lesion count neither way"
)


@dataclass(frozen=True, slots=True)
class Marked:
    """One image: the surest mark on each lesion (-inf where there is none), the false marks."""

    found: tuple[float, ...]
    false: tuple[float, ...]
    weight: float = 1.0  # how many images of the population it stands for


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Sensitivity against false marks per image, threshold by threshold, highest first."""

    thresholds: NDArray[np.float64]
    false_per_image: NDArray[np.float64]
    sensitivity: NDArray[np.float64]

    def envelope(self) -> "Curve":
        """Return the points that no other one beats: fewer false marks and as many lesions.

        Where components grow together as the threshold falls, sensitivity may fall, and false
        marks too. Any threshold may be chosen, so the best of them is what the system can do.
        """
        order = np.lexsort((-self.thresholds, -self.sensitivity, self.false_per_image))
        best = np.maximum.accumulate(self.sensitivity[order])
        kept = order[np.diff(best, prepend=-np.inf) > 0]
        return Curve(self.thresholds[kept], self.false_per_image[kept], self.sensitivity[kept])

    def sensitivity_at(self, false_per_image: float) -> float:
        """Return the best sensitivity at no more false marks per image than this."""
        allowed = self.false_per_image <= false_per_image + 1e-9
        return float(self.sensitivity[allowed].max()) if allowed.any() else float("nan")


def marked(
    marks: Sequence[tuple[Box, float]],
    lesions: Sequence[Box],
    *,
    found_by: Callable[[Box, Box], bool] | None = None,
) -> Marked:
    """Judge the marks of one image, by `RULE` where no other is given."""
    found_by = found_by or finds
    hits = [[found_by(box, lesion) for lesion in lesions] for box, _ in marks]
    return Marked(
        found=tuple(
            max(
                (score for (_, score), hit in zip(marks, hits, strict=True) if hit[number]),
                default=float("-inf"),
            )
            for number in range(len(lesions))
        ),
        false=tuple(score for (_, score), hit in zip(marks, hits, strict=True) if not any(hit)),
    )


def finds(mark: Box, lesion: Box) -> bool:
    """Tell whether a mark finds a lesion; see `RULE`."""
    column, row = mark.center
    if lesion.left <= column < lesion.right and lesion.top <= row < lesion.bottom:
        return True
    return iou(mark, lesion) > _IOU


def overlapping(iou_above: float) -> Callable[[Box, Box], bool]:
    """Return the rule of overlap alone: Gao counts above 0.2, others above 0.5."""
    return lambda mark, lesion: iou(mark, lesion) > iou_above


def overlaps(mark: Box, lesion: Box) -> bool:
    """Tell whether a mark finds a lesion by `OVERLAP_RULE`, as published figures have it."""
    return iou(mark, lesion) > _IOU


def iou(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(one) + _area(other) - shared)


def at_threshold(images: Sequence[Marked], threshold: float) -> tuple[float, float]:
    """Return the sensitivity and the false marks per image of one threshold."""
    found, lesions = _flat(images, "found")
    false, marks = _flat(images, "false")
    sensitivity = lesions[found >= threshold].sum() / lesions.sum() if lesions.any() else np.nan
    per_image = marks[false >= threshold].sum() / _images(images) if images else np.nan
    return float(sensitivity), float(per_image)


def threshold_at(images: Sequence[Marked], false_per_image: float) -> float:
    """Return the lowest threshold that makes no more false marks than this."""
    false, marks = _flat(images, "false")
    order = np.argsort(-false, kind="stable")
    too_many = marks[order].cumsum() > false_per_image * _images(images) + 1e-9
    if not too_many.any():
        return 0.0
    return float(np.nextafter(false[order[too_many.argmax()]], np.inf))


def sensitivity_at(images: Sequence[Marked], false_per_image: float) -> float:
    """Return the part of the lesions found at this many false marks per image."""
    return at_threshold(images, threshold_at(images, false_per_image))[0]


def curve(images: Sequence[Marked]) -> Curve:
    """Return the curve over every score that occurs, from the threshold that marks nothing."""
    found, lesions = _flat(images, "found")
    false, marks = _flat(images, "false")
    scores = np.unique(np.concatenate([found, false]))[::-1]
    thresholds = np.concatenate([[np.inf], scores[np.isfinite(scores)]])
    hits = _from(found, lesions, thresholds)
    return Curve(
        thresholds,
        _from(false, marks, thresholds) / _images(images),
        hits / lesions.sum() if lesions.any() else np.full(thresholds.shape, np.nan),
    )


Numbers = NDArray[np.float64]


def _flat(images: Sequence[Marked], what: Literal["found", "false"]) -> tuple[Numbers, Numbers]:
    """Return the scores of all images' lesions or false marks, and the weight of each."""
    lists: list[tuple[float, ...]] = [getattr(image, what) for image in images]
    counts = [len(scores) for scores in lists]
    scores = np.array([score for one in lists for score in one], dtype=np.float64)
    return scores, np.repeat([image.weight for image in images], counts).astype(np.float64)


def _images(images: Sequence[Marked]) -> float:
    return math.fsum(image.weight for image in images)


def _from(scores: Numbers, weights: Numbers, thresholds: Numbers) -> Numbers:
    """Return the weight of the scores that reach each threshold."""
    order = np.argsort(scores)
    below = np.concatenate([[0.0], weights[order].cumsum()])
    reached: Numbers = below[-1] - below[np.searchsorted(scores[order], thresholds)]
    return reached


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)
