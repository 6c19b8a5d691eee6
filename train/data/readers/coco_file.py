"""A file of annotations as COCO has it: images, and boxes, polygons or runs on them."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from inference.bundle import faults
from inference.findings import Box
from train.data.sample import Outline, Polygon, Runs
from train.errors import Refused

_FEWEST_POINTS = 3


def _counts(said: object) -> object:
    return _unpacked(said) if isinstance(said, str) else said


class _RunLengths(BaseModel):
    size: tuple[int, int]  # rows, columns
    counts: Annotated[tuple[int, ...], BeforeValidator(_counts)]


class Annotation(BaseModel):
    """One thing that somebody marked."""

    image_id: int | str
    category_id: int
    bbox: tuple[float, float, float, float] | None = None  # left, top, width, height
    segmentation: _RunLengths | tuple[tuple[float, ...], ...] = ()


class CocoImage(BaseModel):
    """One image; data sets write more of it than COCO asks for."""

    model_config = ConfigDict(extra="allow")

    id: int | str
    file_name: str = Field(min_length=1)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class _Category(BaseModel):
    id: int
    name: str


class CocoFile(BaseModel):
    """All of them."""

    images: tuple[CocoImage, ...]
    annotations: tuple[Annotation, ...]
    categories: tuple[_Category, ...]

    def of_images(self) -> dict[int | str, list[Annotation]]:
        """Put what was marked to its image."""
        found: dict[int | str, list[Annotation]] = {image.id: [] for image in self.images}
        for one in self.annotations:
            found[one.image_id].append(one)
        return found

    def names(self) -> dict[int, str]:
        """Return the categories' names by their numbers."""
        return {category.id: category.name for category in self.categories}


def read(path: Path) -> CocoFile:
    """Read a file, in which nothing may point at what is not there."""
    if not path.is_file():
        raise Refused(f"{path} is missing: get it from where the data set came from")
    try:
        file = CocoFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        few = faults(str(path), error)[:10]
        raise Refused("\n".join([*few, "make the file again, as COCO has it"])) from None
    images, categories = {image.id for image in file.images}, {one.id for one in file.categories}
    for number, one in enumerate(file.annotations):
        if one.image_id not in images or one.category_id not in categories:
            raise Refused(
                f"{path}: annotations.{number} is of image {one.image_id} and category "
                f"{one.category_id}, and one of them is not in the file; make it again"
            )
    if len(images) < len(file.images):
        raise Refused(f"{path}: two images have one id; make the file again")
    return file


def box_within(box: Box, columns: int, rows: int) -> Box | None:
    """Cut a box off at the edges of its image; None where nothing is left."""
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, columns), min(box.bottom, rows)
    return Box(left, top, right, bottom) if right > left and bottom > top else None


def outline_of(one: Annotation, image: CocoImage) -> Outline | None:
    """Take the finest outline that there is; None where all of them are empty."""
    if isinstance(one.segmentation, _RunLengths):
        return _checked(one.segmentation)
    polygons = [part for part in map(_points, one.segmentation) if len(part) >= _FEWEST_POINTS]
    if len(polygons) == 1:
        # COCO's coordinates begin at the outer corner of the first pixel, ours in its middle.
        return Polygon(tuple((column - 0.5, row - 0.5) for column, row in polygons[0]))
    if polygons:
        return _united(polygons, image)
    if one.bbox is None:
        return None
    left, top, width, height = one.bbox
    return box_within(Box(left, top, left + width, top + height), image.width, image.height)


def _points(flat: Iterable[float]) -> list[tuple[float, float]]:
    each = iter(flat)
    return list(zip(each, each, strict=False))


def _checked(runs: _RunLengths) -> Runs | None:
    rows, columns = runs.size
    if sum(runs.counts) != rows * columns or min(runs.counts) < 0:
        return None
    return Runs(rows, columns, runs.counts) if sum(runs.counts[1::2]) else None


def _united(polygons: list[list[tuple[float, float]]], image: CocoImage) -> Runs | None:
    """Unite the parts of one lesion, which something may hide the middle of."""
    whole = np.zeros((image.height, image.width), dtype=np.bool_)
    for points in polygons:
        _fill(whole, np.array(points))
    down = whole.ravel(order="F").astype(np.int8)
    edges = [0, *np.flatnonzero(np.diff(down, prepend=0)).tolist(), down.size]
    counts = tuple(end - start for start, end in pairwise(edges))
    return _checked(_RunLengths(size=(image.height, image.width), counts=counts))


def _fill(whole: NDArray[np.bool_], corners: NDArray[np.float64]) -> None:
    """Fill the pixels whose middles lie in a polygon: a way to the right crosses it oddly often."""
    left, top = np.floor(corners.min(axis=0)).clip(0).astype(int)
    right, bottom = np.ceil(corners.max(axis=0)).clip(0).astype(int)
    part = whole[top:bottom, left:right]
    down, across = (np.arange(size) + 0.5 for size in part.shape)
    down, across = down[:, None] + top, across + left
    inside = np.zeros(part.shape, dtype=np.bool_)
    for (x, y), (next_x, next_y) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y != next_y:
            crossing = x + (down - y) / (next_y - y) * (next_x - x)
            inside ^= ((y <= down) != (next_y <= down)) & (across < crossing)
    part |= inside


def _unpacked(text: str) -> tuple[int, ...]:
    """Unpack the counts that COCO writes as text.

    Five bits a letter, the sixth says that more follow, the last fifth bit is the sign; from the
    fourth count on, each is told by how much it differs from the one before the last.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 1 << 6:
            raise ValueError(f"{letter!r} does not belong into packed counts")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))  # noqa: PLR2004
            value = shift = 0
    if shift:
        raise ValueError("packed counts are cut off")
    return tuple(counts)
