"""Read what an arriving image says of itself, without its pixels."""

from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation

from dicom_node.facts import stands_aside
from dicom_node.receiving.structure import check
from inference.reading import projection_of, side_of

IDENTIFIERS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
VIEW_ATTRIBUTES = (
    *("ImageLaterality", "Laterality", "AnatomicRegionSequence"),
    *("ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence"),
    *("ImageType", "QualityControlImage"),
)
READ = tuple(int(Tag(one)) for one in ("SpecificCharacterSet", *IDENTIFIERS, *VIEW_ATTRIBUTES))


def read_header(path: Path, syntax: UID) -> Dataset:
    """Read the elements that a newcomer is judged and filed by, of a data set that is whole."""
    content = check(path, syntax, READ)
    return read_dataset(BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian)


def view_of(header: Dataset) -> str:
    """Name the screening view, or return an empty text where it is none of the four.

    A raw image, a tomosynthesis or a spot view is none: with four of them, what is to be read has
    yet to come.
    """
    try:
        if header.get("SOPClassUID") != DigitalMammographyXRayImageStorageForPresentation:
            return ""
        return "" if stands_aside(header) else f"{side_of(header)}{projection_of(header)}"
    except Exception:  # noqa: BLE001 - values from outside; whether they will do is judged later
        return ""
