"""Segmentations (PS3.3, A.51): each segment is all lesions of a kind, or one of them.

Several lesions of a segment are told apart by what touches; calcifications are joined to clusters
as the node joins them. A segment that a tool names as one tracked lesion is one region.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from scipy import ndimage

from inference.findings import Kind, Mask
from inference.preparing.clusters import grouped
from train.data.readers.told import Told, kind_of, moment_of
from train.data.sample import Region, Runs
from train.errors import Refused

_HANDMADE = {"MANUAL", "SEMIAUTOMATIC"}
_EIGHT = np.ones((3, 3), dtype=np.bool_)
_SEVERAL = ", "  # between the names of lesions that this node paints into one segment

Pixels = NDArray[np.bool_]


def segmentation(path: Path, spacings_mm: Mapping[str, tuple[float, float]]) -> Told:
    """Read a segmentation of images whose spacings are known."""
    dataset = dcmread(path)
    segments = {int(one.SegmentNumber): one for one in dataset.get("SegmentSequence") or ()}
    told = Told(path, moment_of(dataset), _by_a_person(dataset, segments), is_report=False)
    images = _referenced(dataset)
    told.regions.update({uid: [] for uid in images})
    masks: dict[tuple[str, int], Pixels] = {}
    for uid, number, pixels in _frames(path, dataset, images):
        before = masks.get((uid, number))
        masks[uid, number] = pixels if before is None else before | pixels
    for (uid, number), pixels in masks.items():
        regions = told.regions.setdefault(uid, [])
        if number in segments and pixels.any():
            spacing_mm = spacings_mm.get(uid, (0.1, 0.1))
            regions += _regions(segments[number], pixels, spacing_mm)
    return told


def _by_a_person(dataset: Dataset, segments: Mapping[int, Dataset]) -> bool:
    return bool(str(dataset.get("ContentCreatorName") or "").strip("^ ")) or any(
        str(one.get("SegmentAlgorithmType") or "") in _HANDMADE for one in segments.values()
    )


def _referenced(dataset: Dataset) -> list[str]:
    return [
        str(one.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence") or ()
        for one in series.get("ReferencedInstanceSequence") or ()
    ]


def _frames(path: Path, dataset: Dataset, images: list[str]) -> Iterator[tuple[str, int, Pixels]]:
    """Return which image, which segment and which pixels, frame by frame."""
    try:
        stored = np.asarray(dataset.pixel_array)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as fault:
        raise Refused(f"{path} cannot be read ({type(fault).__name__}): export it anew") from fault
    frames = stored[None] if stored.ndim == 2 else stored  # noqa: PLR2004 - a single frame
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    own = dataset.get("PerFrameFunctionalGroupsSequence") or []
    half = int(dataset.get("MaximumFractionalValue") or 1) / 2
    for number, pixels in enumerate(frames):
        groups = (own[number] if number < len(own) else Dataset(), shared)
        uid = _source(groups) or (images[0] if len(images) == 1 else "")
        if dataset.get("SegmentationType") == "LABELMAP":
            for value in np.unique(pixels[pixels > 0]):
                yield uid, int(value), pixels == value
        else:
            yield uid, _segment(groups), pixels > half


def _source(groups: tuple[Dataset, ...]) -> str:
    for group in groups:
        for derivation in group.get("DerivationImageSequence") or ():
            for image in derivation.get("SourceImageSequence") or ():
                return str(image.ReferencedSOPInstanceUID)
    return ""


def _segment(groups: tuple[Dataset, ...]) -> int:
    for group in groups:
        for one in group.get("SegmentIdentificationSequence") or ():
            return int(one.ReferencedSegmentNumber)
    return 1


def _regions(segment: Dataset, pixels: Pixels, spacing_mm: tuple[float, float]) -> Iterator[Region]:
    label = str(segment.get("SegmentLabel") or "")
    types = segment.get("SegmentedPropertyTypeCodeSequence") or [Dataset()]
    words = Dataset()
    words.CodeMeaning = label
    kind = kind_of(types[0]) or kind_of(words)
    tracked = str(segment.get("TrackingID") or "")
    for mask in _lesions(pixels, kind, spacing_mm, one=bool(tracked) and _SEVERAL not in tracked):
        yield Region(_runs(mask, *pixels.shape), kind, None, {"finding": label})


def _lesions(
    pixels: Pixels, kind: Kind | None, spacing_mm: tuple[float, float], *, one: bool
) -> list[Mask]:
    if one:
        return [Mask(0, 0, pixels)]
    if kind is Kind.CALCIFICATION:
        return [group.mask for group in grouped(pixels, spacing_mm, least_px=1)]
    parts, _ = ndimage.label(pixels, structure=_EIGHT)
    return [
        Mask(across.start, down.start, parts[down, across] == number)
        for number, (down, across) in enumerate(ndimage.find_objects(parts), 1)
    ]


def _runs(mask: Mask, rows: int, columns: int) -> Runs:
    """Count a mask's pixels down the columns of its image."""
    flat = mask.on(rows, columns).ravel(order="F")
    turns = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate(([0], turns, [flat.size]))
    counts = np.diff(edges).tolist()
    return Runs(rows, columns, tuple([0, *counts] if flat[0] else counts))
