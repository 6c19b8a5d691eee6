"""Where in the breast a lesion lies, in the words radiologists use, and what is one in two views.

A view is flat: a CC view tells outer from inner, an MLO view upper from lower, and only a lesion
that both views show has a quadrant. The distance to the nipple is the same in both views but for
how the breast is compressed, which is how one view's lesion is found again in the other.

Depth counts along the rows, from the nipple to the edge of the image at the chest wall. In an MLO
view that is a little off, since the muscle stands oblique.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from scipy.optimize import linear_sum_assignment

from dicom_node.reporting.sources import Lesion, Source
from inference.findings import Kind
from inference.mammogram import Projection, Side

CENTRAL_MM = 10.0  # so close to the nipple's level a lesion lies in no half
APART_MM = 15.0  # of phantoms' lesions, 97 in 100 differ by less between the views
THIRDS = ("anterior third", "middle third", "posterior third")
CENTRAL = "central"
INWARDS = {Side.LEFT: "R", Side.RIGHT: "L"}  # the patient's direction from each breast's outside
ENDS = {"upper half": "upper", "lower half": "lower", "outer half": "outer", "inner half": "inner"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lesion lies in one view; what cannot be told is left out."""

    half: str  # "outer half", "central", or nothing
    depth: str  # "middle third", or nothing
    from_nipple_mm: float | None

    @property
    def words(self) -> str:
        """Say the place in words; nothing where nothing can be told."""
        distance = self.from_nipple_mm
        told = (
            self.half,
            self.depth,
            "" if distance is None else f"{distance:.0f} mm from the nipple",
        )
        return ", ".join(word for word in told if word)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A lesion of the CC view that seems to be one of the MLO view."""

    across: Lesion  # in the CC view
    oblique: Lesion  # in the MLO view
    place: str  # "upper outer quadrant", or nothing
    apart_mm: float  # how far the two distances to the nipple lie apart

    @property
    def words(self) -> str:
        """Say it in words."""
        place = f" in the {self.place}" if self.place else ""
        return (
            f"{self.across.name} and {self.oblique.name} may be one lesion{place}: their "
            f"distances to the nipple differ by {self.apart_mm:.0f} mm."
        )


def place(lesion: Lesion, source: Source) -> Place:
    """Tell where a lesion lies in its view."""
    nipple, spacing = source.view.nipple, _spacing(source.header)
    if nipple is None or spacing is None:
        return Place("", "", None)
    down, across = spacing
    below = (lesion.center[1] - nipple[1]) * down
    beside = (lesion.center[0] - nipple[0]) * across
    return Place(
        half=_half(source, below),
        depth=_depth(source, lesion.center[0], nipple[0]),
        from_nipple_mm=math.hypot(below, beside),
    )


def pairs(sources: Sequence[Source]) -> tuple[Pair, ...]:
    """Find what CC and MLO of a breast both show: each lesion once, the distances closest."""
    return tuple(pair for side in Side for kind in Kind for pair in _pairs(sources, side, kind))


def _pairs(sources: Sequence[Source], side: Side, kind: Kind) -> Iterator[Pair]:
    views = [
        [
            (lesion, place(lesion, source))
            for source in sources
            if (source.view.side, source.view.projection) == (side, projection)
            for lesion in source.lesions
            if lesion.finding.kind is kind
        ]
        for projection in (Projection.CC, Projection.MLO)
    ]
    in_cc, in_mlo = ([one for one in view if one[1].from_nipple_mm is not None] for view in views)
    if not (in_cc and in_mlo):
        return
    distances = [np.array([seen.from_nipple_mm for _, seen in view]) for view in (in_cc, in_mlo)]
    apart = np.abs(distances[0][:, None] - distances[1][None, :])
    # What lies too far apart costs the same, however far: it must not push others apart.
    for one, other in zip(*linear_sum_assignment(np.minimum(apart, 2 * APART_MM)), strict=True):
        if apart[one, other] <= APART_MM:
            (lesion, here), (same, there) = in_cc[one], in_mlo[other]
            yield Pair(lesion, same, _quadrant(here.half, there.half), float(apart[one, other]))


def _quadrant(across: str, oblique: str) -> str:
    """Join the half that each view tells; a lesion behind the nipple in both is central."""
    if across == oblique == CENTRAL:
        return "central region"
    if across in ENDS and oblique in ENDS:
        return f"{ENDS[oblique]} {ENDS[across]} quadrant"
    return ""


def _half(source: Source, below_mm: float) -> str:
    """Tell in which half of the view a lesion lies, by what the header says is down."""
    orientation = source.header.get("PatientOrientation") or ("", "")
    if orientation[0][:1] not in {"A", "P"}:
        return ""  # the rows do not run along the breast
    if source.view.projection is Projection.CC:
        inwards, outwards = INWARDS[source.view.side], source.view.side
        halves = {inwards: ("outer half", "inner half"), outwards: ("inner half", "outer half")}
    else:
        halves = {"F": ("upper half", "lower half"), "H": ("lower half", "upper half")}
    above_and_below = halves.get(orientation[1][:1])
    if above_and_below is None:
        return ""
    return CENTRAL if abs(below_mm) < CENTRAL_MM else above_and_below[below_mm > 0]


def _depth(source: Source, column: float, nipple: float) -> str:
    """Tell in which third between nipple and chest wall a lesion lies."""
    orientation = source.header.get("PatientOrientation") or ("", "")
    chest = {"A": 0.0, "P": float(source.header.Columns)}.get(orientation[0][:1])
    if chest is None or chest == nipple:
        return ""
    part = (column - nipple) / (chest - nipple)
    return THIRDS[min(max(int(part * len(THIRDS)), 0), len(THIRDS) - 1)]


def _spacing(header: Dataset) -> tuple[float, float] | None:
    spacing = header.get("ImagerPixelSpacing")
    return (float(spacing[0]), float(spacing[1])) if spacing else None
