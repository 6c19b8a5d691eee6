"""Platt's line from logits to probabilities."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

FLATTEST = 1e-3  # the least slope: scores that tell nothing, or the opposite


def platt(logits: ArrayLike, truth: ArrayLike) -> tuple[float, float]:
    """Return slope and intercept that fit the truth best.

    Targets are Platt's, drawn in by the counts, so that separable data do not make certainties.
    """
    x, positive = np.asarray(logits, np.float64), np.asarray(truth, np.bool_)
    yes, no = int(positive.sum()), int((~positive).sum())
    if not yes or not no:
        raise ValueError(f"{yes} cancers and {no} others: a calibration needs both")
    target = np.where(positive, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(line: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        z = line[0] * x + line[1]
        return float((np.logaddexp(0, z) - target * z).sum())

    def slopes(
        line: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        off = expit(line[0] * x + line[1]) - target
        return np.array([(off * x).sum(), off.sum()])

    # A calibration may flatten scores but never turn their order around.
    best = minimize(loss, np.array([1.0, 0.0]), jac=slopes, bounds=[(FLATTEST, None), (None, None)])
    return float(best.x[0]), float(best.x[1])
