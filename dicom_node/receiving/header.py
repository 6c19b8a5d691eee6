"""Read what an arriving image says of itself, without its pixels."""

from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation

from dicom_node.facts import stands_aside
from inference.reading import projection_of, side_of

IDENTIFIERS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
VIEW_ATTRIBUTES = (
    *("ImageLaterality", "Laterality", "AnatomicRegionSequence"),
    *("ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence"),
    *("ImageType", "QualityControlImage"),
)


def read_header(path: Path) -> Dataset:
    """Read the elements that a newcomer is judged and filed by."""
    return dcmread(path, stop_before_pixels=True, specific_tags=[*IDENTIFIERS, *VIEW_ATTRIBUTES])


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
