"""Grey that depends less on the device: stretched, ranked, or compared with its surroundings.

A film, and each maker's processing, draws the same breast in greys of its own. These pictures keep
what a radiologist compares: what is brighter than what, and how much brighter than nearby.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Grey = NDArray[np.float32]
Where = NDArray[np.bool_]

_DARKEST, _BRIGHTEST = 2.0, 99.5  # percentiles of the breast that become black and white
_NEARBY_MM = 6.0
_DEVIATIONS = 3.0  # of the surroundings that become black and white
_LEVELS = 1024
_FLAT = 0.02  # of white: less contrast than that is noise


def stretched(grey: Grey, breast: Where) -> Grey:
    """Use the whole range of grey for the breast, and black for all else."""
    dark, bright = np.percentile(grey[breast], (_DARKEST, _BRIGHTEST))
    spread = max(float(bright - dark), 1e-3)
    return np.where(breast, np.clip((grey - dark) / spread, 0, 1), 0).astype(np.float32)


def ranked(grey: Grey, breast: Where) -> Grey:
    """Say of each pixel which part of the breast is darker: no processing of grey changes that."""
    levels = np.clip(grey * _LEVELS, 0, _LEVELS - 1).astype(np.int64)
    counts = np.bincount(levels[breast], minlength=_LEVELS)
    below = (np.cumsum(counts) - counts / 2) / max(1, int(counts.sum()))
    return np.where(breast, below[levels], 0).astype(np.float32)


def local(grey: Grey, breast: Where, pitch_mm: float) -> Grey:
    """Say how much brighter each pixel is than the breast around it, as half a grey and more."""
    reach = _NEARBY_MM / pitch_mm
    inside = breast.astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(inside, reach), 1e-3)
    mean = ndimage.gaussian_filter(grey * inside, reach) / weight
    apart = (grey - mean) * inside
    deviation = np.sqrt(ndimage.gaussian_filter(apart**2, reach) / weight)
    compared = apart / np.maximum(deviation, _FLAT) / _DEVIATIONS
    return np.where(breast, np.clip(0.5 + compared / 2, 0, 1), 0).astype(np.float32)
