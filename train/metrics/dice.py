"""Overlap of segmentations, gathered over a whole data set.

Le reports the mean over classes. A mean over images would divide zero by zero wherever a class
is absent, so intersections and sizes are summed first.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inference.findings import Mask


class Dice:
    """Gather predicted against true labels, image by image."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._pairs = np.zeros((classes, classes), dtype=np.int64)  # true, predicted

    def add(self, truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
        """Count one image, or a batch of them."""
        if truth.shape != predicted.shape:
            raise ValueError(
                f"labels of shape {truth.shape} and {predicted.shape}: both must be of one image"
            )
        for labels in (truth, predicted):
            if labels.size and not (labels.min() >= 0 and labels.max() < self._classes):
                # Unnoticed, it would be counted for another class.
                raise ValueError(f"a label is outside 0 to {self._classes - 1}")
        pairs = truth.astype(np.int64).ravel() * self._classes + predicted.ravel()
        counts = np.bincount(pairs, minlength=self._classes**2)
        self._pairs += counts.reshape(self._classes, self._classes)

    @classmethod
    def of(cls, pairs: ArrayLike) -> Self:
        """Take up what was counted before."""
        counts = np.asarray(pairs, dtype=np.int64)
        dice = cls(len(counts))
        dice._pairs += counts
        return dice

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Return the pixels that were counted, by their true class and the predicted one."""
        return self._pairs.copy()

    def by_class(self) -> NDArray[np.float64]:
        """Return 2 |A and B| / (|A| + |B|) of each class; NaN where it never occurs."""
        sizes = self._pairs.sum(axis=0) + self._pairs.sum(axis=1)
        both = 2.0 * np.diag(self._pairs)
        dice: NDArray[np.float64] = np.full(self._classes, np.nan)
        np.divide(both, sizes, out=dice, where=sizes > 0)
        return dice

    def mean(self) -> float:
        """Return the mean over the classes that occur."""
        return float(np.nanmean(self.by_class()))


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the overlap of two masks, as of one detected mass; NaN where both are empty.

    2 |A and B| / (|A| + |B|). Gao prints |A or B| below the line, by which a mask would agree
    with itself twofold.
    """
    if one.shape != other.shape:
        raise ValueError(f"masks of shape {one.shape} and {other.shape}: both must be of one image")
    sizes = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / sizes if sizes else float("nan")


def mask_dice(one: Mask, other: Mask) -> float:
    """Return the overlap of two findings' masks, wherever they lie in the image."""
    top, left = min(one.top, other.top), min(one.left, other.left)
    rows = max(mask.top + mask.pixels.shape[0] for mask in (one, other)) - top
    columns = max(mask.left + mask.pixels.shape[1] for mask in (one, other)) - left
    first, second = (
        Mask(mask.left - left, mask.top - top, mask.pixels).on(rows, columns)
        for mask in (one, other)
    )
    return dice(first, second)
