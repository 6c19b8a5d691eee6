"""The outline of a breast in both projections, as curves in millimeters.

Curves are functions, not pixels: a lesion is placed against the very skin line that is drawn
later, whatever the pitch. `above_mm` is measured from the nipple's level towards the top of the
image: lateral in CC, superior (and lateral) in MLO.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from phantom.fields import stream

Side = Literal["R", "L"]
Projection = Literal["CC", "MLO"]
Curve = NDArray[np.float64]

DETECTOR_MM = (239.0, 192.0)  # (down, across): 2390 x 1920 pixels of 0.1 mm
_NIPPLE_DOWN_MM: dict[Projection, float] = {"CC": 119.5, "MLO": 143.0}
_THIN_MM = 2.0  # less breast than this is none
_WAVES_MM = (170.0, 95.0, 61.0, 43.0)


@dataclass(frozen=True, slots=True)
class Breast:
    """The shape of one compressed breast."""

    side: Side
    depth_mm: float  # chest wall to nipple
    half_mm: float  # half of the extent along the chest wall
    exponent: float  # how boxy the CC outline is
    skew: float  # lateral against medial fullness
    shift_mm: float  # how far off the detector's middle the nipple lies in CC
    tail: float  # extent of the axillary tail at the upper edge of MLO, as a part of the depth
    pectoral_mm: tuple[float, float, float]  # width at the top, height, bulge of its edge
    phases: tuple[float, ...]  # of the waves that make the outline irregular

    def nipple_down_mm(self, projection: Projection) -> float:
        """Return how far below the detector's upper edge the nipple lies."""
        return _NIPPLE_DOWN_MM[projection] - (self.shift_mm if projection == "CC" else 0.0)

    def skin_mm(self, projection: Projection, above_mm: Curve) -> Curve:
        """Return the distance from the chest wall to the skin at each level."""
        if projection == "CC":
            half = self.half_mm * (1 + self.skew * np.tanh(above_mm / 8))
            part = np.clip(1 - np.abs(above_mm / half) ** self.exponent, 0, None) ** 0.62
        else:
            below = np.clip(1 - np.abs(above_mm / min(self.half_mm, 88.0)) ** 1.9, 0, None) ** 0.60
            height = np.clip(above_mm / _NIPPLE_DOWN_MM["MLO"], 0, 1.2)
            tail = self.tail + (1 - self.tail) * (1 - height**1.5)
            part = np.where(above_mm < 0, below, tail)
        skin = self.depth_mm * part
        return np.where(skin > _THIN_MM, skin + self._waves_mm(projection, above_mm), 0.0)

    def pectoral_edge_mm(self, above_mm: Curve) -> Curve:
        """Return the distance from the chest wall to the muscle's edge in MLO, 0 where none."""
        width, height, bulge = self.pectoral_mm
        down = (self.nipple_down_mm("MLO") - above_mm) / height
        part = np.clip(down, -0.2, 1)
        wave = 0.6 * self._waves_mm("MLO", above_mm + 31.0)
        edge = width * (1 - part) + 4 * bulge * part * (1 - part) + wave * (1 - part)
        return np.where(down < 1, np.clip(edge, 0, None), 0.0)

    def _waves_mm(self, projection: Projection, above_mm: Curve) -> Curve:
        shift = 0.0 if projection == "CC" else 2.0
        waves = (
            np.sin(2 * math.pi * above_mm / length + phase + shift)
            for length, phase in zip(_WAVES_MM, self.phases, strict=True)
        )
        total: Curve = sum(waves, start=np.zeros_like(above_mm)) * 0.35
        return total


def pair(seed: int) -> dict[Side, Breast]:
    """Draw the two breasts of a patient: alike, not equal."""
    shared = stream(seed, "breasts")
    depth, half = shared.uniform(62, 100), shared.uniform(62, 92)
    exponent, skew = shared.uniform(1.75, 2.25), 0.08 * np.clip(shared.normal(), -2, 2)
    tail, width = shared.uniform(0.50, 0.62), shared.uniform(0.36, 0.48)
    height, bulge = shared.uniform(0.50, 0.64), shared.uniform(1.0, 6.0)

    def one(side: Side) -> Breast:
        own = stream(seed, "breast", side)
        own_depth = float(np.clip(depth * own.normal(1, 0.03), 58, 106))
        return Breast(
            side=side,
            depth_mm=own_depth,
            half_mm=float(np.clip(half * own.normal(1, 0.03), 58, 98)),
            exponent=exponent,
            skew=float(skew),
            shift_mm=float(np.clip(own.normal(0, 2.5), -6, 6)),
            tail=float(np.clip(tail + own.normal(0, 0.015), 0.48, 0.64)),
            pectoral_mm=(
                float(width * own_depth * own.normal(1, 0.04)),
                float(height * DETECTOR_MM[0] * own.normal(1, 0.03)),
                float(bulge * own.uniform(0.7, 1.3)),
            ),
            phases=tuple(float(phase) for phase in own.uniform(0, 2 * math.pi, len(_WAVES_MM))),
        )

    return {"R": one("R"), "L": one("L")}
