"""Lines of single black and bright pixels, found and removed (Cao, section 2.2.1).

A detector's broken column looks like a row of microcalcifications. It is told from tissue by two
facts: its dots are one pixel small, and they stand in one column.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[np.float32]
Profile = NDArray[np.float64]
Columns = NDArray[np.intp]

_MEDIAN_PX = 31  # columns over which tissue changes slowly
_DEVIATIONS = 8.0  # a column this far above the others' noise is broken
_NORMAL = 1.4826  # of a median absolute deviation, in a normal distribution's standard deviations
_FEW_PX = 10  # as many pixels of one column may be calcifications
_LEAST_PULSE = 1e-6  # of grey; below it there are only rounding errors
_LEAST_SIDE_PX = 3  # fewer columns have no inner one


@dataclass(frozen=True, slots=True, eq=False)
class Cleaned:
    """A picture without lines, and the columns that were replaced."""

    picture: Picture
    columns: tuple[int, ...]


def breast_alone(picture: Picture) -> Picture:
    """Make everything black but the largest connected part that is not: letters are no breast.

    Letters are sharp, as broken columns are, so this comes first.
    """
    parts, count = ndimage.label(picture > 0, structure=np.ones((3, 3)))
    if not count:
        return picture
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.where(parts == sizes.argmax(), picture, np.float32(0))


def cleaned(picture: Picture) -> Cleaned:
    """Replace each pixel of a broken column by the median of its eight neighbors.

    The picture is windowed grey, the breast alone. Every other pixel stays as it is. The columns
    beside a broken one have fewer neighbors like themselves and stand out a little too, so of
    columns side by side only the loneliest is replaced before all are judged again. The outermost
    columns have neighbors on one side only and are not judged.
    """
    mended, found = picture, np.zeros(picture.shape[1], dtype=np.bool_)
    while (worst := _worst(mended, found)).size:
        if mended is picture:
            mended = picture.copy()
        mended[:, worst] = _medians(mended, worst)
        found[worst] = True
    return Cleaned(mended, tuple(np.flatnonzero(found).tolist()))


def loneliness(picture: Picture) -> Profile:
    """Return h(x), equation 5: how far its pixels are from the nearest neighbor's grey, summed."""
    profile: Profile = _apart(picture).sum(axis=0, dtype=np.float64)
    return profile


def _apart(picture: Picture) -> Picture:
    """Return how far each pixel's grey is from the nearest of its eight neighbors'.

    Each difference serves both of its pixels, and no more than two arrays of the picture's size
    are held: eight shifted copies of a large mammogram would be 300 MB.
    """
    rows, columns = picture.shape
    least = np.full(picture.shape, np.inf, dtype=np.float32)
    for down, across in ((0, 1), (1, -1), (1, 0), (1, 1)):
        one = np.s_[: rows - down, max(0, -across) : columns - max(0, across)]
        other = np.s_[down:, max(0, across) : columns + min(0, across)]
        apart = picture[one] - picture[other]
        np.abs(apart, out=apart)
        np.minimum(least[one], apart, out=least[one])
        np.minimum(least[other], apart, out=least[other])
    return least


def _worst(picture: Picture, found: NDArray[np.bool_]) -> Columns:
    """Return the broken columns not found yet, of neighbors the loneliest.

    The paper applies "a threshold" to h(x) less its running median and tells none; here it is
    eight robust deviations of the columns that show tissue. A few calcifications in one column
    can pass it, so the pulse must pass it without its loneliest pixels too: a line has many.
    """
    if picture.shape[1] < _LEAST_SIDE_PX or not len(picture):
        return np.empty(0, dtype=np.intp)
    apart = _apart(picture)
    profile = apart.sum(axis=0, dtype=np.float64)
    pulse = profile - ndimage.median_filter(profile, size=_MEDIAN_PX, mode="nearest")
    tissue = pulse[1:-1][profile[1:-1] > 0]
    if not tissue.size:
        return np.empty(0, dtype=np.intp)
    deviation = _NORMAL * float(np.median(np.abs(tissue - np.median(tissue))))
    threshold = max(_DEVIATIONS * deviation, _LEAST_PULSE)
    pulse[found] = 0
    pulse[[0, -1]] = 0
    here = pulse[1:-1]
    peaks = (here > threshold) & (here > pulse[:-2]) & (here >= pulse[2:])
    columns = np.flatnonzero(peaks) + 1
    few = np.sort(apart[:, columns], axis=0)[-_FEW_PX:].sum(axis=0)
    broken: Columns = columns[pulse[columns] - few > threshold]
    return broken


def _medians(picture: Picture, columns: Columns) -> Picture:
    """Return the medians of the eight neighbors along inner columns; at the ends, of five."""
    near = np.stack([picture[:, columns + across] for across in (-1, 0, 1)])
    bordered = np.pad(near, ((0, 0), (1, 1), (0, 0)), constant_values=np.nan)  # 3, rows + 2, n
    around = [
        bordered[across, down : down + len(picture)]
        for across in range(3)
        for down in range(3)
        if (across, down) != (1, 1)
    ]
    medians: Picture = np.nanmedian(np.stack(around), axis=0)
    return medians
