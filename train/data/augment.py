"""Batches of lessons: drawn, moved, turned and re-exposed at random, all from one generator."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.trunks import channels_last
from train.data.lesson import Lesson
from train.errors import Refused

_LEAST_SHOWN = 0.25  # of a lesion's area; less of it teaches nothing
_NO_SHARE = 1e-9  # what two shares that add up to all leave, as they are rounded


class Shown(NamedTuple):
    """The lesions that a changed picture still shows."""

    boxes: Tensor  # N 4, left, top, right, bottom in pixels of the picture, half open
    classes: Tensor  # N, among the five of Le; none is healthy
    masks: Tensor  # N H W

    def to(self, device: str) -> "Shown":
        """Bring them to where the network is."""
        return Shown(*(part.to(device) for part in self))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one step learns from."""

    pictures: Tensor  # B C H W, 0 to 1
    labels: Tensor  # B H W, classes
    cancer: Tensor  # B, 0 or 1, of the whole view
    diseased: Tensor  # B, 0 or 1: whether the whole view has any lesion, also one that was cut off
    lesions: tuple[Shown, ...]
    sizes: tuple[tuple[int, int], ...]  # rows and columns of each picture that are no padding
    patients: tuple[str, ...]
    outlined: tuple[bool, ...]  # whether all lesions of a picture are marked

    def to(self, device: str) -> "Batch":
        """Bring the batch to where the network is."""
        return Batch(
            self.pictures.to(device),
            self.labels.to(device),
            self.cancer.to(device),
            self.diseased.to(device),
            tuple(lesions.to(device) for lesions in self.lesions),
            self.sizes,
            self.patients,
            self.outlined,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far a lesson may be changed."""

    turn_deg: float
    zoom: float  # 0.1: from 1/1.1 to 1.1
    contrast: float  # exponent of grey, and gain, alike
    flip: bool  # upside down; the chest wall stays on the left
    stretch: float = 0.0  # of height and width apart; 0.1: a square becomes at most 1 by 1.21


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
        [lesson for lesson in lessons if not lesson.boxes and not lesson.cancer],
    )


def require_drawable(
    lessons: Pool, *, cancers: float, benign: float, stage: str, keys: tuple[str, str]
) -> None:
    """Refuse shares of what nobody has: other views in their place would teach other chances."""
    shares = {
        "show a cancer": (cancers, lessons.cancers),
        "show benign lesions alone, marked": (benign, lessons.benign),
        "show no lesion and no cancer": (1 - cancers - benign, lessons.healthy),
    }
    for what, (share, group) in shares.items():
        if share > _NO_SHARE and not group:
            raise Refused(
                f"stage {stage} draws {100 * share:.0f} % of its views from those that {what}, and "
                f"none of the images that teach does: change its {' and '.join(keys)}"
            )


def drawn(lessons: Pool, draw: Draw, change: Augmentation, rng: np.random.Generator) -> Batch:
    """Draw one batch."""
    chosen = [_chosen(lessons, draw, rng) for _ in range(draw.size)]
    shape = (draw.height_px, draw.width_px)
    parts = [_changed(lesson, shape, draw.centered, change, rng) for lesson in chosen]
    return Batch(
        pictures=channels_last(
            _exposed(torch.stack([part.picture for part in parts]), change, rng)
        ),
        labels=torch.stack([_labels(part.lesions, shape) for part in parts]),
        cancer=torch.tensor([float(lesson.cancer) for lesson in chosen]),
        diseased=torch.tensor([float(bool(lesson.boxes)) for lesson in chosen]),
        lesions=tuple(part.lesions for part in parts),
        sizes=tuple(part.size for part in parts),
        patients=tuple(lesson.patient for lesson in chosen),
        outlined=tuple(lesson.outlined for lesson in chosen),
    )


def unchanged(lessons: Sequence[Lesson]) -> Batch:
    """Stack lessons as they are served."""
    pictures = torch.from_numpy(np.stack([lesson.picture for lesson in lessons]))
    return Batch(
        pictures=channels_last(pictures.float() / 255),
        labels=torch.from_numpy(np.stack([lesson.labels for lesson in lessons])).long(),
        cancer=torch.tensor([float(lesson.cancer) for lesson in lessons]),
        diseased=torch.tensor([float(bool(lesson.boxes)) for lesson in lessons]),
        lesions=tuple(
            _still_shown(
                torch.from_numpy(numbered(lesson)), lesson.classes, [0] * len(lesson.boxes)
            )
            for lesson in lessons
        ),
        sizes=tuple((lesson.placement.rows, lesson.placement.columns) for lesson in lessons),
        patients=tuple(lesson.patient for lesson in lessons),
        outlined=tuple(lesson.outlined for lesson in lessons),
    )


def numbered(lesson: Lesson) -> NDArray[np.int32]:
    """Return which lesion each pixel shows, counted from 1; lesions do not overlap.

    A view may have more than a byte counts: INbreast marks each calcification for itself.
    """
    numbers = np.zeros(lesson.labels.shape, np.int32)
    for number, box in enumerate(lesson.boxes, start=1):
        place = lesson.placement.box_to_picture(box)
        here = np.s_[
            max(0, math.floor(place.top)) : math.ceil(place.bottom),
            max(0, math.floor(place.left)) : math.ceil(place.right),
        ]
        numbers[here][lesson.labels[here] == lesson.classes[number - 1]] = number
    return numbers


def _chosen(lessons: Pool, draw: Draw, rng: np.random.Generator) -> Lesson:
    lot = rng.random()
    group = lessons.healthy
    if lot < draw.cancers:
        group = lessons.cancers
    elif lot < draw.cancers + draw.benign:
        group = lessons.benign
    return group[int(rng.integers(len(group)))]


def _changed(
    lesson: Lesson,
    shape: tuple[int, int],
    centered: bool,  # noqa: FBT001 - a draw's own field
    change: Augmentation,
    rng: np.random.Generator,
) -> "_Part":
    """Cut a turned, zoomed window out of a lesson."""
    angle = math.radians(rng.uniform(-change.turn_deg, change.turn_deg))
    zoom = math.exp(rng.uniform(-1, 1) * math.log1p(change.zoom))
    upside_down = change.flip and rng.random() < 0.5  # noqa: PLR2004 - a coin
    # Drawn only where it is wanted: other recipes draw what they always did.
    stretch = math.exp(rng.uniform(-1, 1) * math.log1p(change.stretch)) if change.stretch else 1.0
    height, width = lesson.labels.shape
    row, column = _center(lesson, shape, rng) if centered else (shape[0] / 2, shape[1] / 2)
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    sign = -1.0 if upside_down else 1.0
    across, down = shape[1] / stretch, shape[0] * stretch  # as many of the lesson's pixels
    # From the window's coordinates, -1 to 1, to the lesson's: turn, scale, shift.
    matrix = torch.tensor(
        [
            [cos * across / width, -sign * sin * down / width, 2 * column / width - 1],
            [sin * across / height, sign * cos * down / height, 2 * row / height - 1],
        ],
        dtype=torch.float32,
    )
    if upside_down and not centered:
        # Flip about the shown rows, not about the empty space below them.
        matrix[1, 2] += 2 * (lesson.placement.rows - shape[0]) / height
    grid = F.affine_grid(matrix[None], [1, 1, *shape], align_corners=False)
    picture = torch.from_numpy(lesson.picture).float()[None] / 255
    numbers = numbered(lesson)
    there = torch.from_numpy(numbers).float()[None, None]
    here = F.grid_sample(there, grid, mode="nearest", align_corners=False)[0, 0]
    before = np.bincount(numbers.ravel(), minlength=len(lesson.boxes) + 1)[1:] * zoom**2
    return _Part(
        picture=F.grid_sample(picture, grid, mode="bilinear", align_corners=False)[0],
        lesions=_still_shown(here, lesson.classes, [_LEAST_SHOWN * area for area in before]),
        size=shape if centered else _shown(lesson, matrix, shape),
    )


def _shown(lesson: Lesson, matrix: Tensor, shape: tuple[int, int]) -> tuple[int, int]:
    """Return the rows and columns of a window that hold all that is no padding."""
    height, width = lesson.labels.shape
    rows, columns = lesson.placement.rows, lesson.placement.columns
    corners = torch.tensor([[x, y] for x in (0, columns) for y in (0, rows)], dtype=torch.float32)
    there = corners * 2 / torch.tensor([width, height]) - 1
    here = (there - matrix[:, 2]) @ torch.linalg.inv(matrix[:, :2]).T
    end = (here.amax(dim=0) + 1) / 2 * torch.tensor([shape[1], shape[0]])
    # To the nearest thousandth of a pixel: what ends on a pixel's edge ends there.
    right, bottom = (math.ceil(round(float(edge), 3)) for edge in end)
    return min(shape[0], max(1, bottom)), min(shape[1], max(1, right))


class _Part(NamedTuple):
    picture: Tensor  # C H W
    lesions: Shown
    size: tuple[int, int]


def _still_shown(numbers: Tensor, classes: Sequence[int], least_px: Sequence[float]) -> Shown:
    """Find each lesion that is shown to more than its least part; boxes come from the masks.

    A turned box would be too large: at 25 degrees by two thirds.
    """
    masks = [numbers == number for number in range(1, len(classes) + 1)]
    kept = [
        at for at, mask in enumerate(masks) if int(mask.sum()) > 0 and mask.sum() >= least_px[at]
    ]
    boxes = [_around(masks[at]) for at in kept]
    return Shown(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        classes=torch.tensor([classes[at] for at in kept], dtype=torch.int64),
        masks=torch.stack([masks[at] for at in kept])
        if kept
        else torch.zeros((0, *numbers.shape), dtype=torch.bool),
    )


def _around(mask: Tensor) -> list[int]:
    rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


def _labels(lesions: Shown, shape: tuple[int, int]) -> Tensor:
    """Return the class of each pixel."""
    labels = torch.zeros(shape, dtype=torch.int64)
    for mask, label in zip(lesions.masks, lesions.classes, strict=True):
        labels[mask] = label
    return labels


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
