"""From views to breasts, exams and patients, because every figure depends on which is counted."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from inference.scores import EDGE
from train.metrics.ranked import decisions, weighed

Gather = Callable[[NDArray[np.float64]], float]


class Level(IntEnum):
    """What is counted: how many parts of a key name it."""

    PATIENT = 1
    EXAM = 2
    BREAST = 3
    IMAGE = 4


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """Cases of one level: key (patient, exam, side, image), truth, score and weight of each."""

    keys: tuple[tuple[str, ...], ...]
    truth: NDArray[np.bool_]
    scores: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse cases that are not fully told."""
        decisions(self.truth)
        weighed(self.weights, len(self.keys))
        if not len(self.keys) == self.truth.size == self.scores.size:
            raise ValueError(
                f"{len(self.keys)} keys, {self.truth.size} truths and {self.scores.size} scores: "
                "each case needs one of each"
            )
        if len({len(key) for key in self.keys}) > 1:
            raise ValueError("keys of different lengths: rate images with images, exams with exams")


def per(level: Level, rated: Rated, gather: Gather) -> Rated:
    """Gather cases under the first parts of their keys; positive if any of them is.

    A weight says how rarely an exam like this was drawn; all views of one carry the same.
    """
    if rated.keys and len(rated.keys[0]) < level:
        raise ValueError(
            f"keys of {len(rated.keys[0])} parts do not tell one {level.name.lower()} from another"
        )
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(rated.keys):
        rows.setdefault(key[:level], []).append(row)
    return Rated(
        keys=tuple(rows),
        truth=np.array([rated.truth[some].any() for some in rows.values()], dtype=np.bool_),
        scores=np.array([gather(rated.scores[some]) for some in rows.values()], dtype=np.float64),
        weights=None if rated.weights is None else _shared(rated.weights, rows),
    )


def mean_logit(scores: NDArray[np.float64]) -> float:
    """Return the mean of the evidence of the views of one breast; no view is beyond all doubt."""
    held = np.clip(scores, EDGE, 1 - EDGE)
    return float(expit(logit(held).mean()))


def highest(scores: NDArray[np.float64]) -> float:
    """Return the highest score: an exam is as suspicious as its worse breast."""
    return float(scores.max())


def _shared(
    weights: NDArray[np.float64], rows: dict[tuple[str, ...], list[int]]
) -> NDArray[np.float64]:
    for key, some in rows.items():
        if np.ptp(weights[some]) > 0:
            raise ValueError(f"{'/'.join(key)} holds cases of different weights: give it one")
    return np.array([weights[some[0]] for some in rows.values()], dtype=np.float64)
