"""A patient: two breasts, one density, and lesions with a place in three dimensions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from phantom.breast import Breast, Projection, Side, pair
from phantom.fields import stream

Kind = Literal["mass", "calcification"]
Density = Literal["A", "B", "C", "D"]
SIDES: tuple[Side, Side] = ("R", "L")
PROJECTIONS: tuple[Projection, Projection] = ("CC", "MLO")

# How often each shape occurs, by kind and truth.
_SHAPES: dict[tuple[Kind, bool], dict[str, float]] = {
    ("mass", False): {"round": 0.34, "oval": 0.40, "lobular": 0.26},
    ("mass", True): {"irregular": 0.35, "spiculated": 0.65},
    ("calcification", False): {"round_cluster": 0.50, "coarse": 0.25, "vascular": 0.25},
    ("calcification", True): {"pleomorphic": 0.60, "fine_linear": 0.40},
}
# Radius in millimeters, then contrast as a part of the contrast of glandular tissue.
_SIZES: dict[tuple[Kind, bool], tuple[float, float]] = {
    ("mass", False): (4.0, 10.0),
    ("mass", True): (4.5, 11.0),
    ("calcification", False): (3.0, 8.0),
    ("calcification", True): (4.0, 10.0),
}
_CONTRASTS: dict[tuple[Kind, bool], tuple[float, float]] = {
    ("mass", False): (0.40, 0.75),
    ("mass", True): (0.85, 1.25),
    ("calcification", False): (0.80, 1.60),
    ("calcification", True): (0.80, 1.50),
}
_CANCER, _BENIGN = 0.35, 0.45  # chance of a cancer; of each further benign lesion
_MASSES = {True: 0.60, False: 0.55}  # the rest are calcifications
_MOST = 3  # lesions in a drawn patient
_SKIN_MM, _CHEST_MM, _APART_MM = 5.0, 4.0, 3.0  # room that a lesion keeps around itself


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ask for a lesion; what is None is drawn."""

    kind: Kind
    malignant: bool
    side: Side | None = None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion of one breast, seen in both of its views."""

    id: str
    kind: Kind
    shape: str
    malignant: bool
    side: Side
    position_mm: tuple[float, float, float]  # from the chest wall, lateral, superior of the nipple
    size_mm: float  # radius of a mass or of a cluster
    contrast: float
    seed: int

    @property
    def reach_mm(self) -> float:
        """Return how far from its middle the lesion may be drawn, spicules left aside."""
        return self.size_mm * (1.35 if self.kind == "mass" else 1.25) + 1.0


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything that the four views have in common."""

    seed: int
    density: Density
    thickness_mm: float
    mlo_angle_deg: float
    breasts: Mapping[Side, Breast]
    lesions: tuple[Lesion, ...]

    @property
    def cancer(self) -> bool:
        """Tell whether any lesion is malignant."""
        return any(lesion.malignant for lesion in self.lesions)

    def seen_at_mm(self, lesion: Lesion, projection: Projection) -> tuple[float, float]:
        """Return where a lesion projects: from the chest wall, above the nipple's level."""
        return _seen_at_mm(lesion.position_mm, projection, self.mlo_angle_deg)


def patient(
    seed: int, *, lesions: Sequence[Wanted] | None = None, difficulty: float = 1.0
) -> Patient:
    """Draw the patient that belongs to a seed.

    `lesions` None draws them too, () leaves them out. Contrast is divided by `difficulty`. The
    breasts depend on the seed alone: with and without lesions, it is the same woman.
    """
    if seed < 0 or difficulty <= 0:
        raise ValueError(f"seed {seed} must be at least 0, and difficulty {difficulty} above 0")
    rng = stream(seed, "patient")
    density: Density = ("A", "B", "C", "D")[int(rng.choice(4, p=[0.15, 0.40, 0.35, 0.10]))]
    woman = Patient(
        seed=seed,
        density=density,
        thickness_mm=float(rng.uniform(38, 65)),
        mlo_angle_deg=float(rng.uniform(42, 58)),
        breasts=pair(seed),
        lesions=(),
    )
    wanted = _sampled(stream(seed, "lesions")) if lesions is None else tuple(lesions)
    found: list[Lesion] = []
    for number, wish in enumerate(wanted, start=1):
        found.append(_placed(woman, found, wish, number, difficulty))
    return Patient(
        woman.seed, density, woman.thickness_mm, woman.mlo_angle_deg, woman.breasts, tuple(found)
    )


def _sampled(rng: np.random.Generator) -> tuple[Wanted, ...]:
    def one(*, malignant: bool) -> Wanted:
        return Wanted("mass" if rng.random() < _MASSES[malignant] else "calcification", malignant)

    wanted = [one(malignant=True)] if rng.random() < _CANCER else []
    while rng.random() < _BENIGN and len(wanted) < _MOST:
        wanted.append(one(malignant=False))
    return tuple(wanted)


def _placed(
    woman: Patient, others: Sequence[Lesion], wish: Wanted, number: int, difficulty: float
) -> Lesion:
    """Find a place inside the breast in both views, clear of the muscle and of other lesions."""
    shapes = _SHAPES[wish.kind, wish.malignant]
    if wish.shape is not None and wish.shape not in shapes:
        truth = "malignant" if wish.malignant else "benign"
        raise ValueError(
            f"a {truth} {wish.kind} is never {wish.shape}: ask for {', '.join(shapes)}"
        )
    rng = stream(woman.seed, "lesion", number)
    side = wish.side or SIDES[int(rng.integers(2))]
    shape = wish.shape or str(rng.choice(list(shapes), p=list(shapes.values())))
    size = float(rng.uniform(*_SIZES[wish.kind, wish.malignant]))
    contrast = float(rng.uniform(*_CONTRASTS[wish.kind, wish.malignant]) / difficulty)
    seed = int(rng.integers(1 << 31))
    breast = woman.breasts[side]
    for attempt in range(600):
        if attempt and attempt % 60 == 0:
            size = max(3.0, size * 0.85)
        from_chest = breast.depth_mm * rng.uniform(0.25, 0.82)
        room = breast.half_mm * 0.62 * math.sqrt(max(0.05, 1 - (from_chest / breast.depth_mm) ** 2))
        lateral, superior = rng.normal(0.25, 0.45, 2) * room  # upper outer quadrant is likelier
        lesion = Lesion(
            id=f"{woman.seed}-{number}",
            kind=wish.kind,
            shape=shape,
            malignant=wish.malignant,
            side=side,
            position_mm=(float(from_chest), float(lateral), float(superior)),
            size_mm=size,
            contrast=contrast,
            seed=seed,
        )
        if all(_fits(woman, others, lesion, projection) for projection in PROJECTIONS):
            return lesion
    raise ValueError(f"no room for lesion {number} in the {side} breast: ask for fewer lesions")


def _fits(woman: Patient, others: Sequence[Lesion], lesion: Lesion, projection: Projection) -> bool:
    breast, reach = woman.breasts[lesion.side], lesion.reach_mm
    across, above = woman.seen_at_mm(lesion, projection)
    around = above + reach * np.sin(np.linspace(-math.pi / 2, math.pi / 2, 9))
    outer = across + reach * np.cos(np.linspace(-math.pi / 2, math.pi / 2, 9))
    if across < reach + _CHEST_MM or (outer + _SKIN_MM > breast.skin_mm(projection, around)).any():
        return False
    muscle = breast.pectoral_edge_mm(np.array([above]))[0] if projection == "MLO" else 0.0
    if across < muscle + 0.5 * reach:
        return False
    for other in others:
        if other.side == lesion.side:
            there = woman.seen_at_mm(other, projection)
            apart = max(abs(across - there[0]), abs(above - there[1]))  # boxes must not touch
            if apart < reach + other.reach_mm + _APART_MM:
                return False
    return True


def _seen_at_mm(
    position_mm: tuple[float, float, float], projection: Projection, angle_deg: float
) -> tuple[float, float]:
    across, lateral, superior = position_mm
    if projection == "CC":
        return across, lateral
    angle = math.radians(angle_deg)
    return across, superior * math.sin(angle) + lateral * math.cos(angle)
