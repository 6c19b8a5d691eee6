"""Area under the receiver operating characteristic."""

import numpy as np
from numpy.typing import ArrayLike

from train.metrics.ranked import ranked


def auc(truth: ArrayLike, scores: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return how often a positive scores above a negative; a tie counts half.

    NaN where one of the two is absent, or where a score is NaN: no number is better than a
    made-up one.
    """
    if np.isnan(np.asarray(scores, dtype=np.float64)).any():
        return float("nan")
    order = ranked(truth, scores, weights)
    if not order.both:
        return float("nan")
    below = order.no.sum() - np.cumsum(order.no)
    return float((order.yes * (below + order.no / 2)).sum() / (order.yes.sum() * order.no.sum()))


def partial_auc(
    truth: ArrayLike,
    scores: ArrayLike,
    most_false_positive: float,
    weights: ArrayLike | None = None,
) -> float:
    """Return the area up to this false-positive rate: at most the rate itself.

    Screening reads at a high specificity; the rest of the curve is of no use there.
    """
    if not 0 < most_false_positive <= 1:
        raise ValueError(f"a false-positive rate of {most_false_positive:g}: give one in (0, 1]")
    order = ranked(truth, scores, weights)
    if not order.both:
        return float("nan")
    across = np.concatenate([[0.0], order.false_positive_rate()])
    up = np.concatenate([[0.0], order.sensitivity()])
    inside = across <= most_false_positive
    stop = int(inside.sum())
    if stop < across.size:  # the curve is cut between two of its points
        end = np.interp(most_false_positive, across[stop - 1 : stop + 1], up[stop - 1 : stop + 1])
    else:
        end = up[-1]
    return float(
        np.trapezoid(
            np.append(up[inside], end),
            np.append(across[inside], most_false_positive),
        )
    )


def standardized_partial_auc(
    truth: ArrayLike,
    scores: ArrayLike,
    most_false_positive: float,
    weights: ArrayLike | None = None,
) -> float:
    """Return the partial area, rescaled: 0.5 by chance, 1 at best.

    McClish, "Analyzing a portion of the ROC curve", Medical Decision Making 9 (1989).
    """
    area = partial_auc(truth, scores, most_false_positive, weights)
    chance = most_false_positive**2 / 2
    return (1 + (area - chance) / (most_false_positive - chance)) / 2
