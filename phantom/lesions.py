"""Lesions drawn on a fine grid of their own, so that their form does not depend on the pixel."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import fft, ndimage

from phantom.breast import Projection
from phantom.fields import Field, power_law, stream
from phantom.patient import Lesion

_MASS_MM, _CALCIFICATION_MM = 0.1, 0.05  # pitch of the grids
_MARGIN_MM = 1.5  # of nothing around each stamp, so that it may be laid on any pixel grid
_DEPOSITED = 0.75  # of an artery's wall
_TRACE = 0.1  # less calcium than this is blur
_REACHED_MM, _RIM_MM = 2.2, 0.6  # spots nearer than twice the first share an outline
# Waves around a mass's contour, and how strong they are.
_CONTOURS: dict[str, tuple[tuple[int, ...], float]] = {
    "round": ((2, 3), 0.03),
    "oval": ((2, 3), 0.04),
    "lobular": ((3, 4), 0.13),
    "irregular": ((2, 3, 5, 7, 9, 11), 0.16),
    "spiculated": ((2, 3, 5, 7, 9, 13), 0.12),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """What a lesion adds to a view, and which part of it counts as lesion."""

    body: Field  # added attenuation, in the unit that the kind is rendered in
    mask: Field  # 0 to 1
    pitch_mm: float

    @property
    def half_mm(self) -> float:
        """Return the distance from the middle to the edge of the stamp."""
        return len(self.body) * self.pitch_mm / 2


def stamp(lesion: Lesion, projection: Projection) -> Stamp:
    """Draw a lesion as one projection sees it."""
    rng = stream(lesion.seed, projection)
    return _mass(lesion, rng) if lesion.kind == "mass" else _calcification(lesion, rng)


def _mass(lesion: Lesion, rng: np.random.Generator) -> Stamp:
    size, spiculated = lesion.size_mm, lesion.shape == "spiculated"
    benign = lesion.shape in ("round", "oval", "lobular")
    reach = size * (3.0 if spiculated else 1.6) + _MARGIN_MM
    side_px = fft.next_fast_len(2 * math.ceil(reach / _MASS_MM), real=True)
    axis = (np.arange(side_px, dtype=np.float32) + 0.5) * _MASS_MM - side_px * _MASS_MM / 2
    radius, angle = _polar(axis, rng, lesion.shape)
    part = radius / (size * _contour(angle, rng, lesion.shape))
    texture = power_law(rng, part.shape, _MASS_MM, 2.5, low=0.05)
    if benign:
        # Half a ball, half a slab, and not quite even: a cyst or a fibroadenoma among tissue.
        body = 0.7 * np.sqrt(np.clip(1 - part**2, 0, 1)) + 0.3 * np.clip((1 - part) * 8, 0, 1)
        body *= 1 + 0.14 * texture
        body = ndimage.gaussian_filter(body, 0.25 / _MASS_MM)
    else:
        body = np.clip(1 - part**2, 0, 1) ** 0.7
        body = ndimage.gaussian_filter(body, 0.09 * size / _MASS_MM) * (1 + 0.22 * texture)
    core = (part < 1).astype(np.float32)
    mask = core
    if spiculated:
        lines = _spicules(side_px, size, rng)
        soft = ndimage.gaussian_filter(lines, 0.2 / _MASS_MM)
        body = np.maximum(body, 0.75 * body + 0.65 * soft)
        # Blurring drops the thin ends, and keeps the thick roots, as readers outline them.
        mask = ndimage.gaussian_filter(np.maximum(core, lines), 0.6 / _MASS_MM)
    body = np.clip(body, 0, None) * np.float32(lesion.contrast)
    return Stamp(_faded(body), mask, _MASS_MM)


def _polar(axis: Field, rng: np.random.Generator, shape: str) -> tuple[Field, Field]:
    """Return radius and angle about the middle, squeezed and turned."""
    turn = rng.uniform(0, math.pi)
    ratio = {"round": 1.0, "oval": rng.uniform(0.60, 0.80)}.get(shape, 0.85)
    across, down = axis[None, :], axis[:, None]
    along = across * np.float32(math.cos(turn)) + down * np.float32(math.sin(turn))
    athwart = (down * np.float32(math.cos(turn)) - across * np.float32(math.sin(turn))) / ratio
    return (
        np.hypot(along, athwart).astype(np.float32),
        np.arctan2(athwart, along).astype(np.float32),
    )


def _contour(angle: Field, rng: np.random.Generator, shape: str) -> Field:
    """Return the radius of the contour at each angle, as a part of the size."""
    waves, strength = _CONTOURS[shape]
    turns = np.linspace(-math.pi, math.pi, 1025)
    contour = np.ones_like(turns)
    for wave in waves:
        share = strength * rng.uniform(0.4, 1) / math.sqrt(len(waves) / 2)
        contour += share * np.cos(wave * turns + rng.uniform(0, 2 * math.pi))
    return np.interp(angle, turns, contour).astype(np.float32)


def _spicules(side_px: int, size_mm: float, rng: np.random.Generator) -> Field:
    """Draw strands that leave the mass in all directions, thinning out."""
    picture = Image.new("L", (side_px, side_px), 0)
    pen = ImageDraw.Draw(picture)
    step = 0.35 / _MASS_MM
    for _ in range(int(rng.integers(16, 30))):
        angle = rng.uniform(0, 2 * math.pi)
        across = side_px / 2 + 0.6 * size_mm * math.cos(angle) / _MASS_MM
        down = side_px / 2 + 0.6 * size_mm * math.sin(angle) / _MASS_MM
        steps = max(6, int(size_mm * rng.uniform(0.7, 2.0) / 0.35))
        width = rng.uniform(0.35, 0.85) / _MASS_MM
        for done in range(steps):
            angle += rng.normal(0, 0.06)
            ends = (across + step * math.cos(angle), down + step * math.sin(angle))
            left = 1 - done / steps
            pen.line(
                [(across, down), ends],
                fill=int(255 * left**1.1),
                width=max(1, round(width * (0.4 + 0.6 * left))),
            )
            across, down = ends
    return np.asarray(picture, dtype=np.float32) / np.float32(255)


class _Deposits:
    """A sheet on which calcium is laid, spot by spot, in millimeters about its middle."""

    def __init__(self, reach_mm: float) -> None:
        self.side_px = 2 * math.ceil((reach_mm + _MARGIN_MM) / _CALCIFICATION_MM)
        self.reach_mm = reach_mm
        self.picture = Image.new("L", (self.side_px, self.side_px), 0)
        self.pen = ImageDraw.Draw(self.picture)

    def spot(
        self,
        middle_mm: tuple[float, float],
        radii_mm: tuple[float, float],
        brightness: float,
        turn: float = 0.0,
    ) -> None:
        """Lay one ellipse of calcium, unless it would leave the sheet."""
        if max(abs(middle_mm[0]), abs(middle_mm[1])) + max(radii_mm) > self.reach_mm:
            return
        around = np.linspace(0, 2 * math.pi, 17)[:-1]
        along, athwart = radii_mm[0] * np.cos(around), radii_mm[1] * np.sin(around)
        across = middle_mm[0] + along * math.cos(turn) - athwart * math.sin(turn)
        down = middle_mm[1] + along * math.sin(turn) + athwart * math.cos(turn)
        corners = np.stack([across, down], axis=1) / _CALCIFICATION_MM + self.side_px / 2
        self.pen.polygon([(float(x), float(y)) for x, y in corners], fill=int(255 * brightness))

    def calcium(self) -> Field:
        """Return what was laid, 0 to 1."""
        return np.asarray(self.picture, dtype=np.float32) / np.float32(255)


def _calcification(lesion: Lesion, rng: np.random.Generator) -> Stamp:
    sheet = _Deposits(lesion.size_mm * 1.15 + 0.5)
    {
        "round_cluster": _round_cluster,
        "coarse": _coarse,
        "vascular": _vascular,
        "pleomorphic": _pleomorphic,
        "fine_linear": _fine_linear,
    }[lesion.shape](sheet, lesion.size_mm, rng)
    calcium = ndimage.gaussian_filter(sheet.calcium(), 0.04 / _CALCIFICATION_MM)
    body = calcium * np.float32(2.2 * lesion.contrast)
    return Stamp(body, _embraced(calcium > _TRACE), _CALCIFICATION_MM)


def _embraced(spots: NDArray[np.bool_]) -> Field:
    """Draw one outline around spots that lie together, as readers outline a cluster."""
    coarse = spots[::2, ::2] | spots[1::2, ::2] | spots[::2, 1::2] | spots[1::2, 1::2]
    pitch, pad = 2 * _CALCIFICATION_MM, math.ceil(_REACHED_MM / _CALCIFICATION_MM / 2) + 1
    apart = ndimage.distance_transform_edt(np.pad(~coarse, pad, constant_values=True))
    around = ndimage.distance_transform_edt(apart * pitch < _REACHED_MM)[pad:-pad, pad:-pad]
    held = ndimage.binary_fill_holes(around * pitch > _REACHED_MM - _RIM_MM).astype(np.float32)
    return np.repeat(np.repeat(held, 2, axis=0), 2, axis=1)


def _round_cluster(sheet: _Deposits, size: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(7, 16))):
        radius = rng.uniform(0.22, 0.34)
        sheet.spot(_about(size * 0.42, rng), (radius, radius), rng.uniform(0.67, 0.90))


def _coarse(sheet: _Deposits, size: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 4))):
        radius = rng.uniform(0.7, 1.6)
        radii = (radius, radius * rng.uniform(0.7, 1))
        sheet.spot(_about(size * 0.25, rng), radii, 0.92, rng.uniform(0, math.pi))


def _vascular(sheet: _Deposits, size: float, rng: np.random.Generator) -> None:
    """Draw the two walls of an artery, like tram tracks."""
    angle = rng.uniform(0, 2 * math.pi)
    across, down = -0.8 * size * math.cos(angle), -0.8 * size * math.sin(angle)
    for _ in range(int(size * 1.7 / 0.45)):
        angle += rng.normal(0, 0.09)
        across, down = across + 0.45 * math.cos(angle), down + 0.45 * math.sin(angle)
        for wall in (-0.7, 0.7):
            if rng.random() < _DEPOSITED:
                middle = (across - wall * math.sin(angle), down + wall * math.cos(angle))
                sheet.spot(middle, (0.34, 0.16), rng.uniform(0.47, 0.82), angle)


def _pleomorphic(sheet: _Deposits, size: float, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(14, 32))):
        radii = (rng.uniform(0.12, 0.42), rng.uniform(0.10, 0.24))
        turn = rng.uniform(0, math.pi)
        sheet.spot(_about(size * 0.38, rng), radii, rng.uniform(0.45, 1.0), turn)


def _fine_linear(sheet: _Deposits, size: float, rng: np.random.Generator) -> None:
    """Draw casts of branching ducts."""
    for _ in range(int(rng.integers(3, 6))):
        angle = rng.uniform(0, 2 * math.pi)
        across, down = _about(size * 0.28, rng)
        for _ in range(int(rng.integers(5, 13))):
            angle += rng.normal(0, 0.35)
            across, down = across + 0.65 * math.cos(angle), down + 0.65 * math.sin(angle)
            radii = (rng.uniform(0.18, 0.45), rng.uniform(0.07, 0.13))
            sheet.spot((across, down), radii, rng.uniform(0.50, 0.95), angle)


def _about(spread_mm: float, rng: np.random.Generator) -> tuple[float, float]:
    across, down = np.clip(rng.normal(0, 1, 2), -2, 2) * spread_mm
    return float(across), float(down)


def _faded(body: Field) -> Field:
    """Fade a stamp to nothing at its rim, so that it leaves no square behind."""
    edge = np.minimum(np.arange(body.shape[0]), np.arange(body.shape[0])[::-1]) * _MASS_MM
    ramp = np.clip((edge - 0.5) / 1.5, 0, 1).astype(np.float32)
    return np.asarray(body * ramp[:, None] * ramp[None, :], dtype=np.float32)
