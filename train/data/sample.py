"""One image of a data set, and all that the data set says of it: the one form of every reader.

A sample holds no pixels. Readers read what people wrote down; pixels, and masks that are images
themselves, are opened when a lesson is made of the sample.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side


@dataclass(frozen=True, slots=True)
class Polygon:
    """An outline, through the middles of pixels: (column, row) of each, closed by itself."""

    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Circle:
    """A place and how far it reaches, all in pixels."""

    column: float
    row: float
    radius: float


@dataclass(frozen=True, slots=True)
class MaskImage:
    """An image whose bright pixels are the lesion; it may differ from its image by some pixels."""

    path: Path
    instead: Path | None = None  # what is the mask where `path` turns out to be the picture of it


@dataclass(frozen=True, slots=True)
class Runs:
    """Pixels of the whole image, counted down its columns: first those outside."""

    rows: int
    columns: int
    counts: tuple[int, ...]


Outline = Box | Polygon | Circle | MaskImage | Runs


@dataclass(frozen=True, slots=True)
class Region:
    """What somebody marked in an image."""

    outline: Outline
    kind: Kind | None  # None: neither mass nor calcification, as a distortion; its facts say what
    malignant: bool | None  # None: nobody said
    facts: Mapping[str, str] = field(default_factory=dict)  # as shape, margins, subtlety


@dataclass(frozen=True, slots=True)
class Sample:
    """One image, where it comes from, and what it shows."""

    data_set: str
    patient: str  # the person: whatever else a data set calls a patient, two of them are two people
    image: Path
    side: Side
    projection: Projection | None  # None: another view than CC and MLO, or nobody said
    cancer: bool | None  # of this image's breast as far as this image is concerned; None: unknown
    regions: tuple[Region, ...] = ()
    # All lesions are marked: where no region is, there is none. False: some may be missing, and
    # the image teaches `cancer` alone.
    complete: bool = True
    split: str = ""  # the data set's own, as "train" or "test"
    spacing_mm: tuple[float, float] | None = None  # (row, column), where the file has none
    drawn_on: tuple[int, int] | None = None  # rows, columns that outlines count in, where said
    inverted: bool = False  # dark is dense, and the file does not say so itself
    facts: Mapping[str, str] = field(default_factory=dict)  # as density, birads, age, device

    @property
    def files(self) -> list[Path]:
        """Return every file that is opened when a lesson is made of it."""
        masks = [one.outline for one in self.regions if isinstance(one.outline, MaskImage)]
        drawn = [path for mask in masks for path in (mask.path, mask.instead) if path is not None]
        return [self.image, *drawn]


class Samples(list[Sample]):
    """All images of a folder that can be used, and what could not: why, and how often."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped: Counter[str] = Counter()
