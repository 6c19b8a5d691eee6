"""Read what an arriving image says of itself, without its pixels."""

import zlib
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalMammographyXRayImageStorageForPresentation,
)

from dicom_node.facts import stands_aside
from dicom_node.spool import data_set_offset
from inference.reading import projection_of, side_of

IDENTIFIERS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
VIEW_ATTRIBUTES = (
    *("ImageLaterality", "Laterality", "AnatomicRegionSequence"),
    *("ViewPosition", "ViewCodeSequence", "ViewModifierCodeSequence"),
    *("ImageType", "QualityControlImage"),
)
HEADER_BYTES = 4 << 20  # of a deflated data set, inflated: far more than a header needs


def read_header(path: Path, syntax: UID) -> Dataset:
    """Read the elements that a newcomer is judged and filed by."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return _inflated_start(path)
    return dcmread(path, stop_before_pixels=True, specific_tags=[*IDENTIFIERS, *VIEW_ATTRIBUTES])


def _inflated_start(path: Path) -> Dataset:
    """Inflate only the start: a small deflated file may hold gigabytes."""
    with path.open("rb") as file:
        file.seek(data_set_offset(path))
        start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(
            file.read(HEADER_BYTES), HEADER_BYTES
        )
    return read_dataset(
        BytesIO(start),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag >= 0x7FE00000,  # noqa: PLR2004 - group 7FE0, pixels
    )


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
