"""Batches of lessons: drawn, moved, turned and re-exposed at random, all from one generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.trunks import channels_last
from train.data.phantom import Lesson


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from."""

    pictures: Tensor  # B C H W, 0 to 1
    labels: Tensor  # B H W, classes
    cancer: Tensor  # B, 0 or 1

    def to(self, device: str) -> "Batch":
        """Bring the batch to where the network is."""
        return Batch(self.pictures.to(device), self.labels.to(device), self.cancer.to(device))


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a lesson may be changed."""

    turn_deg: float
    zoom: float  # 0.1: from 1/1.1 to 1.1
    contrast: float  # exponent of grey, and gain, alike
    flip: bool  # upside down; the chest wall stays on the left


@dataclass(frozen=True, slots=True)
class Draw:
    """What a batch is made of."""

    size: int
    height_px: int
    width_px: int
    cancers: float  # part of the batch that shows a cancer
    benign: float  # part that shows benign lesions only
    centered: bool  # on a lesion where there is one; else the picture's own corner


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The lessons to draw from, by what they show."""

    cancers: list[Lesson]
    benign: list[Lesson]
    healthy: list[Lesson]


def pool(lessons: Sequence[Lesson]) -> Pool:
    """Sort lessons by what they show."""
    return Pool(
        [lesson for lesson in lessons if lesson.cancer],
        [lesson for lesson in lessons if lesson.boxes and not lesson.cancer],
        [lesson for lesson in lessons if not lesson.boxes],
    )


def drawn(lessons: Pool, draw: Draw, change: Augmentation, rng: np.random.Generator) -> Batch:
    """Draw one batch."""
    chosen = [_chosen(lessons, draw, rng) for _ in range(draw.size)]
    shape = (draw.height_px, draw.width_px)
    parts = [_changed(lesson, shape, draw.centered, change, rng) for lesson in chosen]
    pictures = torch.stack([picture for picture, _ in parts])
    return Batch(
        pictures=channels_last(_exposed(pictures, change, rng)),
        labels=torch.stack([labels for _, labels in parts]),
        cancer=torch.tensor([float(lesson.cancer) for lesson in chosen]),
    )


def unchanged(lessons: Sequence[Lesson]) -> Batch:
    """Stack lessons as they are served."""
    pictures = torch.from_numpy(np.stack([lesson.picture for lesson in lessons]))
    return Batch(
        pictures=channels_last(pictures.float() / 255),
        labels=torch.from_numpy(np.stack([lesson.labels for lesson in lessons])).long(),
        cancer=torch.tensor([float(lesson.cancer) for lesson in lessons]),
    )


def _chosen(lessons: Pool, draw: Draw, rng: np.random.Generator) -> Lesson:
    lot = rng.random()
    group = lessons.healthy
    if lot < draw.cancers:
        group = lessons.cancers
    elif lot < draw.cancers + draw.benign:
        group = lessons.benign
    group = group or lessons.cancers or lessons.benign or lessons.healthy
    return group[int(rng.integers(len(group)))]


def _changed(
    lesson: Lesson,
    shape: tuple[int, int],
    centered: bool,  # noqa: FBT001 - a draw's own field
    change: Augmentation,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Cut a turned, zoomed window out of a lesson."""
    angle = math.radians(rng.uniform(-change.turn_deg, change.turn_deg))
    zoom = math.exp(rng.uniform(-1, 1) * math.log1p(change.zoom))
    upside_down = change.flip and rng.random() < 0.5  # noqa: PLR2004 - a coin
    height, width = lesson.labels.shape
    row, column = _center(lesson, shape, rng) if centered else (shape[0] / 2, shape[1] / 2)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    sign = -1.0 if upside_down else 1.0
    # From the window's coordinates, -1 to 1, to the lesson's: turn, scale, shift.
    matrix = torch.tensor(
        [
            [cos * shape[1] / width, -sign * sin * shape[0] / width, 2 * column / width - 1],
            [sin * shape[1] / height, sign * cos * shape[0] / height, 2 * row / height - 1],
        ],
        dtype=torch.float32,
    )
    if upside_down and not centered:
        # Flip about the shown rows, not about the empty space below them.
        matrix[1, 2] += 2 * (lesson.placement.rows - shape[0]) / height
    grid = F.affine_grid(matrix[None], [1, 1, *shape], align_corners=False)
    picture = torch.from_numpy(lesson.picture).float()[None] / 255
    labels = torch.from_numpy(lesson.labels).float()[None, None]
    return (
        F.grid_sample(picture, grid, mode="bilinear", align_corners=False)[0],
        F.grid_sample(labels, grid, mode="nearest", align_corners=False)[0, 0].long(),
    )


def _center(
    lesson: Lesson, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[float, float]:
    """Choose the middle of a window: near a lesion, else anywhere on the breast."""
    rows, columns = lesson.placement.rows, lesson.placement.columns
    if lesson.boxes:
        box = lesson.boxes[int(rng.integers(len(lesson.boxes)))]
        column, row = lesson.placement.point_to_picture(*box.center)
        row += rng.uniform(-0.4, 0.4) * shape[0]
        column += rng.uniform(-0.4, 0.4) * shape[1]
    else:
        row, column = rng.uniform(0, rows), rng.uniform(0, columns)
    return _held(row, rows, shape[0]), _held(column, columns, shape[1])


def _held(middle: float, length: int, window: int) -> float:
    """Keep a window on the breast where it fits."""
    half = window / 2
    return min(max(middle, half), max(half, length - half))


def _exposed(pictures: Tensor, change: Augmentation, rng: np.random.Generator) -> Tensor:
    """Change exponent and gain of grey, as another device's processing would."""
    count = len(pictures)
    exponent, gain = (_factors(count, change.contrast, rng) for _ in range(2))
    return (pictures.clamp(min=1e-6).pow(exponent) * gain).clamp(0, 1)


def _factors(count: int, spread: float, rng: np.random.Generator) -> Tensor:
    drawn_: NDArray[np.float64] = np.exp(rng.uniform(-1, 1, count) * math.log1p(spread))
    return torch.from_numpy(drawn_.astype(np.float32))[:, None, None, None]
