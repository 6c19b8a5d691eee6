"""Calcifications found in a segmentation, by intersection over prediction (Cao, section 4.2.2).

Annotated regions may be far larger than the calcifications in them, so a prediction is judged by
the part of itself that lies in the annotation, and a region counts once, however often it is hit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from train.metrics.froc import Curve

IOP_ABOVE = 0.25
SMALLEST_PX = 3  # smaller predictions are specks, neither true nor false


@dataclass(frozen=True, slots=True, eq=False)
class Annotation:
    """What is annotated in one image: regions numbered from 1, and the type of each."""

    regions: NDArray[np.integer]  # (row, column), 0 where nothing is annotated
    types: tuple[str, ...]  # of region 1, 2, ...: dot, vessel, large region

    def __post_init__(self) -> None:
        """Refuse regions without a type."""
        low, high = int(self.regions.min()), int(self.regions.max())
        if low < 0 or high > len(self.types):
            raise ValueError(
                f"regions numbered {low} to {high}, but {len(self.types)} types: "
                "number the regions from 1 and give each a type"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """One image at each threshold: which regions were found, how many predictions were false."""

    thresholds: tuple[float, ...]
    found: NDArray[np.bool_]  # (threshold, region)
    false: NDArray[np.int64]  # (threshold,)
    types: tuple[str, ...]


def hits(
    probabilities: NDArray[np.floating],
    annotation: Annotation,
    thresholds: Sequence[float],
    *,
    iop_above: float = IOP_ABOVE,
    smallest_px: int = SMALLEST_PX,
) -> Hits:
    """Judge one image's probabilities at each threshold."""
    if probabilities.shape != annotation.regions.shape:
        raise ValueError(
            f"probabilities of shape {probabilities.shape} and regions of shape "
            f"{annotation.regions.shape}: both must be of one image"
        )
    each = [
        found_regions(
            probabilities >= threshold,
            annotation.regions,
            iop_above=iop_above,
            smallest_px=smallest_px,
        )
        for threshold in thresholds
    ]
    numbers = np.arange(1, len(annotation.types) + 1)
    return Hits(
        thresholds=tuple(thresholds),
        found=np.array([np.isin(numbers, list(found)) for found, _ in each], dtype=np.bool_),
        false=np.array([false for _, false in each], dtype=np.int64),
        types=annotation.types,
    )


def found_regions(
    predicted: NDArray[np.bool_],
    regions: NDArray[np.integer],
    *,
    iop_above: float = IOP_ABOVE,
    smallest_px: int = SMALLEST_PX,
) -> tuple[frozenset[int], int]:
    """Return the regions that predictions find, and the number of false predictions.

    A prediction is a set of pixels that touch, corners included. A true one finds the region it
    shares most pixels with: if one blob found every region it touches, flooding would pay.
    """
    parts, count = ndimage.label(predicted, structure=np.ones((3, 3)))
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    shared = (parts > 0) & (regions > 0)
    inside = np.bincount(parts[shared], minlength=count + 1)
    large = sizes >= smallest_px
    large[0] = False  # no prediction, but what lies around them
    true = large & (inside > iop_above * sizes)
    pairs, pixels = np.unique(
        np.stack([parts[shared], regions[shared]]), axis=1, return_counts=True
    )
    most: dict[int, tuple[int, int]] = {}  # region and pixels of each prediction
    for (part, region), shares in zip(pairs.T.tolist(), pixels.tolist(), strict=True):
        if true[part] and shares > most.get(part, (0, 0))[1]:
            most[part] = region, shares
    return frozenset(region for region, _ in most.values()), int((large & ~true).sum())


def iop_curve(images: Sequence[Hits], of_type: str | None = None) -> Curve:
    """Return recall against false predictions per image; of one type, or of all.

    A false prediction has no type: Cao's table 4 sets the recall of each type against all of
    them. The curve need not be monotone; read it by its envelope.
    """
    if len({image.thresholds for image in images}) != 1:
        raise ValueError("images judged at different thresholds, or none: judge all at the same")
    found = np.concatenate(
        [
            image.found[:, [of_type is None or kind == of_type for kind in image.types]]
            for image in images
        ],
        axis=1,
    )
    order = np.argsort(images[0].thresholds)[::-1]
    false = sum((image.false for image in images), np.zeros(order.size, np.int64)) / len(images)
    recall = found.mean(axis=1) if found.shape[1] else np.full(order.size, np.nan)
    nothing = 0.0 if found.shape[1] else float("nan")
    return Curve(  # from the threshold that predicts nothing
        np.concatenate([[np.inf], np.asarray(images[0].thresholds)[order]]),
        np.concatenate([[0.0], false[order]]),
        np.concatenate([[nothing], recall[order]]),
    )


def recall_by_type(images: Sequence[Hits], false_per_image: float) -> dict[str, float]:
    """Return the recall of each type at this many false predictions per image (Cao, table 4)."""
    types = sorted({kind for image in images for kind in image.types})
    return {kind: iop_curve(images, kind).sensitivity_at(false_per_image) for kind in types}
