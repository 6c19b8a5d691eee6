"""What is checked in a segmentation before it may leave."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting import codes, naming
from dicom_node.reporting.codes import STANDARD
from dicom_node.reporting.common_proof import Check, Claim, listed
from dicom_node.reporting.expected_frame import contributors, frame, reference, subject
from dicom_node.reporting.facts import SOME, Facts, Path, faults, plain, plain_dataset
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.reporting.words import several
from inference.findings import Kind

SEGMENT_NUMBERS = {Kind.MASS: 1, Kind.CALCIFICATION: 2}
LABELS = {Kind.MASS: "Mass", Kind.CALCIFICATION: "Calcifications"}
SPACING_ROUNDING = 1e-6
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
        group.get("PlanePositionSequence") for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    if wanted != "full" and any(position is not None for position in positions):
        yield "there is a plane position; Weasis draws nothing with one"
    if wanted == "full" and not (all(positions) and shared.get("PixelMeasuresSequence")):
        yield "a plane position or the spacing is missing; 3D Slicer reads nothing without"


def same_image(claim: Claim) -> Iterator[str]:
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
        if segment.SegmentLabel != _label(claim, kind):
            yield f"segment {kind} is labeled otherwise"
        held = _held(source(claim), kind)
        expected = _tracking_uid(held) if held else None
        if segment.get("TrackingUID") != expected or bool(segment.get("TrackingID")) != bool(held):
            yield f"segment {kind} has not the tracking identifier of what it holds"


def _label(claim: Claim, kind: Kind) -> str:
    """Return a segment's name; one that is empty because nobody looked says so."""
    return LABELS[kind] if kind in claim.exam.marks else f"{LABELS[kind]}: not looked for"


def _held(about: Source, kind: Kind) -> list[Lesion]:
    """Return the lesions of a kind that have pixels."""
    return [
        lesion
        for lesion in about.lesions
        if lesion.finding.kind == kind
        and lesion.finding.mask is not None
        and lesion.finding.mask.pixels.any()
    ]


def _tracking_uid(held: Sequence[Lesion]) -> str:
    """Return the UID of a lesion, or of several together."""
    uids = [str(lesion.uid) for lesion in held]
    return uids[0] if len(uids) == 1 else str(naming.uid("together", *sorted(uids)))


def frames(claim: Claim) -> Iterator[str]:
    """Check that each frame says which segment of which image it is."""
    expected = source(claim).view.sop_instance_uid
    for number, group in enumerate(claim.dataset.PerFrameFunctionalGroupsSequence, start=1):
        if not group.get("SegmentIdentificationSequence"):
            yield f"frame {number} does not say which segment it is"
        if not group.get("FrameContentSequence"):
            yield f"frame {number} has no place among the dimensions"
        uids = [
            str(image.ReferencedSOPInstanceUID)
            for derivation in group.get("DerivationImageSequence", [])
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
    drawn = {number: np.zeros(0, np.bool_) for number in SEGMENT_NUMBERS.values()}
    stack: NDArray[np.uint8] = flat.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    for group, picture in zip(dataset.PerFrameFunctionalGroupsSequence, stack, strict=True):
        segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        drawn[segment] = picture.astype(np.bool_)
    for kind, number in SEGMENT_NUMBERS.items():
        wanted, got = _painted(claim, kind), drawn[number]
        if int(wanted.sum()) != int(got.sum()) or (got.size and not np.array_equal(wanted, got)):
            yield f"segment {kind} has {int(got.sum())} pixels, the masks {int(wanted.sum())}"
    if flat[bits:].any() or any(dataset.PixelData[needed:]):
        yield "there are pixels behind the last frame"


def _painted(claim: Claim, kind: Kind) -> NDArray[np.bool_]:
    """Return the pixels of the image that the findings of a kind hold."""
    about = source(claim)
    pixels = np.zeros((int(about.header.Rows), int(about.header.Columns)), np.bool_)
    for lesion in _held(about, kind):
        mask = lesion.finding.mask
        assert mask is not None
        height, width = mask.pixels.shape
        pixels[mask.top : mask.top + height, mask.left : mask.left + width] |= mask.pixels
    return pixels


def contents(claim: Claim) -> Iterator[str]:
    """Check that the object holds what is expected of it, and nothing more."""
    yield from faults(expected(claim), claim.dataset, [STANDARD], "the segmentation")


def expected(claim: Claim) -> Facts:
    """Expect a segmentation of one image (PS3.3, A.51)."""
    about = source(claim)
    header = about.header
    of = subject(claim, "segmentation", header, of_image=True)
    kinds = [kind for kind in SEGMENT_NUMBERS if _held(about, kind)]
    organization = {"DimensionOrganizationUID": _organization(claim)}
    facts: dict[str, object] = {
        **frame(of),
        "Modality": "SEG",
        "ImageType": ["DERIVED", "PRIMARY"],
        "ReferencedSeriesSequence": [
            {
                "SeriesInstanceUID": str(header.SeriesInstanceUID),
                "ReferencedInstanceSequence": [reference(about.header)],
            }
        ],
        "SourceImageSequence": [reference(about.header)],
        "ContributingEquipmentSequence": contributors(of),
        "PatientOrientation": plain(header["PatientOrientation"]),
        "DimensionOrganizationSequence": [organization],
        "DimensionIndexSequence": [
            {
                **organization,
                "DimensionIndexPointer": 0x0062000B,
                "FunctionalGroupPointer": 0x0062000A,
                "DimensionDescriptionLabel": SOME,
            }
        ],
        **_picture(header, len(kinds)),
        "SegmentationType": "BINARY",
        "SegmentSequence": [_segment(claim, about, kind) for kind in SEGMENT_NUMBERS],
        "SegmentsOverlap": _overlap(claim, kinds),
        "ContentLabel": "AI_FINDINGS",
        "ContentDescription": str(claim.dataset.SeriesDescription),
        "SharedFunctionalGroupsSequence": [_shared(claim, header)],
        "PerFrameFunctionalGroupsSequence": [_frame(claim, about, kind) for kind in kinds],
    }
    if claim.profile.geometry == "full":
        facts["FrameOfReferenceUID"] = _own("frame of reference", claim)
        facts["PositionReferenceIndicator"] = None
    return facts


def _own(what: str, claim: Claim) -> str:
    return str(naming.uid(what, str(claim.dataset.SOPInstanceUID)))


def _organization(claim: Claim) -> str:
    return _own("dimensions", claim)


def _picture(header: Dataset, count: int) -> Facts:
    """Expect one bit a pixel, as large as the image; `pixels` looks at them."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PresentationLUTShape": "IDENTITY",
        "NumberOfFrames": count,
        "Rows": int(header.Rows),
        "Columns": int(header.Columns),
        "BitsAllocated": 1,
        "BitsStored": 1,
        "HighBit": 0,
        "PixelRepresentation": 0,
        "LossyImageCompression": "00",
        "PixelData": SOME,
    }


def _overlap(claim: Claim, kinds: Sequence[Kind]) -> str:
    pairs = combinations([_painted(claim, kind) for kind in kinds], 2)
    return "YES" if any((one & other).any() for one, other in pairs) else "NO"


def _segment(claim: Claim, about: Source, kind: Kind) -> Facts:
    """Expect a segment for a kind, whether or not anything of it was found."""
    exam, held = claim.exam, _held(about, kind)
    parameters = {"bundle sha256": exam.digest, "operating point": exam.operating_point}
    for member in exam.members if several(exam) else ():
        parameters[f"member {member.name}"] = (
            f"{member.version}, bundle sha256 {member.digest}, "
            f"operating point {member.operating_point}"
        )
    if claim.settings:
        parameters["settings sha256"] = claim.settings
    algorithm = {
        "AlgorithmFamilyCodeSequence": codes.ARTIFICIAL_INTELLIGENCE,
        "AlgorithmName": exam.system,
        "AlgorithmVersion": exam.version,
        "AlgorithmParameters": ",".join(f"{key}={value}" for key, value in parameters.items()),
    }
    side = {"AnatomicRegionModifierSequence": codes.SIDES[about.view.side]}
    facts: dict[str, object] = {
        "SegmentNumber": SEGMENT_NUMBERS[kind],
        "SegmentLabel": _label(claim, kind),
        "AnatomicRegionSequence": [{**plain_dataset(codes.item(codes.BREAST)), **side}],
        "SegmentedPropertyCategoryCodeSequence": codes.ABNORMAL_STRUCTURE,
        "SegmentedPropertyTypeCodeSequence": codes.SEGMENTS[kind],
        "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": exam.system,
        "SegmentationAlgorithmIdentificationSequence": [algorithm],
        "RecommendedDisplayCIELabValue": SOME,
    }
    if held:
        facts["TrackingID"] = ", ".join(lesion.name for lesion in held)
        facts["TrackingUID"] = _tracking_uid(held)
    return facts


def _shared(claim: Claim, header: Dataset) -> Facts:
    """Expect the spacing where the image says it, and as much of a plane as is wanted."""
    facts: dict[str, object] = {}
    spacing = header.get("ImagerPixelSpacing") or header.get("PixelSpacing")
    if spacing:
        facts["PixelMeasuresSequence"] = [_measures(claim, [float(each) for each in spacing])]
    if claim.profile.geometry != "none":
        facts["PlaneOrientationSequence"] = [{"ImageOrientationPatient": UPRIGHT}]
    return facts


def _measures(claim: Claim, spacing: Sequence[float]) -> Facts:
    flat = [(spacing[0], spacing[1])]
    measures: dict[str, object] = {"PixelSpacing": Path(flat, SPACING_ROUNDING)}
    if claim.profile.geometry == "full":
        measures |= {"SliceThickness": 1.0, "SpacingBetweenSlices": 1.0}
    return measures


def _frame(claim: Claim, about: Source, kind: Kind) -> Facts:
    """Expect a frame for each kind that was found."""
    number = SEGMENT_NUMBERS[kind]
    derived = {
        **reference(about.header),
        "SpatialLocationsPreserved": "YES",
        "PurposeOfReferenceCodeSequence": codes.SOURCE_IMAGE,
    }
    facts: dict[str, object] = {
        "DerivationImageSequence": [
            {
                "SourceImageSequence": [derived],
                "DerivationCodeSequence": codes.SEGMENTATION,
            }
        ],
        "FrameContentSequence": [{"DimensionIndexValues": number}],
        "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": number}],
    }
    if claim.profile.geometry == "full":
        facts["PlanePositionSequence"] = [{"ImagePositionPatient": [0.0, 0.0, 0.0]}]
    return facts


CHECKS: tuple[Check, ...] = (module, geometry, same_image, segments, frames, pixels, contents)
