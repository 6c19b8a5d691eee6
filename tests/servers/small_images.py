"""Mammograms of a few kilobytes, and their data sets in any transfer syntax."""

from copy import deepcopy
from io import BytesIO

from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    generate_uid,
)

EDGE = 16
PIXELS = b"".join(n.to_bytes(2, "little") for n in range(EDGE * EDGE))
CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}


def code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def mammogram(view: str = "LCC", **changes: object) -> Dataset:
    """Describe one view; a change to None takes an attribute away."""
    side, projection = view[0], view[1:]
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    image.SOPInstanceUID = generate_uid()
    image.StudyInstanceUID = generate_uid()
    image.SeriesInstanceUID = generate_uid()
    image.StudyDate, image.StudyTime = "20250901", "101500"
    image.AcquisitionDate, image.AcquisitionTime = "20250901", "101600"
    image.PatientID, image.PatientName = "SMALL-1", "Small^Image"
    image.PatientBirthDate, image.PatientSex, image.PatientAge = "19650412", "F", "060Y"
    image.Manufacturer, image.ManufacturerModelName = "Paper", "Paper one"
    image.Modality, image.PresentationIntentType = "MG", "FOR PRESENTATION"
    image.ImageType = ["DERIVED", "PRIMARY"]
    image.BodyPartExamined = "BREAST"
    image.ImageLaterality = side
    image.ViewCodeSequence = [code(*CODES[projection])]
    image.ImagerPixelSpacing = [0.1, 0.1]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows = image.Columns = EDGE
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.add_new("PixelData", "OW", PIXELS)
    for keyword, value in changes.items():
        if value is None:
            delattr(image, keyword)
        else:
            setattr(image, keyword, value)
    return image


def encoded(image: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Write a data set, without its file meta; a compressed one gets fragments of its pixels."""
    if syntax.is_encapsulated:
        image = deepcopy(image)
        image.add_new("PixelData", "OB", encapsulate([PIXELS[:101], PIXELS[101:]]))
        image["PixelData"].is_undefined_length = True
    stream = DicomBytesIO()
    stream.is_little_endian = syntax.is_little_endian
    stream.is_implicit_VR = syntax.is_implicit_VR
    write_dataset(stream, image)
    return stream.getvalue()


def file_of(image: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """Write an object as a file."""
    image.ensure_file_meta()
    image.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    image.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
