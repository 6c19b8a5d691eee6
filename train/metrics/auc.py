"""Area under the receiver operating characteristic."""

import numpy as np
from numpy.typing import ArrayLike


def auc(truth: ArrayLike, scores: ArrayLike) -> float:
    """Return how often a positive scores above a negative; a tie counts half.

    NaN where one of the two is absent: no number is better than a made-up one.
    """
    positive, values = np.asarray(truth, dtype=np.bool_), np.asarray(scores, dtype=np.float64)
    _, places = np.unique(values, return_inverse=True)
    yes = np.bincount(places, positive)
    no = np.bincount(places, ~positive)
    if not yes.sum() or not no.sum():
        return float("nan")
    below = np.cumsum(no) - no
    return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))
