"""Where a picture lies in its source image, exactly, and the way back.

A picture shows a crop of the source, mirrored perhaps, in fewer pixels, with empty space below
and to the right. Each picture pixel stands for a whole rectangle of source pixels, and each
source pixel of the crop belongs to exactly one picture pixel: so a mask has one way back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.findings import Box, Mask

Edges = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placement:
    """A crop of the source (left, top, right, bottom) shown on rows x columns of the picture."""

    left: int
    top: int
    right: int
    bottom: int
    flipped: bool
    rows: int
    columns: int

    def __post_init__(self) -> None:
        width, height = self.right - self.left, self.bottom - self.top
        if not (0 < self.columns <= width and 0 < self.rows <= height):
            raise ValueError(
                f"{width} x {height} source pixels cannot be shown "
                f"on {self.columns} x {self.rows} picture pixels"
            )

    @property
    def row_edges(self) -> Edges:
        """Return where each picture row begins, in rows of the crop, and the crop's end."""
        return _edges(self.bottom - self.top, self.rows)

    @property
    def column_edges(self) -> Edges:
        """Return where each picture column begins, in columns of the crop as the picture has it."""
        return _edges(self.right - self.left, self.columns)

    def point_to_source(self, column: float, row: float) -> tuple[float, float]:
        """Bring a point of the picture to the source."""
        across = column * (self.right - self.left) / self.columns
        down = row * (self.bottom - self.top) / self.rows
        return (self.right - across if self.flipped else self.left + across), self.top + down

    def point_to_picture(self, column: float, row: float) -> tuple[float, float]:
        """Bring a point of the source to the picture."""
        across = self.right - column if self.flipped else column - self.left
        return (
            across * self.columns / (self.right - self.left),
            (row - self.top) * self.rows / (self.bottom - self.top),
        )

    def box_to_source(self, box: Box) -> Box:
        """Bring a box of the picture to the source."""
        return _box(
            self.point_to_source(box.left, box.top), self.point_to_source(box.right, box.bottom)
        )

    def box_to_picture(self, box: Box) -> Box:
        """Bring a box of the source to the picture."""
        return _box(
            self.point_to_picture(box.left, box.top), self.point_to_picture(box.right, box.bottom)
        )

    def mask_to_source(self, mask: NDArray[np.bool_]) -> Mask:
        """Bring a mask on the whole picture to the source; it must touch the crop."""
        shown = mask[: self.rows, : self.columns]
        rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
        if not rows.size:
            raise ValueError("an empty mask has no place in the source")
        part = shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        down = self.row_edges[rows[0] : rows[-1] + 2]
        across = self.column_edges[columns[0] : columns[-1] + 2]
        pixels = part.repeat(np.diff(down), axis=0).repeat(np.diff(across), axis=1)
        if self.flipped:
            left, pixels = self.right - int(across[-1]), np.ascontiguousarray(pixels[:, ::-1])
        else:
            left = self.left + int(across[0])
        return Mask(left=left, top=self.top + int(down[0]), pixels=pixels)

    def mask_to_picture(self, mask: Mask, height_px: int, width_px: int) -> NDArray[np.bool_]:
        """Bring a mask to the picture: a pixel is set where any of its source pixels is."""
        picture = np.zeros((height_px, width_px), dtype=np.bool_)
        rows, columns = np.nonzero(mask.pixels)
        rows, columns = rows + mask.top - self.top, columns + mask.left
        columns = self.right - 1 - columns if self.flipped else columns - self.left
        inside = (rows >= 0) & (rows < self.bottom - self.top)
        inside &= (columns >= 0) & (columns < self.right - self.left)
        picture[
            np.searchsorted(self.row_edges, rows[inside], side="right") - 1,
            np.searchsorted(self.column_edges, columns[inside], side="right") - 1,
        ] = True
        return picture


def _edges(length: int, parts: int) -> Edges:
    """Cut a length into parts that differ by one at most; integers, so that nothing rounds."""
    return np.arange(parts + 1, dtype=np.int64) * length // parts


def _box(one: tuple[float, float], other: tuple[float, float]) -> Box:
    return Box(
        min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])
    )
