"""How often the right class is named, as of patches (Shen, "patch accuracy")."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from train.metrics.ranked import weighed


def confusion(
    truth: ArrayLike, predicted: ArrayLike, classes: int, weights: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Count true class (row) against predicted class (column)."""
    true, named = np.asarray(truth), np.asarray(predicted)
    if true.ndim != 1 or true.shape != named.shape:
        raise ValueError(f"truths of shape {true.shape}, answers of {named.shape}: one a case")
    for given in (true, named):
        if given.size and not (np.equal(given, given.astype(np.int64)).all()):
            raise ValueError("a class is no whole number: give the class, not its probability")
        if given.size and not (given.min() >= 0 and given.max() < classes):
            raise ValueError(f"a class is outside 0 to {classes - 1}")
    places = true.astype(np.int64) * classes + named.astype(np.int64)
    counts = np.bincount(places, weighed(weights, true.size), classes**2)
    table: NDArray[np.float64] = counts.astype(np.float64).reshape(classes, classes)
    return table


def accuracy(table: NDArray[np.float64]) -> float:
    """Return the part of a confusion that is right; NaN of an empty one."""
    total = table.sum()
    return float(np.trace(table) / total) if total > 0 else float("nan")
