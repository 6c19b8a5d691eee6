"""Random fields whose look is set in cycles per millimeter, not per pixel."""

from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

Field = NDArray[np.float32]


def stream(seed: int, *words: object) -> np.random.Generator:
    """Open the stream of random numbers that belongs to a seed and a purpose.

    Each purpose draws from its own stream, so a finer pixel or one more lesion changes nothing
    else of the patient.
    """
    return np.random.default_rng([seed, *(crc32(str(word).encode()) for word in words)])


@lru_cache(maxsize=64)
def _gain(
    shape: tuple[int, ...], pitch_mm: float, beta: float, low: float, high: float, sharp: bool
) -> Field:
    """Return the spectral gain of `power_law`, scaled to give unit variance from white noise."""
    axes = [fft.fftfreq(n, pitch_mm) for n in shape[:-1]] + [fft.rfftfreq(shape[-1], pitch_mm)]
    grid = np.meshgrid(*axes, indexing="ij", sparse=True)
    frequency = np.sqrt(sum(axis**2 for axis in grid))
    frequency.flat[0] = np.inf
    gain = frequency ** (-beta / 2)
    if sharp:
        gain *= (frequency >= low) & (frequency < high)
    else:
        if low:
            gain /= 1 + (low / frequency) ** 4
        if high:
            gain *= np.exp(-((frequency / high) ** 2))
    gain.flat[0] = 0
    # A real transform stores each inner column once, for itself and for its mirror image.
    twice = np.full(gain.shape[-1], 2.0)
    twice[0] = 1
    if shape[-1] % 2 == 0:
        twice[-1] = 1
    variance = float((gain**2 * twice).sum()) / float(np.prod(shape))
    return (gain / np.sqrt(variance)).astype(np.float32)


def power_law(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    pitch_mm: float,
    beta: float,
    *,
    low: float = 0.0,
    high: float = 0.0,
) -> Field:
    """Draw a Gaussian field with spectrum 1/f^beta, mean 0, variance 1.

    `low` and `high` are soft limits in cycles per millimeter. The field is periodic.
    """
    gain = _gain(shape, pitch_mm, beta, low, high, sharp=False)
    return _shaped(rng, shape, gain)


def octave(rng: np.random.Generator, side_px: int, pitch_mm: float, beta: float) -> Field:
    """Draw a periodic tile holding only the finest octave that this pitch can show."""
    nyquist = 0.5 / pitch_mm
    gain = _gain((side_px, side_px), pitch_mm, beta, nyquist / 2, nyquist, sharp=True)
    return _shaped(rng, (side_px, side_px), gain)


def ridges(field: Field) -> Field:
    """Make a web of thin curved strands, bright where a smooth field crosses zero."""
    return np.exp(-((field * np.float32(1 / 0.22)) ** 2))


def spread(field: Field, shape: tuple[int, int]) -> Field:
    """Bring a smooth field to a finer grid over the same area."""
    picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(picture.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.float32)


def _shaped(rng: np.random.Generator, shape: tuple[int, ...], gain: Field) -> Field:
    white = rng.standard_normal(shape, dtype=np.float32)
    shaped: Field = fft.irfftn(fft.rfftn(white) * gain, s=shape)
    return shaped
