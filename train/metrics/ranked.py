"""Cases in the order of their scores: what every measure of a ranking starts from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """The weight of the positives and of the negatives at each distinct score, highest first."""

    scores: NDArray[np.float64]
    yes: NDArray[np.float64]
    no: NDArray[np.float64]

    @property
    def both(self) -> bool:
        """Tell whether positives and negatives occur."""
        return bool(self.yes.sum() > 0 and self.no.sum() > 0)

    def sensitivity(self) -> NDArray[np.float64]:
        """Return the part of the positives at or above each score."""
        return _part(self.yes)

    def false_positive_rate(self) -> NDArray[np.float64]:
        """Return the part of the negatives at or above each score."""
        return _part(self.no)


def ranked(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> Ranked:
    """Rank cases; equal scores share one place, so no order among them can flatter.

    Weights are the inverse of the probability that a case came into the data set; with them an
    enriched set measures as the population it was drawn from.
    """
    positive = decisions(truth)
    values = np.asarray(scores, dtype=np.float64)
    weight = weighed(weights, positive.size)
    if values.shape != positive.shape:
        raise ValueError(f"{positive.size} truths and {values.size} scores: each case needs one")
    if np.isnan(values).any():
        raise ValueError("a score is NaN: leave out the cases that the system did not score")
    distinct, places = np.unique(-values, return_inverse=True)
    return Ranked(
        scores=-distinct,
        yes=np.bincount(places, weight * positive, distinct.size).astype(np.float64),
        no=np.bincount(places, weight * ~positive, distinct.size).astype(np.float64),
    )


def decisions(answers: ArrayLike) -> NDArray[np.bool_]:
    """Return yes or no of each case; anything but 0, 1, False and True is refused."""
    given = np.asarray(answers)
    if given.ndim != 1:
        raise ValueError(f"answers of shape {given.shape}: give one answer a case, in one row")
    yes = given == 1
    if not (yes | (given == 0)).all():
        raise ValueError("a truth or decision is neither 0 nor 1: map the classes to these first")
    return np.asarray(yes, dtype=np.bool_)


def weighed(weights: ArrayLike | None, cases: int) -> NDArray[np.float64]:
    """Return the weight of each case, one where none are given."""
    if weights is None:
        return np.ones(cases)
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (cases,):
        raise ValueError(f"{cases} cases and weights of shape {given.shape}: each case needs one")
    if not (np.isfinite(given) & (given >= 0)).all():
        raise ValueError("a weight is negative or not finite: weights count cases")
    return given


def _part(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    # Dividing by the last sum, not by `sum()`, makes the end exactly 1.
    running = np.cumsum(weight)
    if not running.size or running[-1] == 0:
        return np.full(weight.shape, np.nan)
    part: NDArray[np.float64] = running / running[-1]
    return part
