"""Draw what a PACS holds: views with the marks of the CAD SR and the masks of the SEG.

Nothing here comes from the node's memory: images, report and segmentations are read as objects,
the way a viewer would.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage, SegmentationStorage

from dicom_node.reporting import codes, drawing
from dicom_node.reporting.drawing import INK
from dicom_node.reporting.lightbox import Shown, reduced
from dicom_node.reporting.marks import Mark, marks
from inference.findings import Kind
from inference.reading import read

MASK_STRENGTH = 0.3
WORDS_SIZE = 18
SEGMENTS = {1: Kind.MASS, 2: Kind.CALCIFICATION}  # as our segmentations number them
_BRIEFLY = {"Certainty of Finding": "lesion", "Probability of cancer": "cancer"}


def picture(objects: Sequence[Dataset], place: Path) -> int:
    """Draw the four views of a study into a PNG, and count the marks drawn."""
    images = [one for one in objects if one.get("Modality") == "MG" and "PixelData" in one]
    reports = [one for one in objects if one.SOPClassUID == MammographyCADSRStorage]
    newest = max(reports, key=_age, default=None)
    drawn = [mark for mark in (marks(newest) if newest else []) if mark.shape == "POLYLINE"]
    segmentations = [one for one in objects if one.SOPClassUID == SegmentationStorage]
    tiles, count = {}, 0
    for view in map(read, images):
        shown = reduced(view)
        painted = _painted(shown, _masks_on(view.sop_instance_uid, segmentations))
        here = [_mark(mark) for mark in drawn if mark.sop_instance_uid == view.sop_instance_uid]
        tiles[view.name] = drawing.tile(shown, here, painted=painted)
        count += len(here)
    sheet = drawing.hang(tiles, {name: name for name in tiles})
    filled = "; filled: masks of the SEG" if segmentations else ""
    words = f"Outlines: the CAD SR{filled}. Orange: masses; blue: calcifications."
    said = drawing.strip(sheet.width, [words, "For research use only."], WORDS_SIZE)
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.stacked([sheet, said]).save(place)
    return count


def _age(report: Dataset) -> tuple[str, str, int]:
    return report.ContentDate, report.ContentTime, int(report.get("SeriesNumber") or 0)


def _mark(mark: Mark) -> drawing.Mark:
    kind = next(kind for kind, code in codes.DETECTIONS.items() if code.meaning == mark.kind)
    scores = [f"{_BRIEFLY.get(name, name)} {score:.0f} %" for name, score in mark.scores]
    return drawing.Mark(mark.points, (mark.tracking_id, ", ".join(scores)), INK[kind])


def _painted(shown: Shown, masks: Iterator[tuple[int, NDArray[np.bool_]]]) -> Image.Image:
    """Fill in the masks, so faintly that what lies below is seen."""
    tile = Image.fromarray(shown.picture).convert("RGB")
    for segment, mask in masks:
        large = Image.fromarray(mask.astype(np.uint8) * 255)
        small = large.resize(tile.size, Image.Resampling.BOX)
        ink = Image.new("RGB", tile.size, INK[SEGMENTS[segment]])
        tile.paste(ink, mask=small.point(lambda value: int(value * MASK_STRENGTH)))
    return tile


def _masks_on(
    sop_instance_uid: str, segmentations: Sequence[Dataset]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Find the frames of all SEG objects that lie on an image."""
    for segmentation in segmentations:
        frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
        groups = segmentation.PerFrameFunctionalGroupsSequence
        for frame, group in zip(frames, groups, strict=True):
            source = group.DerivationImageSequence[0].SourceImageSequence[0]
            if source.ReferencedSOPInstanceUID == sop_instance_uid:
                segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
                yield segment, frame.astype(np.bool_)
