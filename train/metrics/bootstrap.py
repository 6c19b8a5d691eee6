"""Intervals by resampling patients, because views of one patient are no independent facts."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def interval(
    measure: Callable[[Sequence[T]], float],
    patients: Sequence[T],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a measure over whole patients."""
    rng = np.random.default_rng(seed)
    values = np.array(
        [
            measure(
                [patients[number] for number in rng.integers(len(patients), size=len(patients))]
            )
            for _ in range(draws)
        ]
    )
    values = values[np.isfinite(values)]  # a draw without a single cancer has no AUC
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
