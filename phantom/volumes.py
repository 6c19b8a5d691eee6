"""What newer devices make of a view with a moving tube: a tomosynthesis, a breast projection.

Both have frames and functional groups (PS3.3 A.55 and A.74). A node that reads single
projections has to know them when they come, not to look into them; so they are small.
"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastTomosynthesisImageStorage,
)

from phantom.dicom import uid_for

SLICES, THINNED = 6, 8  # frames of a volume; of a view's pixels, every so many
_SLICE_MM = 5.0
_SAID_AGAIN = (  # what a view says of patient, study, equipment and pixels
    *("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientAge"),
    *("PatientSex", "StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription"),
    *("AccessionNumber", "ReferringPhysicianName", "SeriesInstanceUID", "SeriesNumber"),
    *("SeriesDate", "SeriesTime", "SeriesDescription", "InstanceNumber", "SOPInstanceUID"),
    *("ContentDate", "ContentTime", "Modality", "Manufacturer", "ManufacturerModelName"),
    *("DeviceSerialNumber", "SoftwareVersions", "InstitutionName", "BodyPartExamined"),
    *("ViewCodeSequence", "BreastImplantPresent", "PartialView", "RequestAttributesSequence"),
    *("PhotometricInterpretation", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PresentationLUTShape", "BurnedInAnnotation", "LossyImageCompression"),
)


def tomosynthesis(view: Dataset) -> Dataset:
    """Turn a view into a small stack of slices, each shifted a little."""
    pixels = view.pixel_array[::THINNED, ::THINNED]
    frames = [np.roll(pixels, number, axis=1) for number in range(SLICES)]
    found = _begun(view, BreastTomosynthesisImageStorage, frames)
    found.ImageType = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "NONE"]
    found.VolumetricProperties, found.VolumeBasedCalculationTechnique = "VOLUME", "TOMOSYNTHESIS"
    kind = _item(
        FrameType=found.ImageType,
        PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="TOMOSYNTHESIS",
    )
    shared = found.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[0, 1, 0, 0, 0, -1])]
    for number, frame in enumerate(found.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence = [_item(ImagePositionPatient=[number * _SLICE_MM, 0, 0])]
        frame.XRay3DFrameTypeSequence = [kind]
    return found


def projection(view: Dataset) -> Dataset:
    """Turn a view into a breast projection, without what such a device says of its tube."""
    frames = [view.pixel_array[::THINNED, ::THINNED]]
    found = _begun(view, BreastProjectionXRayImageStorageForPresentation, frames)
    found.ImageType = ["ORIGINAL", "PRIMARY", "TOMO_PROJ", "NONE"]
    found.PresentationIntentType = "FOR PRESENTATION"
    return found


def _begun(view: Dataset, sop_class: UID, frames: Sequence[NDArray[np.integer]]) -> Dataset:
    found = Dataset()
    for keyword in _SAID_AGAIN:
        if keyword in view:
            found[keyword] = deepcopy(view[keyword])
    found.SOPClassUID = sop_class
    found.FrameOfReferenceUID = uid_for("frame of reference", view.SOPInstanceUID)
    found.PositionReferenceIndicator = ""
    found.AcquisitionContextSequence = []
    found.PixelPresentation, found.ContentQualification = "MONOCHROME", "PRODUCT"
    found.Rows, found.Columns = frames[0].shape
    found.NumberOfFrames = len(frames)
    found.SharedFunctionalGroupsSequence = [_shared(view)]
    found.PerFrameFunctionalGroupsSequence = [_frame(view, place) for place in range(len(frames))]
    found.add_new("PixelData", "OW", np.stack(frames).astype("<u2").tobytes())
    found.file_meta = deepcopy(view.file_meta)
    found.file_meta.MediaStorageSOPClassUID = sop_class
    return found


def _shared(view: Dataset) -> Dataset:
    """Say what holds of every frame."""
    anatomy = deepcopy(view.AnatomicRegionSequence[0])
    said = view.get("ImagerPixelSpacing") or view.PixelSpacing
    spacing = [float(each) * THINNED for each in said]
    side = view.get("ImageLaterality") or view.Laterality
    top = (1 << view.BitsStored) - 1
    return _item(
        PixelMeasuresSequence=[_item(PixelSpacing=spacing, SliceThickness=_SLICE_MM)],
        FrameAnatomySequence=[_item(FrameLaterality=side, AnatomicRegionSequence=[anatomy])],
        FrameVOILUTSequence=[_item(WindowCenter=(top + 1) / 2, WindowWidth=top + 1)],
        PixelValueTransformationSequence=[
            _item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")
        ],
    )


def _frame(view: Dataset, place: int) -> Dataset:
    moment = f"{view.AcquisitionDate}{view.AcquisitionTime}"
    content = _item(
        FrameAcquisitionNumber=1,
        FrameReferenceDateTime=moment,
        FrameAcquisitionDateTime=moment,
        FrameAcquisitionDuration=1,
        StackID="1",
        InStackPositionNumber=place + 1,
    )
    return _item(FrameContentSequence=[content])


def _item(**values: object) -> Dataset:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
