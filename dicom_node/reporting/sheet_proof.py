"""What is checked in a picture of the four views before it may leave, whichever object bears it.

The colors are looked for where the findings are, as an eye would; then the picture is held
against one that is drawn again.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom_node.reporting.drawing import INK, Spot, spots
from dicom_node.reporting.lightbox import Shown
from dicom_node.reporting.outline import Point
from dicom_node.reporting.sources import Source
from inference.findings import Kind

Pixels = NDArray[np.uint8]  # (row, column, color)

DRAWN = 0.98  # share of an outline's length that bears its color
NEAR = 3  # pixels between an outline and the farthest of its color
TISSUE = 24  # greys below are alike in every view
UNCOVERED = 0.5  # share of the tissue that is left as it was


def views_faults(
    picture: Pixels,
    sources: Sequence[Source],
    shown: Mapping[str, Shown],
    expected: Image.Image,
) -> Iterator[str]:
    """Check each view and each mark in a picture of the views."""
    placed, (width, height) = spots({name: one.picture.shape[::-1] for name, one in shown.items()})
    if picture.shape != (height, width, 3):
        yield f"the picture of the views has the shape {picture.shape}"
        return
    for source in sources:
        part = _part(picture, placed[source.name])
        yield from _marks_faults(part, source, shown[source.name])
        yield from _view_faults(part, source, shown[source.name])
    if not np.array_equal(picture, np.asarray(expected)):
        yield "the picture of the views is not what the findings make"


def _part(picture: Pixels, spot: Spot) -> Pixels:
    return picture[spot.top : spot.top + spot.height, spot.left : spot.left + spot.width]


def _marks_faults(part: Pixels, source: Source, shown: Shown) -> Iterator[str]:
    """Check that each outline bears its color, and that the color is nowhere else."""
    paths = {
        lesion.name: _along([(x * shown.scale, y * shown.scale) for x, y in lesion.outline])
        for lesion in source.lesions
    }
    inked = {kind: _has(part, kind) for kind in Kind}
    anything = np.logical_or.reduce(list(inked.values()))
    allowed = {kind: np.zeros(part.shape[:2], dtype=np.bool_) for kind in Kind}
    for lesion in source.lesions:
        allowed[lesion.finding.kind][_inside(paths[lesion.name], part.shape[:2])] = True
    near = {kind: _grown(where, NEAR) for kind, where in allowed.items()}
    for lesion in source.lesions:
        rows, columns = _inside(paths[lesion.name], part.shape[:2])
        kinds = [near[kind] for kind in Kind if kind != lesion.finding.kind]
        alone = ~np.logical_or.reduce(kinds)[rows, columns]  # a mark of another kind may cover it
        in_color = _grown(inked[lesion.finding.kind], 1)[rows, columns]
        if _grown(anything, 1)[rows, columns].mean() < DRAWN:
            yield f"{lesion.name} is not drawn where it was found"
        elif alone.any() and not in_color[alone].any():
            yield f"{lesion.name} is not drawn in its color"
    for kind in Kind:
        if (inked[kind] & ~near[kind]).any():
            yield f"something is drawn in {source.name} in the color of a {kind} that is none"


def _view_faults(part: Pixels, source: Source, shown: Shown) -> Iterator[str]:
    """Check that what lies below the marks is the view itself, in its own greys."""
    tissue = shown.picture > TISSUE
    grey = (part[..., 0] == part[..., 1]) & (part[..., 1] == part[..., 2])
    same = grey & (part[..., 0] == shown.picture)
    if tissue.any() and same[tissue].mean() < UNCOVERED:
        yield f"{source.name} does not show its image"


def _along(outline: Sequence[Point]) -> NDArray[np.float64]:
    """Walk an outline in steps of at most a pixel; return (column, row) pairs."""
    steps = []
    for (x, y), (onward_x, onward_y) in pairwise(outline):
        count = max(2, math.ceil(math.hypot(onward_x - x, onward_y - y)) + 1)
        steps.append(
            np.stack([np.linspace(x, onward_x, count), np.linspace(y, onward_y, count)], 1)
        )
    return np.concatenate(steps)


def _inside(
    path: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    columns = np.clip(path[:, 0].round().astype(np.intp), 0, shape[1] - 1)
    rows = np.clip(path[:, 1].round().astype(np.intp), 0, shape[0] - 1)
    return rows, columns


def _has(part: Pixels, kind: Kind) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (part == np.array(INK[kind], dtype=np.uint8)).all(axis=2)
    return found


def _grown(where: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Add the neighbors of what is there."""
    grown = where
    for _ in range(pixels):
        padded = np.pad(grown, 1)
        grown = np.logical_or.reduce(
            [
                padded[row : row + where.shape[0], column : column + where.shape[1]]
                for row in range(3)
                for column in range(3)
            ]
        )
    return grown
