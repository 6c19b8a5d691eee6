r"""What a system saw. Every coordinate is in pixels of the source image.

Boxes are (left, top, right, bottom), half open: the box of the single pixel in the corner is
(0, 0, 1, 1). So DICOM's 0\0, the outer corner of the first pixel, needs no half-pixel shift.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from inference.mammogram import Projection, Side


class Kind(StrEnum):
    """What kind of lesion."""

    MASS = "mass"
    CALCIFICATION = "calcification"


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in source pixels, half open."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def center(self) -> tuple[float, float]:
        """Return (column, row) of the middle."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Return how many pixels it covers."""
        return (self.right - self.left) * (self.bottom - self.top)

    def overlap(self, other: "Box") -> float:
        """Return the intersection over the union of two boxes."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        return width * height / (self.area + other.area - width * height)


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The pixels of one finding: a crop and where it lies."""

    left: int
    top: int
    pixels: NDArray[np.bool_]  # (row, column)

    def on(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """Lay the mask on an empty image of the source's size."""
        full = np.zeros((rows, columns), dtype=np.bool_)
        height, width = self.pixels.shape
        full[self.top : self.top + height, self.left : self.left + width] = self.pixels
        return full


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One lesion in one view."""

    kind: Kind
    box: Box
    score: float  # how certain the system is that this is a lesion, 0 to 1
    cancer_score: float | None  # how likely it is malignant, where the system can tell
    mask: Mask | None
    systems: tuple[str, ...]  # who saw it
    scores: tuple[float, ...] = ()  # what each of them gave it; empty where one read alone
    uncertainty: float | None = None  # how far they lie apart; None where one saw it alone
    raw: float | None = None  # the logit behind `cancer_score`, before any calibration


@dataclass(frozen=True, slots=True, eq=False)
class ViewFindings:
    """What was seen in one view; no findings is an answer too."""

    sop_instance_uid: str
    side: Side
    projection: Projection
    cancer_score: float | None
    findings: tuple[Finding, ...]
    uncertainty: float | None = None  # how far those who judge it lie apart; None for one
    nipple: tuple[float, float] | None = None  # (column, row); None where it is not seen
    raw: float | None = None  # the network's logit; None where several read, or none judges


@dataclass(frozen=True, slots=True)
class Member:
    """One of those who read an exam: a bundle at an operating point."""

    name: str  # as findings name it: its system, numbered where two are of one system
    system: str
    bundle: str
    version: str
    digest: str
    operating_point: str
    marks: tuple[Kind, ...]
    cancer_score: float | None  # of the exam
    corrected: str = ""  # why its scores are not those of its card, where they are not


@dataclass(frozen=True, slots=True)
class Correction:
    """What a site makes of every cancer score of an exam: a line on its logit."""

    slope: float
    intercept: float
    why: str  # what it rests on


@dataclass(frozen=True, slots=True, eq=False)
class ExamFindings:
    """What was seen in one exam, and by whom.

    An uncertainty is the standard deviation of what several say, in logits: from 1 % to 2 % is as
    far as from 98 % to 99 %.
    """

    system: str  # one of the five names, or that of their agreement
    version: str  # of the bundle
    digest: str  # SHA-256 of the bundle's weights
    operating_point: str  # the named thresholds that decided which findings stand here
    marks: tuple[Kind, ...]  # what was looked for: of other kinds, no finding says nothing
    cancer_score: float | None  # the exam's, 0 to 1; None where the system does not judge
    views: tuple[ViewFindings, ...]
    members: tuple[Member, ...] = ()  # who read; empty where a transcript of format 1 is silent
    uncertainty: float | None = None
    raw: float | None = None  # the network's logit of the exam, before any calibration
    card_score: float | None = None  # what would be told of the exam without the correction
    called_from: float | None = None  # the score that reaches the operating point, if it says one
    correction: Correction | None = None  # the site's, which all scores here have gone through

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings of all views."""
        return tuple(finding for view in self.views for finding in view.findings)
