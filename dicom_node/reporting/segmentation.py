"""Segmentation of one image, which viewers paint over it (PS3.3, A.51).

One object an image, each in its own series: images of a study differ in size, and OHIF binds
a segmentation to one series only.
"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from highdicom import AlgorithmIdentificationSequence, PixelMeasuresSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting import codes, frame, naming
from dicom_node.reporting.cad_sr import parameters
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Lesion, Source, edition_words
from dicom_node.settings.delivering import Geometry
from inference.findings import ExamFindings, Kind

KIND = "segmentation"
SEGMENT_NUMBERS = {Kind.MASS: 1, Kind.CALCIFICATION: 2}
LABELS = {Kind.MASS: "Mass", Kind.CALCIFICATION: "Calcifications"}
COLORS = {  # CIELab; told apart by the color-blind too
    Kind.MASS: CIELabColor(70.0, 30.0, 70.0),
    Kind.CALCIFICATION: CIELabColor(75.0, -20.0, -35.0),
}


def has_mask(source: Source) -> bool:
    """Say whether there is anything to paint; viewers have no use for an empty object."""
    return any(is_painted(lesion) for lesion in source.lesions)


def segmentation(
    source: Source,
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    place: int,
    geometry: Geometry = "orientation",
) -> Dataset:
    """Paint the masks of one image, masses and calcifications apart."""
    header = source.header
    names = (
        KIND,
        header.StudyInstanceUID,
        circumstances.round,
        edition_words(exam, circumstances.edition),
        header.SOPInstanceUID,
    )
    spacing = header.get("ImagerPixelSpacing") or header.get("PixelSpacing")
    dataset = Segmentation(
        source_images=[_without_frame_of_reference(header)],
        pixel_array=painted(source),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[
            _segment(kind, source.lesions, exam, circumstances.settings) for kind in SEGMENT_NUMBERS
        ],
        series_instance_uid=naming.series_uid(*names),
        series_number=frame.series_number(frame.SEGMENTATION_NUMBER + place, circumstances.round),
        sop_instance_uid=naming.instance_uid(*names),
        instance_number=circumstances.round,
        manufacturer=maker.manufacturer,
        manufacturer_model_name=maker.model,
        software_versions=maker.software_version,
        device_serial_number=maker.serial_number,
        content_label="AI_FINDINGS",
        content_description=frame.series_description(
            f"segmentation {source.name}", circumstances.round
        ),
        series_description=frame.series_description(
            f"segmentation {source.name}", circumstances.round
        ),
        pixel_measures=PixelMeasuresSequence(spacing, None) if spacing else None,
    )
    _tell_the_side(dataset, source)
    dataset.PatientOrientation = header.PatientOrientation
    _lay(dataset, geometry, spacing)
    _name_dimensions(dataset)
    frame.copy_patient_and_study(header, dataset)
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def painted(source: Source) -> NDArray[np.uint8]:
    """Lay the masks of each kind on an image of the source's size."""
    rows, columns = int(source.header.Rows), int(source.header.Columns)
    pixels = np.zeros((1, rows, columns, len(SEGMENT_NUMBERS)), dtype=np.uint8)
    for lesion in source.lesions:
        if lesion.finding.mask is not None:
            segment = SEGMENT_NUMBERS[lesion.finding.kind] - 1
            pixels[0, :, :, segment] |= lesion.finding.mask.on(rows, columns)
    return pixels


def is_painted(lesion: Lesion) -> bool:
    """Say whether a lesion has pixels of its own; one that is only a box has none."""
    return lesion.finding.mask is not None and bool(lesion.finding.mask.pixels.any())


def _segment(
    kind: Kind, lesions: Sequence[Lesion], exam: ExamFindings, settings: str
) -> SegmentDescription:
    """Describe a segment; it bears a lesion's own name where it holds that lesion alone."""
    held = [lesion for lesion in lesions if lesion.finding.kind == kind and is_painted(lesion)]
    tracking_id = ", ".join(lesion.name for lesion in held) or None
    uids = [lesion.uid for lesion in held]
    return SegmentDescription(
        segment_number=SEGMENT_NUMBERS[kind],
        segment_label=segment_label(kind, exam),
        segmented_property_category=codes.ABNORMAL_STRUCTURE.code,
        segmented_property_type=codes.SEGMENTS[kind].code,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=exam.system,
            family=codes.ARTIFICIAL_INTELLIGENCE.code,
            version=exam.version,
            parameters=parameters(exam, settings),
        ),
        tracking_id=tracking_id,
        tracking_uid=segment_tracking_uid(uids) if uids else None,
        anatomic_regions=[codes.BREAST.code],
        display_color=COLORS[kind],
    )


def segment_label(kind: Kind, exam: ExamFindings) -> str:
    """Name a segment; one that is empty because nobody looked says so."""
    return LABELS[kind] if kind in exam.marks else f"{LABELS[kind]}: not looked for"


def segment_tracking_uid(uids: Sequence[str]) -> str:
    """Name what a segment holds: the lesion itself, or these lesions together."""
    return uids[0] if len(uids) == 1 else naming.uid("together", *sorted(uids))


def _without_frame_of_reference(header: Dataset) -> Dataset:
    """Hide a frame of reference from highdicom.

    A mammogram has no place in it, and a segmentation that names one must give its place.
    """
    if "FrameOfReferenceUID" not in header:
        return header
    hidden = deepcopy(header)
    del hidden.FrameOfReferenceUID
    return hidden


def _tell_the_side(dataset: Dataset, source: Source) -> None:
    for segment in dataset.SegmentSequence:
        region = segment.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [codes.item(codes.SIDES[source.view.side])]


def _lay(dataset: Dataset, geometry: Geometry, spacing: Sequence[float] | None) -> None:
    """Lay the image in a space that it never had, as far as a destination's viewer insists.

    OHIF wants a plane orientation, though a projection has none. A plane position would make
    Weasis look for a volume and paint nothing; 3D Slicer wants it, and a frame of reference with
    it, which is the object's own. The standard alone wants nothing of the kind (PS3.3, A.51).
    """
    shared = dataset.SharedFunctionalGroupsSequence[0]
    if geometry != "none":
        plane = Dataset()
        plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        shared.PlaneOrientationSequence = [plane]
    if geometry == "full":
        if not spacing:
            raise ValueError("an image that gives no spacing of its pixels has no place in a space")
        dataset.FrameOfReferenceUID = naming.uid("frame of reference", dataset.SOPInstanceUID)
        dataset.PositionReferenceIndicator = ""
        shared.PixelMeasuresSequence[0].SliceThickness = 1
        shared.PixelMeasuresSequence[0].SpacingBetweenSlices = 1
        for frame_ in dataset.PerFrameFunctionalGroupsSequence:
            position = Dataset()
            position.ImagePositionPatient = [0, 0, 0]
            frame_.PlanePositionSequence = [position]


def _name_dimensions(dataset: Dataset) -> None:
    """Replace the random name of the dimensions by one that follows from the object's own."""
    organization = naming.uid("dimensions", dataset.SOPInstanceUID)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
