"""Intervals and tests by resampling patients: views of one patient are no independent facts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much the first of two measures is higher, and how sure that is."""

    value: float
    low: float
    high: float
    p: float  # two-sided


def interval(
    measure: Callable[[Sequence[T]], float],
    patients: Sequence[T],
    *,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Return the percentile interval of a measure over whole patients."""
    values = np.array([measure(drawn) for drawn in _drawn(patients, draws, seed)])
    return _middle(values, confidence)


def widened(value: float, low: float, high: float, patients: int) -> tuple[float, float]:
    """Return the interval of a part of a whole, also where every draw says the same.

    All lesions found in three patients are found in each draw, and no draw says how many would be
    missed in other patients. There the bounds are the exact ones (Clopper and Pearson) of a part
    that was 0 or 1 in all of so many patients; of what is neither, nothing is known.
    """
    if low < high:
        return low, high
    least = 0.025 ** (1 / max(1, patients))
    if value >= 1:
        return least, 1.0
    return (0.0, 1 - least) if value <= 0 else (0.0, 1.0)


def band(
    curve: Callable[[Sequence[T]], NDArray[np.float64]],
    patients: Sequence[T],
    *,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the percentile interval of each point of a curve over whole patients.

    Point by point: 95 % holds for each point alone, not for the curve as a whole.
    """
    values = np.array([curve(drawn) for drawn in _drawn(patients, draws, seed)])
    values = values[np.isfinite(values).all(axis=1)]  # a draw without a cancer has no curve
    if not values.size:
        nowhere = np.full(values.shape[1], np.nan)
        return nowhere, nowhere
    outside = (1 - confidence) / 2
    low, high = np.quantile(values, (outside, 1 - outside), axis=0)
    return low, high


def difference(
    one: Callable[[Sequence[T]], float],
    other: Callable[[Sequence[T]], float],
    patients: Sequence[T],
    *,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Difference:
    """Compare two measures of the same patients, drawn together in each draw.

    The pairing takes out what both find easy or hard. p is twice the smaller part of the draws
    on either side of zero, each counted with one more (Davison and Hinkley, "Bootstrap Methods
    and their Application", section 4.2): no number of draws proves p = 0.
    """
    values = np.array(
        [one(drawn) - other(drawn) for drawn in _drawn(patients, draws, seed)], dtype=np.float64
    )
    low, high = _middle(values, confidence)
    values = values[np.isfinite(values)]
    tail = min((values <= 0).sum(), (values >= 0).sum()) + 1
    return Difference(
        value=float(one(patients) - other(patients)),
        low=low,
        high=high,
        p=float(min(1.0, 2 * tail / (values.size + 1))) if values.size else float("nan"),
    )


def _drawn(patients: Sequence[T], draws: int, seed: int) -> Iterator[list[T]]:
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        yield [patients[number] for number in rng.integers(len(patients), size=len(patients))]


def _middle(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    values = values[np.isfinite(values)]  # a draw without a single cancer has no AUC
    if not values.size:
        return float("nan"), float("nan")
    outside = (1 - confidence) / 2
    low, high = np.quantile(values, (outside, 1 - outside))
    return float(low), float(high)
