"""Tiles with calcifications and tiles without, one for one (Cao, section 2.2.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inference.findings import Kind
from inference.preparing.tiles import Tile
from train.data.calcium_labels import LEAST_MM2, dilated
from train.data.lesson import Lesson

_ATTEMPTS = 20  # to find a tile without calcifications
_INNER = 0.4  # of a tile's side: so far from its middle a calcification may lie
_LEVELS = 255

Labels = NDArray[np.bool_]
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class CalciumView:
    """One view, where its calcifications are, and where each of them has its middle."""

    picture: NDArray[np.uint8]  # C H W
    labels: Labels  # H W
    rows: int  # of the picture that show breast
    columns: int
    middles: tuple[tuple[int, int], ...]  # row, column


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """What one step learns from."""

    pictures: Tensor  # B C T T, 0 to 1
    labels: Tensor  # B T T, 0 or 1

    def to(self, device: str) -> "Tiles":
        """Bring the tiles to where the network is."""
        return Tiles(self.pictures.to(device), self.labels.to(device))


def calcium_view(lesson: Lesson, pitch_mm: float) -> CalciumView:
    """Keep what a lesson says of calcifications; labels too small to learn grow."""
    labels = np.zeros(lesson.labels.shape, dtype=np.bool_)
    middles = []
    for box, kind, label in zip(lesson.boxes, lesson.kinds, lesson.classes, strict=True):
        if kind is Kind.CALCIFICATION:
            labels |= lesson.labels == label
            column, row = lesson.placement.point_to_picture(*box.center)
            middles.append((round(row), round(column)))
    return CalciumView(
        picture=lesson.picture,
        labels=dilated(labels, LEAST_MM2, (pitch_mm, pitch_mm)) if middles else labels,
        rows=lesson.placement.rows,
        columns=lesson.placement.columns,
        middles=tuple(middles),
    )


def drawn_tiles(
    views: Sequence[CalciumView], count: int, size_px: int, rng: np.random.Generator
) -> Tiles:
    """Draw tiles, every second one around a calcification, each turned over at random."""
    showing = [view for view in views if view.middles]
    if not showing:
        raise ValueError(
            f"none of {len(views)} views shows a calcification to learn from: take more patients"
        )
    parts = [
        _turned_over(_around_one(showing, size_px, rng), rng)
        if number % 2
        else _turned_over(_without(views, size_px, rng), rng)
        for number in range(count)
    ]
    both = torch.from_numpy(np.stack(parts))  # B C+1 T T
    return Tiles(both[:, :-1], both[:, -1].long())


def _around_one(views: Sequence[CalciumView], size_px: int, rng: np.random.Generator) -> Picture:
    """Cut out a tile in which a calcification has its middle, anywhere but at the border."""
    view = views[int(rng.integers(len(views)))]
    row, column = view.middles[int(rng.integers(len(view.middles)))]
    down, across = rng.uniform(-_INNER, _INNER, 2) * size_px
    return _cut(view, row + down - size_px / 2, column + across - size_px / 2, size_px)


def _without(views: Sequence[CalciumView], size_px: int, rng: np.random.Generator) -> Picture:
    """Cut out a tile of breast without calcifications.

    Where many attempts find none, the last one serves: its labels are true all the same.
    """
    for _ in range(_ATTEMPTS):
        view = views[int(rng.integers(len(views)))]
        top = rng.uniform(0, max(0, view.rows - size_px))
        left = rng.uniform(0, max(0, view.columns - size_px))
        tile = _cut(view, top, left, size_px)
        if tile[:-1].any() and not tile[-1].any():
            break
    return tile


def _cut(view: CalciumView, top: float, left: float, size_px: int) -> Picture:
    """Cut a tile out of picture and labels, C+1 T T, without leaving the picture."""
    height, width = view.labels.shape
    tile = Tile(
        top=round(min(max(0.0, top), max(0, height - size_px))),
        left=round(min(max(0.0, left), max(0, width - size_px))),
        size_px=size_px,
    )
    both = np.concatenate(
        [
            view.picture[:, *tile.place] / np.float32(_LEVELS),
            view.labels[None, *tile.place].astype(np.float32),
        ]
    )
    return Tile(0, 0, size_px).of(both)


def _turned_over(tile: Picture, rng: np.random.Generator) -> Picture:
    """Flip a tile, or not, along either side."""
    down, across = (1 if side else -1 for side in rng.integers(2, size=2))
    return tile[:, ::down, ::across]
