"""What real headers do that the standard does not foresee, each as a change to an image.

A style of headers (`phantom/headers.py`) has some of these. They are what devices of the field
were seen or are said to do; which maker's style has which says nothing about any product.
"""

from collections.abc import Callable

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

Trap = Callable[[Dataset], None]

_OLD_CODES = {  # SNOMED's codes before 2019 (PS3.16, annex O)
    "399162004": "R-10242",
    "399368009": "R-10226",
    "76752008": "T-04000",
}
_WORDS = "Image processing 4.7.11, detector calibration 2.03, acquisition 9.1.0.118, console 12 b"


def writes(**values: object) -> Trap:
    """Write this, whether it may stand there or not; None takes an attribute away."""

    def trap(image: Dataset) -> None:
        for keyword, value in values.items():
            tag = Tag(keyword)
            if value is None:
                image.pop(tag, None)
            else:
                image[tag] = DataElement(tag, dictionary_VR(tag), value)

    return trap


def old_codes(designator: str) -> Trap:
    """Code the view and the breast in SNOMED's retired codes, under one of their two names."""

    def trap(image: Dataset) -> None:
        for keyword in ("ViewCodeSequence", "AnatomicRegionSequence"):
            for item in image.get(keyword) or []:
                item.CodeValue = _OLD_CODES[item.CodeValue]
                item.CodingSchemeDesignator = designator

    return trap


def view_in_a_word(image: Dataset) -> None:
    """Name the view in the retired text attribute alone."""
    angle = float(image.PositionerPrimaryAngle)
    image.ViewPosition = "MLO" if angle else "CC"
    del image.ViewCodeSequence


def side_of_series(image: Dataset) -> None:
    """Say the side where a series says it, not where a mammogram does."""
    image.Laterality = image.ImageLaterality
    del image.ImageLaterality


def side_twice(image: Dataset) -> None:
    """Say the side in both places."""
    image.Laterality = image.ImageLaterality


def private_groups(image: Dataset) -> None:
    """Add a maker's own elements, a sequence among them."""
    block = image.private_block(0x0019, "PHANTOM ACQUISITION", create=True)
    block.add_new(0x01, "LO", "HTC")
    block.add_new(0x02, "DS", "1.25")
    item = Dataset()
    item.CodeMeaning = "what only the maker knows"
    block = image.private_block(0x0045, "PHANTOM PROCESSING", create=True)
    block.add_new(0x10, "SQ", Sequence([item]))
    block.add_new(0x11, "OB", b"\0\1\2\3")


def scanned(image: Dataset) -> None:
    """Say of the pixels' size what a scanner of films knows, and nothing of a detector."""
    image.PixelSpacing = image.NominalScannedPixelSpacing = image.ImagerPixelSpacing
    for element in list(image):
        told = ("Detector", "FieldOfView", "Imager", "EstimatedRadiographic", "KVP", "Exposure")
        if element.keyword.startswith((*told, "Anode", "Compression", "OrganDose", "BodyPartThi")):
            del image[element.tag]
    image.ConversionType = "DF"


def frame_of_reference(image: Dataset) -> None:
    """Name a frame of reference, in which a projection has no place."""
    image.FrameOfReferenceUID = f"{image.StudyInstanceUID}.1"
    image.PositionReferenceIndicator = ""


def long_spacing(image: Dataset) -> None:
    """Write the size of a pixel as a computer prints it."""
    said = [f"{float(each):.17f}" for each in image.ImagerPixelSpacing]
    writes(ImagerPixelSpacing=said, DetectorElementSpacing=said)(image)


def unrotated(image: Dataset) -> None:
    """Write an enumerated number as if it were measured."""
    image.FieldOfViewRotation = "0.0"


long_words = writes(
    SoftwareVersions=[_WORDS, "2.1"], StationName="MAMMOGRAPHY ROOM NUMBER 2", ProtocolName=_WORDS
)
no_request = writes(RequestAttributesSequence=Sequence(), AccessionNumber=None, StudyID=None)
little_said = writes(
    ReferringPhysicianName=None, StudyID=None, PatientBirthDate=None, AccessionNumber=None
)
null_dates = writes(
    PatientBirthDate="00000000",
    DateOfLastDetectorCalibration="00000000",
    TimeOfLastDetectorCalibration="000000.000",
    AcquisitionDate="0000-00-00",
    AcquisitionTime="000000.000",
)
no_window_function = writes(VOILUTFunction="")
no_presentation_shape = writes(PresentationLUTShape=None)
no_intent = writes(PresentationIntentType=None)
no_orientation = writes(PatientOrientation=None)
half_an_orientation = writes(PatientOrientation="A")
two_makers = writes(Manufacturer=["PHANTOM", "PHANTOM IMAGING"])
loose_words = writes(PatientAge="60Y", PatientSex="female", StudyDescription="MAMMO\\SCREENING")
