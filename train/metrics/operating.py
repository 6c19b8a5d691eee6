"""One point of the curve: where a system would be switched on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from train.metrics.ranked import Ranked, decisions, ranked, weighed

_ROUNDING = 1e-12  # of sums of weights


@dataclass(frozen=True, slots=True)
class Point:
    """The part of the positives called positive, and of the negatives called negative."""

    sensitivity: float
    specificity: float


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """A point, and the score from which on a case is called positive to be there."""

    threshold: float
    point: Point


def decided(truth: ArrayLike, recalled: ArrayLike, weights: ArrayLike | None = None) -> Point:
    """Return the point of yes-or-no decisions, as a radiologist's."""
    positive, called = decisions(truth), decisions(recalled)
    if positive.shape != called.shape:
        raise ValueError(f"{positive.size} truths and {called.size} decisions: each case needs one")
    weight = weighed(weights, positive.size)
    return Point(
        sensitivity=_share(called[positive], weight[positive]),
        specificity=_share(~called[~positive], weight[~positive]),
    )


def recall(
    truth: ArrayLike, scores: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> float:
    """Return the part of the positives that score at least the threshold."""
    order = ranked(truth, scores, weights)
    return _share(order.scores >= threshold, order.yes)


def at_specificity(
    truth: ArrayLike, scores: ArrayLike, specificity: float, weights: ArrayLike | None = None
) -> ThresholdPoint:
    """Return the most sensitive point that is at least this specific.

    Only points that a threshold can reach are taken: a sensitivity read between two of them is
    that of no system.
    """
    order = _both(truth, scores, weights, specificity)
    allowed = 1 - order.false_positive_rate() >= specificity - _ROUNDING
    found = np.concatenate([[0.0], order.sensitivity()[allowed]])
    return _at(order, int(found.argmax()))  # the first of equals is the most specific


def at_sensitivity(
    truth: ArrayLike, scores: ArrayLike, sensitivity: float, weights: ArrayLike | None = None
) -> ThresholdPoint:
    """Return the most specific point that is at least this sensitive."""
    order = _both(truth, scores, weights, sensitivity)
    if sensitivity <= 0:
        return _at(order, 0)
    short = order.sensitivity() < sensitivity - _ROUNDING
    return _at(order, int(short.sum()) + 1)


def at_recall_rate(
    truth: ArrayLike, scores: ArrayLike, rate: float, weights: ArrayLike | None = None
) -> ThresholdPoint:
    """Return the most sensitive point that calls at most this part of all cases positive."""
    order = _both(truth, scores, weights, rate)
    everything = order.yes + order.no
    allowed = np.cumsum(everything) <= rate * everything.sum() + _ROUNDING
    return _at(order, int(allowed.sum()))


def _both(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None, wanted: float) -> Ranked:
    if not 0 <= wanted <= 1:
        raise ValueError(f"{wanted:g} is no part of the cases: give a number from 0 to 1")
    order = ranked(truth, scores, weights)
    if not order.both:
        raise ValueError("an operating point needs positives and negatives, and one is absent")
    return order


def _at(order: Ranked, called: int) -> ThresholdPoint:
    # Of the distinct scores, the highest `called` are positive; none of them at infinity.
    if not called:
        return ThresholdPoint(float("inf"), Point(0.0, 1.0))
    return ThresholdPoint(
        threshold=float(order.scores[called - 1]),
        point=Point(
            sensitivity=float(order.sensitivity()[called - 1]),
            specificity=float(1 - order.false_positive_rate()[called - 1]),
        ),
    )


def _share(which: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    total = weight.sum()
    return float((which * weight).sum() / total) if total > 0 else float("nan")
