"""Draw views with what was found in them, for people: outlines, words beside them, four views.

An ink is for outlines alone: whoever looks for its color finds the marks and nothing else.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dicom_node.reporting.lightbox import Shown
from dicom_node.reporting.outline import Point
from inference.findings import Kind

RGB = tuple[int, int, int]

INK: dict[Kind, RGB] = {Kind.MASS: (255, 140, 0), Kind.CALCIFICATION: (0, 200, 255)}
PAPER: RGB = (16, 16, 16)
WORDS: RGB = (236, 236, 236)
BLACK: RGB = (0, 0, 0)
FAINT = 0.55  # of its ink: what belongs to a mark and is not its outline

LABEL_SIZE = 18
CAPTION_SIZE = 22
LINE_SPACING = 1.25  # of a font's size
MARGIN = 12
STEP = 8  # between the places that are tried for a label
AIR = 24  # greys below are no tissue
AWAY = 2000.0  # a label goes this far to cover no tissue at all
SMALL = 20  # outlines below get a frame, so that they are seen
FRAME = 9  # from an outline to its frame


@dataclass(frozen=True, slots=True)
class Mark:
    """An outline in pixels of the source, and the words beside it."""

    outline: tuple[Point, ...]
    lines: tuple[str, ...]
    ink: RGB


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a picture hangs on a sheet."""

    left: int
    top: int
    width: int
    height: int


def tile(
    shown: Shown,
    marks: Sequence[Mark],
    size: int = LABEL_SIZE,
    painted: Image.Image | None = None,
) -> Image.Image:
    """Draw one view with its marks, over what was painted on it already."""
    picture = painted or Image.fromarray(shown.picture).convert("RGB")
    pen = ImageDraw.Draw(picture)
    last = picture.width - 1, picture.height - 1  # an outline at the edge is drawn inside of it
    outlines = [
        [(min(x * shown.scale, last[0]), min(y * shown.scale, last[1])) for x, y in mark.outline]
        for mark in marks
    ]
    around = [_around(outline) for outline in outlines]
    boxes = _label_places(shown.picture, around, [extent(mark.lines, size) for mark in marks])
    for mark, frame, box in zip(marks, around, boxes, strict=True):
        faint = _faint(mark.ink)
        pen.line(_between(box, frame), fill=faint, width=1)
        if max(frame[2] - frame[0], frame[3] - frame[1]) < SMALL + 2 * FRAME:
            pen.rectangle(frame, outline=faint)
        pen.rectangle(box, fill=BLACK, outline=faint)
        write(pen, (box[0] + 4, box[1] + 3), mark.lines, size)
    for mark, outline in zip(marks, outlines, strict=True):
        pen.line(outline, fill=mark.ink, width=2)
    return picture


def hang(tiles: Mapping[str, Image.Image], captions: Mapping[str, str]) -> Image.Image:
    """Hang views as radiologists do: CC above MLO, chest walls together; say what is missing."""
    placed, size = spots({name: picture.size for name, picture in tiles.items()})
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for name, spot in placed.items():
        words = captions.get(name, f"{name}: not read")
        write(pen, (spot.left, spot.top - _line(CAPTION_SIZE)), [words], CAPTION_SIZE)
        if name in tiles:
            sheet.paste(tiles[name], (spot.left, spot.top))
    return sheet


def spots(
    sizes: Mapping[str, tuple[int, int]],
) -> tuple[dict[str, Spot], tuple[int, int]]:
    """Give each view its place, right breasts at the left; return the size of the sheet as well."""
    rows = [row for row in ("CC", "MLO") if f"R{row}" in sizes or f"L{row}" in sizes]
    if not rows or set(sizes) - {f"{side}{row}" for side in "RL" for row in rows}:
        raise ValueError(f"there is no place for {', '.join(sorted(sizes)) or 'no view'}")
    widest = max(width for width, _ in sizes.values())
    found, top = {}, 0
    for row in rows:
        heights = [height for name, (_, height) in sizes.items() if name[1:] == row]
        top += _line(CAPTION_SIZE) + MARGIN
        for name, middle in ((f"R{row}", 0), (f"L{row}", 1)):
            width, height = sizes.get(name, (widest, max(heights)))
            left = MARGIN + widest + MARGIN if middle else MARGIN + widest - width
            found[name] = Spot(left, top, width, height)
        top += max(heights)
    return found, (2 * widest + 3 * MARGIN, top + MARGIN)


def strip(width: int, lines: Sequence[str], size: int) -> Image.Image:
    """Write lines on a strip as wide as a sheet."""
    wide = [part for line in lines for part in wrapped(line, width - 2 * MARGIN, size)]
    picture = Image.new("RGB", (width, MARGIN + len(wide) * _line(size)), PAPER)
    write(ImageDraw.Draw(picture), (MARGIN, MARGIN // 2), wide, size)
    return picture


def stacked(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures of one width below each other."""
    height = sum(picture.height for picture in pictures)
    sheet, top = Image.new("RGB", (pictures[0].width, height), PAPER), 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def write(
    pen: ImageDraw.ImageDraw, at: tuple[float, float], lines: Iterable[str], size: int
) -> None:
    """Write lines below each other."""
    for number, line in enumerate(lines):
        place = (at[0], at[1] + number * _line(size))
        pen.text(place, printable(line), fill=WORDS, font=font(size))


def wrapped(words: str, width: float, size: int) -> list[str]:
    """Break words into lines that are no wider."""
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if font(size).getlength(printable(longer)) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def printable(words: str) -> str:
    """Replace letters that neither this font nor a plain PDF has: those beyond Windows-1252."""
    return words.encode("cp1252", "replace").decode("cp1252")


def extent(lines: Sequence[str], size: int) -> tuple[int, int]:
    """Say how much room a label takes, with its frame."""
    width = max((font(size).getlength(printable(line)) for line in lines), default=0)
    return math.ceil(width) + 9, len(lines) * _line(size) + 6


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow brings along."""
    return ImageFont.load_default(size)


def _line(size: int) -> int:
    return round(size * LINE_SPACING)


def _faint(ink: RGB) -> RGB:
    red, green, blue = (round(part * FAINT) for part in ink)
    return red, green, blue


Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def _around(outline: Sequence[Point]) -> Rectangle:
    """Frame an outline, some pixels outside it."""
    columns, rows = [x for x, _ in outline], [y for _, y in outline]
    left, top = min(columns) - FRAME, min(rows) - FRAME
    return left, top, max(columns) + FRAME, max(rows) + FRAME


def _between(label: Rectangle, frame: Rectangle) -> list[Point]:
    """Join a label and what it is about by the shortest line."""
    ends: list[list[float]] = [[], []]
    for low, high in ((0, 2), (1, 3)):
        overlap = max(label[low], frame[low]), min(label[high], frame[high])
        if overlap[0] <= overlap[1]:
            together = (overlap[0] + overlap[1]) / 2
            pair = (together, together)
        elif label[high] < frame[low]:
            pair = (label[high], frame[low])
        else:
            pair = (label[low], frame[high])
        for end, value in zip(ends, pair, strict=True):
            end.append(value)
    return [(end[0], end[1]) for end in ends]


def _label_places(
    picture: NDArray[np.uint8], marks: Sequence[Rectangle], sizes: Sequence[tuple[int, int]]
) -> list[Rectangle]:
    """Put each label where it covers no mark, no other label, little tissue, and is not far."""
    tissue = np.pad((picture > AIR).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), (1, 0))
    taken, found = list(marks), []
    for mark, (width, height) in zip(marks, sizes, strict=True):
        box = _best(tissue, mark, taken, width, height)
        taken.append(box)
        found.append(box)
    return found


def _best(
    tissue: NDArray[np.int32], mark: Rectangle, taken: Sequence[Rectangle], width: int, height: int
) -> Rectangle:
    rows, columns = tissue.shape[0] - 1, tissue.shape[1] - 1
    left = np.arange(2, max(columns - width - 1, 3), STEP)[None, :]
    top = np.arange(2, max(rows - height - 1, 3), STEP)[:, None]
    right, bottom = np.minimum(left + width, columns), np.minimum(top + height, rows)
    covered = tissue[bottom, right] - tissue[top, right] - tissue[bottom, left] + tissue[top, left]
    away = np.hypot(
        np.maximum(0, np.maximum(mark[0] - right, left - mark[2])),
        np.maximum(0, np.maximum(mark[1] - bottom, top - mark[3])),
    )
    cost = AWAY * covered / (width * height) + away
    for other in taken:
        beside = (right < other[0]) | (left > other[2]) | (bottom < other[1]) | (top > other[3])
        cost = cost + np.where(beside, 0.0, 10 * AWAY)
    row, column = np.unravel_index(int(cost.argmin()), cost.shape)
    x, y = float(left[0, column]), float(top[row, 0])
    return x, y, x + width - 1, y + height - 1
