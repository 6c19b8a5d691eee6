r"""From a mask or a box to a closed polyline in pixels of the source image.

DICOM's 0\0 is the outer corner of the first pixel (PS3.3, C.18.6.1.2), so an outline runs
along the edges of pixels and needs no half-pixel shift.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from inference.findings import Box, Finding, Mask

Point = tuple[float, float]  # (column, row)

MAX_POINTS = 96  # viewers draw long outlines slowly; a lesion has no more detail than this
MIN_POINTS = 8  # a viewer takes outlines of four or five points for somebody's measurement
ONE_BODY = 0.9  # share of the pixels in the largest component above which the rest is crumbs
ROUNDING = 0.2  # radius of a box's corners, in shorter sides
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up


def outline(finding: Finding, rows: int, columns: int) -> tuple[Point, ...]:
    """Draw a finding as a closed polyline inside the image; the last point is the first."""
    if finding.mask is not None and finding.mask.pixels.any():
        points = around_mask(finding.mask)
    else:
        points = around_box(finding.box)
    points = _enough(_few(points))
    inside = [(min(max(x, 0.0), columns), min(max(y, 0.0), rows)) for x, y in points]
    return tuple((round(x, 2), round(y, 2)) for x, y in [*inside, inside[0]])


def around_box(box: Box) -> list[Point]:
    """Draw a rectangle with round corners."""
    radius = ROUNDING * min(box.right - box.left, box.bottom - box.top)
    corners = (
        (box.right - radius, box.top + radius, -90),
        (box.right - radius, box.bottom - radius, 0),
        (box.left + radius, box.bottom - radius, 90),
        (box.left + radius, box.top + radius, 180),
    )
    return [
        (
            x + radius * math.cos(math.radians(start + turn)),
            y + radius * math.sin(math.radians(start + turn)),
        )
        for x, y, start in corners
        for turn in (0, 30, 60, 90)
    ]


def around_mask(mask: Mask) -> list[Point]:
    """Draw a lesion along its edge, and a cluster of specks as what a thread around it would be."""
    bodies, count = ndimage.label(mask.pixels)
    sizes = np.bincount(bodies.ravel())[1:]
    if count == 1 or sizes.max() > ONE_BODY * sizes.sum():
        points = _edge(ndimage.binary_fill_holes(bodies == 1 + int(sizes.argmax())))
    else:
        points = _thread(mask.pixels)
    return [(x + mask.left, y + mask.top) for x, y in points]


def _thread(pixels: NDArray[np.bool_]) -> list[Point]:
    rows, columns = np.nonzero(pixels)
    corners = np.concatenate(
        [np.stack([columns + right, rows + down], axis=1) for right in (0, 1) for down in (0, 1)]
    )
    return [(float(x), float(y)) for x, y in corners[ConvexHull(corners).vertices]]


def _edge(body: NDArray[np.bool_]) -> list[Point]:
    """Walk around a body with its pixels at the right hand, and note each turn."""
    padded = np.pad(body, 1)
    inner = padded[1:-1, 1:-1]
    leaving: dict[tuple[int, int], set[int]] = {}
    for direction, (neighbor, right, down) in enumerate(
        (
            (padded[:-2, 1:-1], 0, 0),  # nothing above: the top edge leads right
            (padded[1:-1, 2:], 1, 0),  # nothing at the right: its edge leads down
            (padded[2:, 1:-1], 1, 1),  # nothing below: the bottom edge leads left
            (padded[1:-1, :-2], 0, 1),  # nothing at the left: its edge leads up
        )
    ):
        for row, column in np.argwhere(inner & ~neighbor):
            leaving.setdefault((int(column) + right, int(row) + down), set()).add(direction)
    top = int(np.argmax(body.any(axis=1)))
    start = (int(np.argmax(body[top])), top)
    here, heading, points = start, 0, [(float(start[0]), float(start[1]))]
    while True:
        here = (here[0] + STEPS[heading][0], here[1] + STEPS[heading][1])
        if here == start:
            return points
        # At a corner where two pixels touch, turning right stays with the same pixel.
        turns = ((heading + 1) % 4, heading, (heading + 3) % 4)
        onward = next(turn for turn in turns if turn in leaving[here])
        if onward != heading:
            points.append((float(here[0]), float(here[1])))
        heading = onward


def _few(points: list[Point]) -> list[Point]:
    """Leave out points until few enough are left, at the least cost in shape."""
    tolerance = 0.75
    while len(points) > MAX_POINTS:
        half = len(points) // 2
        path = np.array([*points, points[0]])
        points = [*_simple(path[: half + 1], tolerance), *_simple(path[half:], tolerance)]
        tolerance *= 1.5
    return points


def _simple(path: NDArray[np.float64], tolerance: float) -> list[Point]:
    """Simplify an open path (Douglas and Peucker 1973), leaving out its last point."""
    keep = np.zeros(len(path), dtype=bool)
    keep[0] = True
    spans = [(0, len(path) - 1)]
    while spans:
        first, last = spans.pop()
        along = path[last] - path[first]
        between = path[first + 1 : last] - path[first]
        if len(between) == 0:
            continue
        length = float(np.hypot(*along))
        off = (
            np.abs(along[0] * between[:, 1] - along[1] * between[:, 0]) / length
            if length
            else np.hypot(between[:, 0], between[:, 1])
        )
        if off.max() > tolerance:
            farthest = first + 1 + int(off.argmax())
            keep[farthest] = True
            spans += [(first, farthest), (farthest, last)]
    keep[-1] = False
    return [(float(x), float(y)) for x, y in path[keep]]


def _enough(points: list[Point]) -> list[Point]:
    """Halve the longest sides until there are enough points."""
    points = list(points)
    while len(points) < MIN_POINTS:
        ends = [*points[1:], points[0]]
        longest = max(range(len(points)), key=lambda side: math.dist(points[side], ends[side]))
        (x, y), (onward_x, onward_y) = points[longest], ends[longest]
        points.insert(longest + 1, ((x + onward_x) / 2, (y + onward_y) / 2))
    return points
