"""Draw what a PACS holds: views with the marks of the CAD SR and the masks of the SEG.

Nothing here comes from the node's memory: images, report and segmentations are read as objects,
the way a viewer would.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage, SegmentationStorage

from dicom_node.reporting.marks import Mark, marks
from inference.mammogram import Mammogram
from inference.reading import read

HEIGHT = 900
ORDER = ("RCC", "LCC", "RMLO", "LMLO")
INK = {1: (255, 140, 0), 2: (0, 200, 255)}  # SEG segments: mass, calcifications
MARK_INK = (255, 64, 64)
PAPER = (16, 16, 16)
MASK_STRENGTH = 0.3
MARGIN = 12
CAPTION = 34
LINE = 22
_BRIEFLY = {"Certainty of Finding": "lesion", "Probability of cancer": "cancer"}

RGB = tuple[int, int, int]


def picture(objects: Sequence[Dataset], place: Path) -> int:
    """Draw the four views of a study into a PNG, and count the marks drawn."""
    images = [one for one in objects if one.get("Modality") == "MG" and "PixelData" in one]
    reports = [one for one in objects if one.SOPClassUID == MammographyCADSRStorage]
    newest = max(reports, key=_age, default=None)
    drawn = marks(newest) if newest is not None else []
    masks = [one for one in objects if one.SOPClassUID == SegmentationStorage]
    views = sorted((read(image) for image in images), key=lambda view: ORDER.index(view.name))
    tiles = [_tile(view, drawn, masks) for view in views]
    width = sum(tile.width for tile in tiles) + MARGIN * (len(tiles) + 1)
    sheet = Image.new("RGB", (width, HEIGHT + 2 * CAPTION), PAPER)
    left = MARGIN
    pen = ImageDraw.Draw(sheet)
    for view, tile in zip(views, tiles, strict=True):
        sheet.paste(tile, (left, CAPTION))
        pen.text((left, 5), view.name, fill=(230, 230, 230), font=_font(22))
        left += tile.width + MARGIN
    pen.text(
        (MARGIN, HEIGHT + CAPTION + 6),
        "red: outlines of the CAD SR; orange and blue: masks of the SEG. For research use only.",
        fill=(160, 160, 160),
        font=_font(18),
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(place)
    shown = {view.sop_instance_uid for view in views}
    return len({mark.tracking_uid for mark in drawn if mark.sop_instance_uid in shown})


def _age(report: Dataset) -> tuple[str, str, int]:
    return report.ContentDate, report.ContentTime, int(report.get("SeriesNumber") or 0)


def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    return ImageFont.load_default(size)


def _tile(view: Mammogram, drawn: Sequence[Mark], masks: Sequence[Dataset]) -> Image.Image:
    """Draw one view."""
    rows, columns = view.pixels.shape
    scale = HEIGHT / rows
    size = (round(columns * scale), HEIGHT)
    index = np.clip(view.pixels.astype(np.int64) - view.grey.first, 0, len(view.grey.table) - 1)
    grey = (view.grey.table[index] * 255).astype(np.uint8)
    tile = Image.fromarray(grey).resize(size, Image.Resampling.BOX).convert("RGB")
    for segment, mask in _masks_on(view, masks):
        small = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
        ink = Image.new("RGB", size, INK[segment])
        tile.paste(ink, mask=small.point(lambda value: int(value * MASK_STRENGTH)))
    pen = ImageDraw.Draw(tile)
    for mark in drawn:
        if mark.sop_instance_uid == view.sop_instance_uid and mark.shape == "POLYLINE":
            _draw(pen, mark, scale, tile.width)
    return tile


def _draw(pen: ImageDraw.ImageDraw, mark: Mark, scale: float, width: int) -> None:
    """Draw one outline, a frame around it so that small ones are seen, and its scores."""
    outline = [(column * scale, row * scale) for column, row in mark.points]
    pen.line(outline, fill=MARK_INK, width=2)
    left, right = min(x for x, _ in outline), max(x for x, _ in outline)
    top, bottom = min(y for _, y in outline), max(y for _, y in outline)
    pen.rectangle((left - 9, top - 9, right + 9, bottom + 9), outline=MARK_INK, width=1)
    lines = [f"{_BRIEFLY.get(name, name)} {score:.0f} %" for name, score in mark.scores]
    font = _font(19)
    size = max(font.getlength(line) for line in lines) if lines else 0
    x = max(2.0, min(left - 9, width - size - 6))
    y = max(2.0, top - 12 - LINE * len(lines))
    pen.rectangle((x - 3, y - 2, x + size + 3, y + LINE * len(lines)), fill=(0, 0, 0))
    for number, line in enumerate(lines):
        pen.text((x, y + LINE * number), line, fill=MARK_INK, font=font)


def _masks_on(
    view: Mammogram, segmentations: Sequence[Dataset]
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Find the frames of all SEG objects that lie on this view."""
    found = []
    for segmentation in segmentations:
        frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
        groups = segmentation.PerFrameFunctionalGroupsSequence
        for frame, group in zip(frames, groups, strict=True):
            source = group.DerivationImageSequence[0].SourceImageSequence[0]
            if source.ReferencedSOPInstanceUID == view.sop_instance_uid:
                segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
                found.append((segment, frame.astype(np.bool_)))
    return found
