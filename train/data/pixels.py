"""The mammogram of a sample: whatever format a data set's images have, opened in one way.

A DICOM image takes the way that it takes in the node. Where its data set knows better which breast
it is, or how large a pixel, the header is told so first. A picture is given the little that a
header would say of it.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from inference.decoding.files import Opened, open_file
from inference.errors import Unreadable
from inference.mammogram import Mammogram
from inference.reading import grey_scale, projection_of, read, spacing_of, stored_pixels
from train.data.sample import Sample
from train.errors import Refused

_PREAMBLE, _DICM = 128, b"DICM"  # PS3.10, 7.1
_BYTE = 8
_GREYS = {"L", "I;16", "I;16B", "I;16L", "I"}
_BITONAL = "1"
_ALIKE = 12  # grey levels by which JPEG may tint a grey picture that was kept as a colored one
_WHITE_IS_ZERO = 0  # of TIFF's PhotometricInterpretation
_MOST = 65535


def mammogram(sample: Sample) -> Mammogram:
    """Open a sample's image, with what its data set says where the file does not."""
    return _of_dicom(sample) if is_dicom(sample.image) else _of_picture(sample)


def is_dicom(path: Path) -> bool:
    """Tell by what a file begins with; data sets name theirs .dcm, .dicom, or not at all."""
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + len(_DICM))[_PREAMBLE:] == _DICM
    except OSError as fault:
        raise Refused(f"{path} cannot be opened: {fault.strerror}") from fault


def stored(path: Path) -> NDArray[np.integer]:
    """Return the pixels of an image as they are stored, as those of a mask."""
    if not is_dicom(path):
        return _picture(path)[0]
    try:
        return stored_pixels(open_dicom(path))
    except Unreadable as fault:
        raise Refused(f"{path} cannot be read: {fault}") from fault


def size_px(path: Path) -> tuple[int, int]:
    """Return rows and columns of an image, by its header."""
    if is_dicom(path):
        header = open_dicom(path).header
        return int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as fault:
        raise Refused(f"{path} is neither DICOM nor a picture that Pillow knows") from fault


def open_dicom(path: Path) -> Opened:
    """Open a DICOM file of a data set."""
    try:
        return open_file(path)
    except (InvalidDicomError, Unreadable) as fault:
        raise Refused(f"{path} cannot be read: {fault}") from fault


def _of_dicom(sample: Sample) -> Mammogram:
    opened = open_dicom(sample.image)
    header = opened.header
    header.ImageLaterality = str(sample.side)
    if sample.projection is not None:
        header.pop("ViewCodeSequence", None)
        header.ViewPosition = str(sample.projection)
    if sample.inverted:
        header.PhotometricInterpretation = "MONOCHROME1"
    try:
        projection_of(header)
    except Unreadable as fault:
        raise Refused(_no_view(sample)) from fault
    try:
        spacing_of(header)
    except Unreadable:
        header.ImagerPixelSpacing = list(_spacing_mm(sample))
    try:
        return read(opened)
    except Unreadable as fault:
        raise Refused(f"{sample.image} cannot be read: {fault}") from fault


def _of_picture(sample: Sample) -> Mammogram:
    if sample.projection is None:
        raise Refused(_no_view(sample))
    pixels, bits, white_is_zero = _picture(sample.image)
    if pixels.min() == pixels.max():
        raise Refused(f"{sample.image} is {pixels.min()} everywhere: there is no picture")
    header = Dataset()
    header.BitsStored, header.PixelRepresentation = bits, 0
    inverted = sample.inverted != white_is_zero
    header.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    if bits == _BYTE:  # somebody has chosen these greys for people to see
        header.WindowCenter, header.WindowWidth = 128, 256
    return Mammogram(
        sop_instance_uid=sample.image.name,
        side=sample.side,
        projection=sample.projection,
        pixels=pixels,
        grey=grey_scale(header, pixels),
        spacing_mm=_spacing_mm(sample),
    )


def _picture(path: Path) -> tuple[NDArray[np.integer], int, bool]:
    """Open a picture that is no DICOM: its pixels, their bits, and whether zero is white."""
    try:
        with Image.open(path) as image:
            image.load()
            # Pillow turns the greys of such a TIFF over where it has 8 bits, and only there.
            turned = (
                isinstance(image, TiffImagePlugin.TiffImageFile)
                and image.mode.startswith("I")
                and image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO
            )
            return (*_greys(path, image), turned)
    except UnidentifiedImageError as fault:
        raise Refused(f"{path} is neither DICOM nor a picture that Pillow knows") from fault
    except OSError as fault:
        raise Refused(f"{path} cannot be read: {fault}") from fault


def _greys(path: Path, image: Image.Image) -> tuple[NDArray[np.integer], int]:
    if image.mode == _BITONAL:
        return np.asarray(image).astype(np.uint8) * 255, _BYTE
    if image.mode not in _GREYS:
        if image.mode in {"F", "CMYK", "YCbCr", "LAB", "HSV"}:
            raise Refused(f"{path} has pixels of a kind ({image.mode}) that no mammogram has")
        colors = np.asarray(image.convert("RGB"))
        if (np.ptp(colors, axis=2) > _ALIKE).any():
            raise Refused(f"{path} is a colored picture; a mammogram is grey")
        return np.asarray(image.convert("RGB").convert("L")), _BYTE
    pixels = np.asarray(image)
    if image.mode == "L":
        return pixels, _BYTE
    if pixels.min() < 0 or pixels.max() > _MOST:
        raise Refused(f"{path} has values beyond 16 bits")
    return pixels.astype(np.uint16), 16


def _spacing_mm(sample: Sample) -> tuple[float, float]:
    if sample.spacing_mm is None:
        raise Refused(
            f"neither {sample.image} nor {sample.data_set} says how large a pixel is: "
            "say it in the recipe, as well as anybody knows"
        )
    return sample.spacing_mm


def _no_view(sample: Sample) -> str:
    return f"{sample.image} is neither a CC nor an MLO view, as far as {sample.data_set} says"
