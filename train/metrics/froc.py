"""Lesions found against false marks, as the threshold moves (FROC)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inference.findings import Box

RULE = (
    "a mark finds a lesion when the IoU of their boxes exceeds 0.2 or the mark's center lies in "
    "the lesion's box; a mark that finds none is false; further marks on a found lesion count "
    "neither way"
)
_IOU = 0.2


@dataclass(frozen=True, slots=True)
class Marked:
    """One image: the surest mark on each lesion (-inf where there is none), the false marks."""

    found: tuple[float, ...]
    false: tuple[float, ...]


def marked(marks: Sequence[tuple[Box, float]], lesions: Sequence[Box]) -> Marked:
    """Judge the marks of one image."""
    hits = [[finds(box, lesion) for lesion in lesions] for box, _ in marks]
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


def iou(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    return shared / (_area(one) + _area(other) - shared)


def at_threshold(images: Sequence[Marked], threshold: float) -> tuple[float, float]:
    """Return the sensitivity and the false marks per image of one threshold."""
    found = np.array([score for image in images for score in image.found])
    false = sum(score >= threshold for image in images for score in image.false)
    sensitivity = float((found >= threshold).mean()) if found.size else float("nan")
    return sensitivity, false / len(images)


def threshold_at(images: Sequence[Marked], false_per_image: float) -> float:
    """Return the lowest threshold that makes no more false marks than this."""
    false = np.sort([score for image in images for score in image.false])[::-1]
    allowed = int(false_per_image * len(images) + 1e-9)
    if allowed >= false.size:
        return 0.0
    return float(np.nextafter(false[allowed], np.inf))


def sensitivity_at(images: Sequence[Marked], false_per_image: float) -> float:
    """Return the part of the lesions found at this many false marks per image."""
    return at_threshold(images, threshold_at(images, false_per_image))[0]


def _area(box: Box) -> float:
    return (box.right - box.left) * (box.bottom - box.top)
