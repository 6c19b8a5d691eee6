"""Rows against each other: patients are drawn together for all rows, seeds for each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.experiments.held import Held
from train.experiments.measures import Measured


@dataclass(frozen=True, slots=True)
class Compared:
    """What one row measured, and by how much that is more than in the reference."""

    seeds: tuple[float, ...]
    value: float
    low: float
    high: float
    more: float
    more_low: float
    more_high: float

    @property
    def sign(self) -> int:
        """Tell whether it is higher (1) or lower (-1) beyond chance, or neither can be said."""
        return (self.more_low > 0) - (self.more_high < 0)


def compared(
    rows: Mapping[str, Sequence[Sequence[Held]]],
    reference: str,
    measured: Measured,
    *,
    draws: int,
    seed: int = 0,
) -> dict[str, Compared]:
    """Compare rows, each some seeds' answers on the same patients, by one measure.

    A row's value is the mean over its seeds. Each draw takes patients with replacement, the same
    ones for all rows, and of each row its seeds with replacement: the interval covers another lot
    of patients, and another lot of trainings. Few seeds say little of the latter; it is for the
    reader to look at them.
    """
    rng = np.random.default_rng(seed)
    people = len(next(iter(rows.values()))[0])
    own = {name: [measured(one) for one in seeds] for name, seeds in rows.items()}
    drawn: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(draws):
        chosen = rng.integers(people, size=people)
        for name, seeds in rows.items():
            values = [measured([one[at] for at in chosen]) for one in seeds]
            again = rng.integers(len(values), size=len(values))
            drawn[name].append(float(np.mean([values[at] for at in again])))
    means = {name: np.array(values) for name, values in drawn.items()}
    first = float(np.mean(own[reference]))
    return {
        name: Compared(
            tuple(own[name]),
            float(np.mean(own[name])),
            *_middle(means[name]),
            float(np.mean(own[name])) - first,
            *_middle(means[name] - means[reference]),
        )
        for name in rows
    }


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return float("nan"), float("nan")
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)
