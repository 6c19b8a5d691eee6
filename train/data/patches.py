"""Patches around lesions and on the breast beside them, as Shen and others 2019 sample them.

Section 3.1.1 says how many; how far a patch overlaps a lesion is measured as the paper's published
code does. A patch is a place in a lesson: it is cut, and changed, when a batch asks for it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.trunks import channels_last
from train.data.augment import Augmentation, numbered
from train.data.lesson import Lesson

BACKGROUND = 0  # the other classes are those of `Lesson.labels`
LEAST_OVERLAP, MOST_BACKGROUND = 0.9, 0.35  # the paper's; its code's
_RELAXED_BY, _DRAWS = 0.05, 1000
_AIR = 10  # of 255, as the search for the breast has it: darker is no breast

Mask = NDArray[np.bool_]
Centers = NDArray[np.int64]  # N 2, row and column


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Augmentation):
    """How far patches and pictures are changed (section 3.1.2)."""

    mirror: bool  # left to right, as the four-flip prediction shows pictures
    shear_rad: float
    shift: float  # of grey, in parts of white


class Patch(NamedTuple):
    """A place in a lesson, and the class that is to be seen there."""

    lesson: int
    row: int  # of its center
    column: int
    label: int


def sampled(
    lessons: Sequence[Lesson], patch_px: int, per_lesion: int, seed: int
) -> tuple[Patch, ...]:
    """Sample patches of every lesion, and as many of the background of the same pictures.

    One a lesion, its own center, makes the paper's set S1; ten make S10. A picture in which some
    lesions may not be marked has no background that anybody knows, and gives none.
    """
    rng = np.random.default_rng(seed)
    found: list[Patch] = []
    for number, lesson in enumerate(lessons):
        if not lesson.outlined:
            continue
        found += [
            Patch(number, row, column, label)
            for row, column, label in _of(lesson, patch_px, per_lesion, rng)
        ]
    return tuple(found)


def overlaps(roi: Mask, centers: Centers, patch_px: int, cutoff: float) -> Mask:
    """Tell which patches overlap a region of interest by more than a part of either."""
    shared = covered(roi, centers, patch_px)
    of_either = np.maximum(shared / max(1, roi.sum()), shared / patch_px**2)
    answer: Mask = of_either > cutoff
    return answer


def covered(area: Mask, centers: Centers, patch_px: int) -> NDArray[np.int64]:
    """Count the pixels of an area in each patch; a patch may stand out of the picture."""
    height, width = area.shape
    sums = np.zeros((height + 1, width + 1), np.int64)
    sums[1:, 1:] = area.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)
    first = centers - patch_px // 2
    top, bottom = (np.clip(first[:, 0] + end, 0, height) for end in (0, patch_px))
    left, right = (np.clip(first[:, 1] + end, 0, width) for end in (0, patch_px))
    inside: NDArray[np.int64] = (
        sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    )
    return inside


def around(roi: Mask, count: int, patch_px: int, rng: np.random.Generator) -> Centers:
    """Draw centers from a region's box until enough patches overlap it.

    Where a thousand draws were not enough, the overlap asked for is relaxed.
    """
    top, bottom, left, right = _extent(roi)
    found, cutoff = np.zeros((0, 2), np.int64), LEAST_OVERLAP
    while len(found) < count and cutoff > 0:
        drawn = rng.integers((top, left), (bottom, right), (_DRAWS, 2))
        found = np.concatenate([found, drawn[overlaps(roi, drawn, patch_px, cutoff)]])
        cutoff -= _RELAXED_BY
    if len(found) < count:
        raise ValueError(
            f"no patch of {patch_px} pixels shows a region of {roi.sum()}: choose larger patches"
        )
    return found[:count]


def beside(
    rois: Sequence[Mask], breast: Mask, count: int, patch_px: int, rng: np.random.Generator
) -> Centers:
    """Draw centers on the breast whose patches overlap no region by much.

    Where a thousand draws were not enough, as in a small breast, more overlap is allowed.
    """
    tissue = np.argwhere(breast)
    found, cutoff = np.zeros((0, 2), np.int64), MOST_BACKGROUND
    while len(found) < count:
        drawn = tissue[rng.integers(len(tissue), size=_DRAWS)]
        for roi in rois:
            drawn = drawn[~overlaps(roi, drawn, patch_px, cutoff)]
        found = np.concatenate([found, drawn])
        cutoff += _RELAXED_BY
    return found[:count]


def changed(
    picture: NDArray[np.uint8],
    center: tuple[float, float],
    shape: tuple[int, int],
    change: Change,
    rng: np.random.Generator,
) -> Tensor:
    """Cut a window out of a picture: turned, sheared, zoomed, flipped, and exposed otherwise."""
    height, width = picture.shape[-2:]
    matrix = torch.from_numpy(_matrix(change, rng))
    # From the window's coordinates, -1 to 1, to the picture's.
    scale = torch.tensor(
        [[shape[1] / width, shape[0] / width], [shape[1] / height, shape[0] / height]]
    )
    middle = torch.tensor([[2 * center[1] / width - 1], [2 * center[0] / height - 1]])
    grid = F.affine_grid(
        torch.cat([matrix * scale, middle], dim=1)[None],
        [1, 1, *shape],
        align_corners=False,
    )
    grey = torch.from_numpy(picture).float()[None] / 255
    window = F.grid_sample(grey, grid, mode="bilinear", align_corners=False)[0]
    exponent, gain = (math.exp(rng.uniform(-1, 1) * math.log1p(change.contrast)) for _ in range(2))
    shift = rng.uniform(-change.shift, change.shift)
    return (window.clamp(min=1e-6).pow(exponent) * gain + shift).clamp(0, 1)


def cut(
    lessons: Sequence[Lesson],
    chosen: Sequence[Patch],
    patch_px: int,
    change: Change,
    rng: np.random.Generator,
) -> Tensor:
    """Cut patches out of their lessons, B C H W."""
    windows = [
        changed(
            lessons[patch.lesson].picture,
            # A patch of an even size has its center between pixels.
            (patch.row - patch_px // 2 + patch_px / 2, patch.column - patch_px // 2 + patch_px / 2),
            (patch_px, patch_px),
            change,
            rng,
        )
        for patch in chosen
    ]
    return channels_last(torch.stack(windows))


def _of(
    lesson: Lesson, patch_px: int, per_lesion: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    numbers = numbered(lesson)
    shown = [
        (numbers == number, label)
        for number, label in enumerate(lesson.classes, start=1)
        if (numbers == number).any()  # another lesion may hide it
    ]
    if not shown:
        return
    for roi, label in shown:
        centers = around(roi, per_lesion, patch_px, rng) if per_lesion > 1 else _middle(roi)
        yield from ((int(row), int(column), label) for row, column in centers)
    breast = lesson.picture[0] > _AIR
    free = beside([roi for roi, _ in shown], breast, per_lesion * len(shown), patch_px, rng)
    yield from ((int(row), int(column), BACKGROUND) for row, column in free)


def _middle(roi: Mask) -> Centers:
    top, bottom, left, right = _extent(roi)
    return np.array([[(top + bottom) // 2, (left + right) // 2]])


def _extent(roi: Mask) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(roi.any(axis=1)), np.flatnonzero(roi.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _matrix(change: Change, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how a step in the window, across and down, is a step in the picture."""
    angle = math.radians(rng.uniform(-change.turn_deg, change.turn_deg))
    shear = rng.uniform(-change.shear_rad, change.shear_rad)
    zoom = math.exp(rng.uniform(-1, 1) * math.log1p(change.zoom))
    across = -1.0 if change.mirror and rng.random() < 0.5 else 1.0  # noqa: PLR2004 - a coin
    down = -1.0 if change.flip and rng.random() < 0.5 else 1.0  # noqa: PLR2004 - a coin
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    sheared = np.array([[1, math.sin(shear)], [0, math.cos(shear)]])
    matrix: NDArray[np.float64] = turned @ sheared @ np.diag([across, down]) / zoom
    return matrix.astype(np.float32)
