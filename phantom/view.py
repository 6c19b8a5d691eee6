"""One finished radiograph on pixels of any pitch."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from phantom.breast import DETECTOR_MM, Projection, Side
from phantom.exposure import Exposure, exposed
from phantom.fields import Field, octave, stream
from phantom.grid import Window, within
from phantom.lesions import stamp
from phantom.marker import burn_in
from phantom.patient import Lesion, Patient
from phantom.tissue import GRID_MM

TOP = 4095  # the brightest of 12 bits
_MASS, _CALCIUM = 0.30, 0.22  # a contrast of 1: in parts of gland, in attenuation
_QUANTA_PER_MM2 = 5.0e5
_BLUR_MM = 0.08
_TAIL = 0.12  # what a 1/f^3 texture holds beyond the limit of the coarse grid
_TILE_PX, _OCTAVES = 512, 4  # of the texture's finest octaves, down to 0.025 mm
_HALF = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class SeenLesion:
    """A lesion as one view shows it; the box is half open, the mask is its crop."""

    lesion: Lesion
    left: int
    top: int
    right: int
    bottom: int
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One finished view: 12 bit, dense is bright, background 0."""

    side: Side
    projection: Projection
    pixels: NDArray[np.uint16]  # (row, column)
    pitch_mm: float
    lesions: tuple[SeenLesion, ...]
    nipple: tuple[int, int]  # (row, column)
    breast: NDArray[np.bool_]  # where the breast lies

    @property
    def name(self) -> str:
        """Name the view as radiologists do: LCC, RMLO."""
        return f"{self.side}{self.projection}"


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What one radiograph is drawn from; a right breast is drawn like a left one."""

    woman: Patient
    side: Side
    projection: Projection
    exposure: Exposure
    window: Window

    def stream(self, word: str) -> np.random.Generator:
        """Open this view's own stream of random numbers for a purpose."""
        return stream(self.woman.seed, word, self.side, self.projection)


def view(
    woman: Patient, side: Side, projection: Projection, volume: Field, pitch_mm: float
) -> View:
    """Take one radiograph."""
    breast = woman.breasts[side]
    exposure = exposed(woman, breast, projection, volume)
    rows, columns = (round(extent / pitch_mm) for extent in DETECTOR_MM)
    window = _covering(exposure.skin_mm > 0, rows, pitch_mm)
    scene = _Scene(woman, side, projection, exposure, window)
    skin, flat = window.of(exposure.skin_mm), window.of(exposure.flat)
    flat += _grain(scene)
    seen = [_laid(scene, lesion, flat, skin > 0) for lesion in woman.lesions if lesion.side == side]
    flat += _noise(scene)
    part = np.s_[window.top : window.bottom, : window.right]
    pixels, mask = np.zeros((rows, columns), np.uint16), np.zeros((rows, columns), np.bool_)
    pixels[part], mask[part] = _presented(flat, skin, exposure), skin > 0
    row = round(breast.nipple_down_mm(projection) / pitch_mm)
    column = int(np.flatnonzero(mask[row]).max())
    if side == "R":
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
        seen, column = [_mirrored(lesion, columns) for lesion in seen], columns - 1 - column
    burn_in(pixels, side, projection, pitch_mm, TOP)
    return View(side, projection, pixels, pitch_mm, tuple(seen), (row, column), mask)


def _covering(body: NDArray[np.bool_], rows: int, pitch_mm: float) -> Window:
    """Return the pixels that can show breast."""
    filled = np.flatnonzero(body.any(axis=1))
    right = np.flatnonzero(body.any(axis=0)).max() + 2
    return Window(
        left=0,
        top=max(0, math.floor((filled.min() - 1) * GRID_MM / pitch_mm)),
        right=math.floor(min(right, body.shape[1]) * GRID_MM / pitch_mm),
        bottom=min(rows, math.floor((filled.max() + 2) * GRID_MM / pitch_mm)),
        pitch_mm=pitch_mm,
    )


def _grain(scene: _Scene) -> Field:
    """Continue the texture beyond the coarse grid, octave by octave, as far as pixels can show."""
    window = scene.window
    grain = np.zeros(window.shape, np.float32)
    for level in range(1, _OCTAVES + 1):
        pitch = GRID_MM / 2**level
        if pitch < window.pitch_mm * 0.9:
            break
        tile = octave(scene.stream(f"grain {level}"), _TILE_PX, pitch, 3.0)
        tile *= np.float32(_TAIL * 0.5 ** (level / 2))
        high = math.ceil(window.bottom * window.pitch_mm / pitch / _TILE_PX)
        wide = math.ceil(window.right * window.pitch_mm / pitch / _TILE_PX)
        field = np.tile(tile, (high, wide))
        if math.isclose(pitch, window.pitch_mm):
            grain += field[window.top : window.bottom, : window.right]
        else:
            grain += window.sampled(field, pitch, (0.0, 0.0), Image.Resampling.BICUBIC)
    if grain.any():
        grain *= window.of(scene.exposure.gland * scene.exposure.roughness)
    return grain


def _laid(scene: _Scene, lesion: Lesion, flat: Field, body: NDArray[np.bool_]) -> SeenLesion:
    """Lay a lesion on the picture, and tell where it is seen."""
    exposure, window = scene.exposure, scene.window
    across, above = scene.woman.seen_at_mm(lesion, scene.projection)
    down = scene.woman.breasts[lesion.side].nipple_down_mm(scene.projection) - above
    drawn = stamp(lesion, scene.projection)
    patch = within((across, down), drawn.half_mm, window)
    corner = (across - drawn.half_mm, down - drawn.half_mm)
    here = np.s_[patch.top - window.top : patch.bottom - window.top, patch.left : patch.right]
    if lesion.kind == "mass":
        strength = patch.of(exposure.gland * np.clip(exposure.skin_mm / 5, 0, 1)) * _MASS
    else:
        strength = patch.of(exposure.gain) * _CALCIUM
    flat[here] += strength * patch.sampled(drawn.body, drawn.pitch_mm, corner)
    mask = (patch.sampled(drawn.mask, drawn.pitch_mm, corner) > _HALF) & body[here]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        raise ValueError(f"{lesion.shape} {lesion.id} is too small for {window.pitch_mm} mm pixels")
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    left, right = int(columns[0]), int(columns[-1]) + 1
    return SeenLesion(
        lesion=lesion,
        left=patch.left + left,
        top=patch.top + top,
        right=patch.left + right,
        bottom=patch.top + bottom,
        mask=mask[top:bottom, left:right].copy(),
    )


def _noise(scene: _Scene) -> Field:
    """Draw quantum noise as the detector's blur leaves it."""
    exposure, pitch = scene.exposure, scene.window.pitch_mm
    deviation = exposure.gain * np.sqrt(np.exp(exposure.attenuation) / (_QUANTA_PER_MM2 * pitch**2))
    noise = scene.stream("noise").standard_normal(scene.window.shape, dtype=np.float32)
    if _HALF * pitch < _BLUR_MM:
        noise = ndimage.gaussian_filter(noise, _BLUR_MM / pitch, truncate=3)
    else:
        for axis in (0, 1):
            noise = ndimage.correlate1d(noise, _softening(pitch), axis=axis)
    noise *= scene.window.of(deviation)
    return noise


def _softening(pitch_mm: float) -> tuple[float, float, float]:
    """Return the three taps that leave as much noise as a blur much finer than a pixel does.

    The noise that a pixel collects through a Gaussian blur has, along each axis, the variance
    below. Without it, coarse pixels would be noisier than fine ones averaged.
    """
    wide = pitch_mm / (2 * _BLUR_MM)
    variance = math.erf(wide) - (1 - math.exp(-(wide**2))) / (wide * math.sqrt(math.pi))
    side = (4 - math.sqrt(16 - 24 * (1 - variance))) / 12  # (1 - 2 side)^2 + 2 side^2 = variance
    return side, 1 - 2 * side, side


def _presented(flat: Field, skin_mm: Field, exposure: Exposure) -> NDArray[np.uint16]:
    """Give the picture its grey scale: a sigmoid, fading at the skin."""
    grey = (flat - np.float32(exposure.black)) * np.float32(1 / (exposure.white - exposure.black))
    grey = 1 / (1 + np.exp(-3.6 * (grey - np.float32(0.5))))
    grey = np.clip((grey - np.float32(0.10)) / np.float32(0.80), 0, 1)
    grey = (np.float32(0.05) + np.float32(0.90) * grey) * np.sqrt(np.clip(skin_mm / 3, 0, 1))
    return np.asarray(grey * TOP, dtype=np.uint16)


def _mirrored(seen: SeenLesion, columns: int) -> SeenLesion:
    return SeenLesion(
        lesion=seen.lesion,
        left=columns - seen.right,
        top=seen.top,
        right=columns - seen.left,
        bottom=seen.bottom,
        mask=np.ascontiguousarray(seen.mask[:, ::-1]),
    )
