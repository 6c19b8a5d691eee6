"""F1 of probabilities, as RSNA's challenge of 2022 rated what was said of breasts."""

import numpy as np
from numpy.typing import ArrayLike

from train.metrics.ranked import decisions, weighed


def probabilistic_f1(
    truth: ArrayLike, probabilities: ArrayLike, weights: ArrayLike | None = None
) -> float:
    """Return F1 with each case's probability counted as so much of a yes.

    No threshold is chosen, and a probability that is too high for all costs precision: it is no
    measure of the order alone. NaN without a positive, or where a probability is NaN.
    """
    positive, said = decisions(truth), np.asarray(probabilities, dtype=np.float64)
    weight = weighed(weights, positive.size)
    if said.shape != positive.shape:
        raise ValueError(f"{positive.size} truths and {said.size} probabilities: one a case")
    if (said < 0).any() or (said > 1).any():
        raise ValueError("a probability is below 0 or above 1: give no logits")
    there = (weight * positive).sum()
    if not there:
        return float("nan")
    # 2 P R / (P + R), where P is true / claimed and R is true / there.
    return float(2 * (weight * said * positive).sum() / ((weight * said).sum() + there))
