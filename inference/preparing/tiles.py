"""A picture too large for a network, read tile by tile (Cao, section 4.2.1)."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Picture = NDArray[np.float32]
Answer = tuple["Tile", Picture]  # K T T


class Tiling(BaseModel):
    """How large a tile is, how far to the next, and what its pixels count where tiles overlap.

    With `even` weight the tiles' mean is taken; with `hann` a tile fades towards its border, where
    a network sees little around a pixel.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    size_px: int = Field(default=512, ge=1)
    step_px: int = Field(default=256, ge=1)
    weight: Literal["even", "hann"] = "even"

    @model_validator(mode="after")
    def _leave_no_gap(self) -> Self:
        if self.step_px > self.size_px:
            raise ValueError(
                f"tiles of {self.size_px} px at every {self.step_px} px leave gaps: "
                f"let step_px be {self.size_px} at most"
            )
        return self

    def starts(self, length: int) -> tuple[int, ...]:
        """Return where tiles begin along a side; the last one ends where the side ends."""
        last = max(0, length - self.size_px)
        return (*range(0, last, self.step_px), last)


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of a picture."""

    top: int
    left: int
    size_px: int

    @property
    def place(self) -> tuple[slice, slice]:
        """Return its rows and columns in the picture."""
        return (
            slice(self.top, self.top + self.size_px),
            slice(self.left, self.left + self.size_px),
        )

    def of(self, picture: Picture) -> Picture:
        """Cut the tile out of a picture, C H W; black where a small picture ends before it."""
        inside = picture[:, *self.place]
        cut = np.zeros((len(picture), self.size_px, self.size_px), dtype=np.float32)
        cut[:, : inside.shape[1], : inside.shape[2]] = inside
        return cut


def tiles(rows: int, columns: int, how: Tiling) -> Iterator[Tile]:
    """Return the tiles that cover a picture, row by row."""
    for top, left in itertools.product(how.starts(rows), how.starts(columns)):
        yield Tile(top, left, how.size_px)


def lit(picture: Picture, how: Tiling) -> Iterator[Tile]:
    """Return the tiles of a picture, C H W, that are not all black: air holds nothing to read."""
    rows, columns = picture.shape[-2:]
    return (tile for tile in tiles(rows, columns, how) if picture[:, *tile.place].any())


def read_by_tiles(
    picture: Picture,
    read: Callable[[Picture], Picture],
    how: Tiling,
    *,
    kinds: int,
    at_once: int = 1,
) -> Picture:
    """Read a picture's lit tiles, B C T T to B K T T, and merge the answers into one, K H W.

    Answers are averaged, so let them be probabilities. Where nothing was read they are 0.
    """
    rows, columns = picture.shape[-2:]
    return merged(_answers(picture, read, how, at_once), how, (kinds, rows, columns))


def merged(answers: Iterable[Answer], how: Tiling, shape: tuple[int, int, int]) -> Picture:
    """Merge what is said of each tile into one answer, K H W."""
    weights = _weights(how)
    total = np.zeros(shape, dtype=np.float32)
    heard = np.zeros(shape[1:], dtype=np.float32)
    for tile, answer in answers:
        rows, columns = heard[tile.place].shape
        counted = weights[:rows, :columns]
        total[:, *tile.place] += answer[:, :rows, :columns] * counted
        heard[tile.place] += counted
    return np.divide(total, heard, out=total, where=heard > 0)


def _answers(
    picture: Picture, read: Callable[[Picture], Picture], how: Tiling, at_once: int
) -> Iterator[Answer]:
    waiting = lit(picture, how)
    while batch := tuple(itertools.islice(waiting, at_once)):
        yield from zip(batch, read(np.stack([tile.of(picture) for tile in batch])), strict=True)


def _weights(how: Tiling) -> Picture:
    """Return what each pixel of a tile counts; nowhere 0, for the picture's border has one tile."""
    side = np.ones(how.size_px)
    if how.weight == "hann":
        side = np.sin(np.pi * (np.arange(how.size_px) + 0.5) / how.size_px) ** 2
    return np.outer(side, side).astype(np.float32)
