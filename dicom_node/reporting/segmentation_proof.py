"""What is checked in a segmentation before it may leave."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dicom_node.reporting.common_proof import Check, Claim, listed
from dicom_node.reporting.segmentation import (
    SEGMENT_NUMBERS,
    is_painted,
    painted,
    segment_label,
    segment_tracking_uid,
)
from dicom_node.reporting.sources import Source

UPRIGHT = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def source(claim: Claim) -> Source:
    """Return the one source image the object belongs to."""
    (uid,) = {
        uid
        for uids in listed(claim.dataset.get("ReferencedSeriesSequence", [])).values()
        for uid in uids
    }
    return {each.view.sop_instance_uid: each for each in claim.sources}[uid]


def module(claim: Claim) -> Iterator[str]:
    """Check what viewers stumble over when it is missing, or when it is there."""
    dataset = claim.dataset
    for keyword in (
        "ReferencedSeriesSequence",
        "ContentLabel",
        "DimensionIndexSequence",
        "DimensionOrganizationSequence",
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    ):
        if not dataset.get(keyword):
            yield f"{keyword} is missing"
    if "PatientOrientation" not in dataset:
        yield "PatientOrientation is missing"


def geometry(claim: Claim) -> Iterator[str]:
    """Check that the object claims the place in space that its destination wants, and no more."""
    dataset, wanted = claim.dataset, claim.profile.geometry
    if ("FrameOfReferenceUID" in dataset) != (wanted == "full"):
        yield (
            "there is no frame of reference; 3D Slicer reads nothing without"
            if wanted == "full"
            else "there is a frame of reference, in which a mammogram has no place"
        )
    shared = dataset.SharedFunctionalGroupsSequence[0]
    orientation = shared.get("PlaneOrientationSequence")
    if wanted == "none":
        if orientation:
            yield "there is a plane orientation, which the destination does not want"
    elif not orientation:
        yield "there is no plane orientation; OHIF draws nothing without"
    elif [float(number) for number in orientation[0].ImageOrientationPatient] != UPRIGHT:
        yield "the plane orientation turns the image"
    positions = [
        frame.get("PlanePositionSequence") for frame in dataset.PerFrameFunctionalGroupsSequence
    ]
    if wanted != "full" and any(position is not None for position in positions):
        yield "there is a plane position; Weasis draws nothing with one"
    if wanted == "full" and not (all(positions) and shared.get("PixelMeasuresSequence")):
        yield "a plane position or the spacing is missing; 3D Slicer reads nothing without"


def reference(claim: Claim) -> Iterator[str]:
    """Check that the object refers to its image, in that image's series."""
    header = source(claim).header
    series = listed(claim.dataset.ReferencedSeriesSequence)
    if series != {str(header.SeriesInstanceUID): {str(header.SOPInstanceUID)}}:
        yield "the referenced series is not the image's"
    if (claim.dataset.Rows, claim.dataset.Columns) != (header.Rows, header.Columns):
        yield "the object and its image differ in size"
    if (claim.dataset.get("PatientOrientation") or None) != (header.PatientOrientation or None):
        yield "the object and its image differ in orientation"


def segments(claim: Claim) -> Iterator[str]:
    """Check that both kinds are declared, and that each says who found it and what it holds."""
    declared = claim.dataset.SegmentSequence
    numbers = [int(segment.SegmentNumber) for segment in declared]
    if numbers != list(SEGMENT_NUMBERS.values()):
        yield f"the segments are numbered {numbers}"
        return
    for kind, segment in zip(SEGMENT_NUMBERS, declared, strict=True):
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        made_by = (algorithm.AlgorithmName, algorithm.AlgorithmVersion)
        if made_by != (claim.exam.system, claim.exam.version):
            yield f"segment {kind} does not name its algorithm"
        if segment.SegmentLabel != segment_label(kind, claim.exam):
            yield f"segment {kind} is labeled '{segment.SegmentLabel}'"
        uids = [
            lesion.uid
            for lesion in source(claim).lesions
            if lesion.finding.kind == kind and is_painted(lesion)
        ]
        expected = segment_tracking_uid(uids) if uids else None
        if segment.get("TrackingUID") != expected or bool(segment.get("TrackingID")) != bool(uids):
            yield f"segment {kind} has not the tracking identifier of what it holds"


def frames(claim: Claim) -> Iterator[str]:
    """Check that each frame says which segment of which image it is."""
    expected = source(claim).view.sop_instance_uid
    for number, frame in enumerate(claim.dataset.PerFrameFunctionalGroupsSequence, start=1):
        if not frame.get("SegmentIdentificationSequence"):
            yield f"frame {number} does not say which segment it is"
        if not frame.get("FrameContentSequence"):
            yield f"frame {number} has no place among the dimensions"
        uids = [
            str(image.ReferencedSOPInstanceUID)
            for derivation in frame.get("DerivationImageSequence", [])
            for image in derivation.get("SourceImageSequence", [])
        ]
        if uids != [expected]:
            yield f"frame {number} is not derived from {expected}"


def pixels(claim: Claim) -> Iterator[str]:
    """Check that the segments hold the findings' masks, pixel for pixel."""
    dataset = claim.dataset
    frame_pixels = int(dataset.Rows) * int(dataset.Columns)
    bits = int(dataset.NumberOfFrames) * frame_pixels
    needed = (bits + 7) // 8
    if len(dataset.PixelData) != needed + needed % 2:
        yield f"there are {len(dataset.PixelData)} bytes of pixels, not {needed + needed % 2}"
        return
    flat = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")[:bits]
    masks = painted(source(claim))[0]  # rows columns segments
    drawn = np.zeros_like(masks)
    stack: NDArray[np.uint8] = flat.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    for frame, picture in zip(dataset.PerFrameFunctionalGroupsSequence, stack, strict=True):
        segment = int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        drawn[:, :, segment - 1] |= picture
    for kind, number in SEGMENT_NUMBERS.items():
        wanted, got = masks[:, :, number - 1], drawn[:, :, number - 1]
        if not np.array_equal(wanted, got):
            yield f"segment {kind} has {int(got.sum())} pixels, the masks {int(wanted.sum())}"


CHECKS: tuple[Check, ...] = (module, geometry, reference, segments, frames, pixels)
