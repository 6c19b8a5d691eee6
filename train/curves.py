"""The curves behind the figures, each with a band: ROC and FROC over whole patients."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from train.figures import marks
from train.metrics.bootstrap import band
from train.metrics.froc import curve
from train.metrics.ranked import ranked
from train.rankings import Patients, Ranking

_ACROSS = np.linspace(0.0, 1.0, 201)
_FALSE_MARKS = np.linspace(0.0, 2.0, 201)  # per image


@dataclass(frozen=True, slots=True, eq=False)
class Banded:
    """A curve, and between what its points lie in 95 % of the draws."""

    across: NDArray[np.float64]
    up: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def drawable(self) -> bool:
        """Tell whether these patients have such a curve."""
        return bool(np.isfinite(self.up).all())


def roc(patients: Patients, ranking: Ranking, *, draws: int = 1000) -> Banded:
    """Return the sensitivity that is reached at no more than each false-positive rate."""
    points = partial(_roc, ranking=ranking)
    return Banded(_ACROSS, points(patients), *band(points, patients, draws=draws))


def froc(patients: Patients, *, draws: int = 1000) -> Banded:
    """Return the part of the lesions found at no more than each number of false marks an image."""
    return Banded(_FALSE_MARKS, _froc(patients), *band(_froc, patients, draws=draws))


def _roc(patients: Patients, ranking: Ranking) -> NDArray[np.float64]:
    order = ranked(*ranking.cases(patients))
    if not order.both:
        return np.full(_ACROSS.shape, np.nan)
    return _reached(order.false_positive_rate(), order.sensitivity(), _ACROSS)


def _froc(patients: Patients) -> NDArray[np.float64]:
    seen = marks(patients)
    if not seen:
        return np.full(_FALSE_MARKS.shape, np.nan)
    every = curve(seen)
    if np.isnan(every.sensitivity).any():  # no lesion, no curve
        return np.full(_FALSE_MARKS.shape, np.nan)
    best = every.envelope()
    return _reached(best.false_per_image, best.sensitivity, _FALSE_MARKS)


def _reached(
    across: NDArray[np.float64], up: NDArray[np.float64], where: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Read a curve as thresholds can: in steps, from nothing found at nothing wrong."""
    last = np.searchsorted(across, where + 1e-9, side="right")
    reached: NDArray[np.float64] = np.concatenate([[0.0], up])[last]
    return reached
