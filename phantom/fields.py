"""Random fields whose look is set in cycles per millimeter, not per pixel."""

import math
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


def power_law(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    pitch_mm: float,
    beta: float,
    *,
    low: float = 0.0,
    high: float = math.inf,
) -> Field:
    """Draw a Gaussian field with spectrum 1/f^beta, mean 0, variance 1.

    `low` and `high` are soft limits in cycles per millimeter. The field is periodic.
    """
    return _shaped(rng, shape, _gain(shape, pitch_mm, beta, low, high))


def octave(rng: np.random.Generator, side_px: int, pitch_mm: float, beta: float) -> Field:
    """Draw a periodic tile holding only the finest octave that this pitch can show."""
    return _shaped(rng, (side_px, side_px), _octave_gain(side_px, pitch_mm, beta))


def ridges(field: Field) -> Field:
    """Make a web of thin curved strands, bright where a smooth field crosses zero."""
    return np.asarray(np.exp(-((field / 0.22) ** 2)), dtype=np.float32)


def spread(field: Field, shape: tuple[int, int]) -> Field:
    """Bring a smooth field to a finer grid over the same area."""
    picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.array(picture.resize(shape[::-1], Image.Resampling.BICUBIC), dtype=np.float32)


@lru_cache(maxsize=64)
def _gain(shape: tuple[int, ...], pitch_mm: float, beta: float, low: float, high: float) -> Field:
    frequency = _frequencies(shape, pitch_mm)
    limits = np.exp(-((frequency / high) ** 2)) / (1 + (low / frequency) ** 4)
    return _scaled(frequency ** (-beta / 2) * limits, shape)


@lru_cache(maxsize=16)
def _octave_gain(side_px: int, pitch_mm: float, beta: float) -> Field:
    shape, nyquist = (side_px, side_px), 0.5 / pitch_mm
    frequency = _frequencies(shape, pitch_mm)
    held = (frequency >= nyquist / 2) & (frequency < nyquist)
    return _scaled(frequency ** (-beta / 2) * held, shape)


def _frequencies(shape: tuple[int, ...], pitch_mm: float) -> NDArray[np.float64]:
    """Return the frequency of each coefficient of a real transform, none of them 0."""
    axes = [fft.fftfreq(n, pitch_mm) for n in shape[:-1]] + [fft.rfftfreq(shape[-1], pitch_mm)]
    squares = [grid**2 for grid in np.meshgrid(*axes, indexing="ij")]
    frequency = np.sqrt(np.sum(squares, axis=0))
    frequency.flat[0] = 1e-9
    return np.asarray(frequency, dtype=np.float64)


def _scaled(gain: NDArray[np.float64], shape: tuple[int, ...]) -> Field:
    """Scale a gain so that white noise leaves it with mean 0 and variance 1."""
    gain.flat[0] = 0
    # A real transform stores each inner column once, for itself and for its mirror image.
    twice = np.full(gain.shape[-1], 2.0)
    twice[0] = 1
    if shape[-1] % 2 == 0:
        twice[-1] = 1
    variance = float((gain**2 * twice).sum()) / math.prod(shape)
    return np.asarray(gain / math.sqrt(variance), dtype=np.float32)


def _shaped(rng: np.random.Generator, shape: tuple[int, ...], gain: Field) -> Field:
    white = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(fft.irfftn(fft.rfftn(white) * gain, s=shape), dtype=np.float32)
