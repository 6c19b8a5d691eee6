"""A mammogram as the reading room sees it: stored pixels and how they become grey."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Side(StrEnum):
    """Which breast, in DICOM's letters."""

    LEFT = "L"
    RIGHT = "R"


class Projection(StrEnum):
    """Which screening view."""

    CC = "CC"
    MLO = "MLO"


PROJECTIONS = {  # CID 4014, in SNOMED's codes of today and of before 2019
    "399162004": Projection.CC,
    "R-10242": Projection.CC,
    "399368009": Projection.MLO,
    "R-10226": Projection.MLO,
}


@dataclass(frozen=True, slots=True, eq=False)
class GreyScale:
    """How stored values become display grey, 0 (black) to 1 (white).

    Rescale, VOI window or table, and presentation inversion are all functions of one stored
    integer, so together they are one table, whatever the header said.
    """

    first: int  # the stored value that table[0] answers for
    table: NDArray[np.float32]
    assumed: bool = False  # the header had no usable window, and one was made from the pixels

    def of(self, pixels: NDArray[np.integer]) -> NDArray[np.float32]:
        """Return the grey of stored values."""
        if self.first:
            pixels = np.subtract(pixels, self.first, dtype=np.int32)
        return self.table.take(pixels, mode="clip")


@dataclass(frozen=True, slots=True, eq=False)
class Mammogram:
    """One view of one breast."""

    sop_instance_uid: str
    side: Side
    projection: Projection
    pixels: NDArray[np.integer]  # (row, column), stored values
    grey: GreyScale
    spacing_mm: tuple[float, float]  # (row, column), at the detector

    @property
    def name(self) -> str:
        """Name the view as radiologists do: LCC, RMLO."""
        return f"{self.side}{self.projection}"


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """The views of one study that are read together."""

    study_instance_uid: str
    views: tuple[Mammogram, ...]
