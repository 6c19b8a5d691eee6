"""What was marked in an image, as a box and a mask of that image."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.findings import Box, Mask
from train.data.pixels import stored
from train.data.sample import Circle, MaskImage, Outline, Polygon, Runs
from train.errors import Refused

_TWO_VALUES = 0.98  # of a mask's pixels are dark or bright; JPEG leaves some between
_BETWEEN = (0.1, 0.9)  # of the way from the darkest to the brightest
_SAME_SHAPE = 1.05  # how far the aspects of a mask and its image may lie apart

Pixels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Marked:
    """Where a lesion lies."""

    box: Box
    mask: Mask
    drawn: bool  # somebody drew its edge; False: the mask is but the ellipse in a box, or a circle


def marked(outline: Outline, rows: int, columns: int) -> Marked | None:
    """Lay an outline on an image of this size; None where nothing of it lies in the image."""
    if isinstance(outline, Box):
        return _in_box(outline, rows, columns)
    if isinstance(outline, Polygon):
        mask = _within(_in_polygon(outline.points), rows, columns)
        return None if mask is None else Marked(_around(mask), mask, drawn=True)
    if isinstance(outline, Circle):
        mask = _within(_in_circle(outline), rows, columns)
        return None if mask is None else Marked(_around(mask), mask, drawn=False)
    if isinstance(outline, MaskImage):
        mask = _cut(0, 0, mask_of(outline, rows, columns))
    else:
        mask = _cut(0, 0, _fitted(_run(outline), rows, columns, "a mask in runs"))
    return None if mask is None else Marked(_around(mask), mask, drawn=True)


def mask_of(outline: MaskImage, rows: int, columns: int) -> Pixels:
    """Open a mask that is an image, as large as the image that it belongs to.

    CBIS-DDSM has taken many masks for the crops beside them, so what has two values is the mask.
    A crop may be too small to be read at all.
    """
    bright, unread = None, ""
    for path in (outline.path, outline.instead):
        if path is None:
            continue
        try:
            bright = _two_values(stored(path))
        except Refused as fault:
            unread = f"; {fault}"
        if bright is not None:
            break
    if bright is None:
        raise Refused(f"{_told(outline)}: no mask, for a mask has two values; get it anew{unread}")
    return _fitted(bright, rows, columns, _told(outline))


def _run(runs: Runs) -> Pixels:
    """Count pixels out, down the columns, outside and inside in turns (as COCO does)."""
    inside = np.arange(len(runs.counts)) % 2 == 1
    pixels = np.repeat(inside, runs.counts)
    if pixels.size != runs.rows * runs.columns:
        raise Refused(
            f"a mask counts {pixels.size} pixels, and {runs.rows} x {runs.columns} are "
            f"{runs.rows * runs.columns}"
        )
    return pixels.reshape(runs.columns, runs.rows).T


def _told(outline: MaskImage) -> str:
    return " and ".join(str(path) for path in (outline.path, outline.instead) if path is not None)


def _two_values(pixels: NDArray[np.integer]) -> Pixels | None:
    """Return where a mask is bright; None where the image is no mask."""
    low, high = float(pixels.min()), float(pixels.max())
    if low == high:
        return None
    dark, light = (low + part * (high - low) for part in _BETWEEN)
    apart = np.count_nonzero((pixels <= dark) | (pixels >= light))
    if apart < _TWO_VALUES * pixels.size:
        return None
    return np.asarray(pixels > (low + high) / 2)


def _fitted(bright: Pixels, rows: int, columns: int, whose: str) -> Pixels:
    """Take for each pixel of an image the one of its mask that lies nearest to its middle."""
    if bright.shape == (rows, columns):
        return bright
    aspect = (bright.shape[0] / bright.shape[1]) / (rows / columns)
    if not 1 / _SAME_SHAPE <= aspect <= _SAME_SHAPE:
        raise Refused(
            f"{whose}: a mask of {bright.shape[0]} x {bright.shape[1]} pixels does not belong to "
            f"an image of {rows} x {columns}"
        )
    down, across = (
        ((np.arange(wanted) + 0.5) * had / wanted).astype(np.intp)
        for wanted, had in zip((rows, columns), bright.shape, strict=True)
    )
    return bright[np.ix_(down, across)]


def _in_box(box: Box, rows: int, columns: int) -> Marked | None:
    """Cut a box at the image's edges, and lay the ellipse into it that touches its sides."""
    left, right = (min(max(side, 0.0), columns) for side in (box.left, box.right))
    top, bottom = (min(max(side, 0.0), rows) for side in (box.top, box.bottom))
    if not (left < right and top < bottom):
        return None
    inside = Box(left, top, right, bottom)
    first_column, first_row = math.floor(left), math.floor(top)
    across = np.arange(first_column, math.ceil(right)) + 0.5
    down = np.arange(first_row, math.ceil(bottom)) + 0.5
    column, row = inside.center
    pixels = (
        ((across - column) / (right - left) * 2) ** 2
        + ((down[:, None] - row) / (bottom - top) * 2) ** 2
    ) <= 1
    if not pixels.any():
        pixels[pixels.shape[0] // 2, pixels.shape[1] // 2] = True
    return Marked(inside, Mask(first_column, first_row, pixels), drawn=False)


def _in_circle(circle: Circle) -> Mask:
    """Fill a circle; whatever its radius, it holds the pixel in its middle."""
    column, row, radius = round(circle.column), round(circle.row), circle.radius
    reach = max(0, math.ceil(radius))
    steps = np.arange(-reach, reach + 1)
    across, down = steps + column - circle.column, steps + row - circle.row
    pixels = across**2 + down[:, None] ** 2 <= radius**2
    pixels[reach, reach] = True
    return Mask(column - reach, row - reach, pixels)


def _in_polygon(points: tuple[tuple[float, float], ...]) -> Mask:
    """Fill a polygon: the pixels whose middles lie in it or on its edge.

    One of a point or two is a speck or a line, and of one that holds no middle the corners remain.
    """
    corners = np.array(points, dtype=np.float64)
    left, top = np.floor(corners.min(axis=0)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).astype(int)
    pixels = np.zeros((bottom - top + 1, right - left + 1), dtype=np.bool_)
    near = corners - (left, top)
    for number, row in enumerate(pixels):
        for crossed in _crossings(near, number):
            for start, end in zip(crossed[::2], crossed[1::2], strict=True):
                row[math.ceil(start) : math.floor(end) + 1] = True
    # Where an outline runs back along itself, rows are crossed twice.
    on_middles = near[(near == near.round()).all(axis=1)].astype(int)
    pixels[on_middles[:, 1], on_middles[:, 0]] = True
    if len(points) < 3 or not pixels.any():  # noqa: PLR2004 - points of a surface
        _draw(near, pixels)
    return Mask(int(left), int(top), pixels)


def _crossings(corners: NDArray[np.float64], row: int) -> tuple[list[float], list[float]]:
    """Return where a row's middle crosses the edges, sorted.

    Counted twice, with the upper ends of edges and with the lower ones: together they hold the
    topmost and the lowest pixels too.
    """
    ends = np.roll(corners, -1, axis=0)
    (from_column, from_row), (to_column, to_row) = corners.T, ends.T
    found = []
    for first, last in (
        (np.minimum(from_row, to_row) <= row, np.maximum(from_row, to_row) > row),
        (np.minimum(from_row, to_row) < row, np.maximum(from_row, to_row) >= row),
    ):
        over = first & last
        part = (row - from_row[over]) / (to_row[over] - from_row[over])
        where = from_column[over] + part * (to_column[over] - from_column[over])
        found.append(sorted(np.round(where, 6).tolist()))  # what lies on an edge is in
    return found[0], found[1]


def _draw(corners: NDArray[np.float64], pixels: Pixels) -> None:
    """Draw from corner to corner, one pixel wide."""
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        steps = int(np.abs(end - start).max()) + 2
        columns, rows = np.rint(np.linspace(start, end, steps)).astype(int).T
        pixels[rows, columns] = True


def _within(mask: Mask, rows: int, columns: int) -> Mask | None:
    """Cut a mask at the image's edges."""
    first_row, first_column = max(0, -mask.top), max(0, -mask.left)
    last_row, last_column = max(0, rows - mask.top), max(0, columns - mask.left)
    inside = mask.pixels[first_row:last_row, first_column:last_column]
    return _cut(mask.left + first_column, mask.top + first_row, inside)


def _cut(left: int, top: int, pixels: Pixels) -> Mask | None:
    """Leave the empty rows and columns around a mask out."""
    if not pixels.any():
        return None
    down, across = (np.flatnonzero(pixels.any(axis=axis)) for axis in (1, 0))
    inside = pixels[down[0] : down[-1] + 1, across[0] : across[-1] + 1]
    return Mask(left + int(across[0]), top + int(down[0]), np.ascontiguousarray(inside))


def _around(mask: Mask) -> Box:
    height, width = mask.pixels.shape
    return Box(mask.left, mask.top, mask.left + width, mask.top + height)
