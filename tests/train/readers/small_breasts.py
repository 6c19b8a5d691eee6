"""Mammograms in miniature, in the files that data sets come in: with what theirs hold, and no more.

All show one breast: bright on dark, at the chest wall's edge, with one bright mass.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from inference.findings import Box
from inference.mammogram import Mammogram
from phantom.dicom import uid_for

ROWS, COLUMNS, BITS = 100, 80, 12
MASS = Box(20, 40, 32, 52)  # in an image of a left breast
_AIR, _LIGHT_AIR, _DENSE = 40, 100, 3900

Pixels = NDArray[np.uint16]


def breast(side: str = "L", rows: int = ROWS, columns: int = COLUMNS) -> Pixels:
    """Paint a half disc of tissue; a right breast is a left one from the other side."""
    down, across = np.mgrid[0:rows, 0:columns]
    inside = np.hypot((down - rows / 2) / (0.44 * rows), across / (0.7 * columns)) < 1
    noise = np.random.default_rng(rows * columns).integers(0, 300, (rows, columns))
    tissue = 800 + 1800 * (1 - across / columns)  # denser towards the chest wall
    pixels = np.where(inside, tissue + noise, _AIR + noise // 20)
    pixels[_place()] = _DENSE
    return (pixels if side == "L" else pixels[:, ::-1]).astype(np.uint16)


def mass(side: str = "L", columns: int = COLUMNS) -> Box:
    """Return where the mass lies."""
    if side == "L":
        return MASS
    return Box(columns - MASS.right, MASS.top, columns - MASS.left, MASS.bottom)


def write_vindr_image(path: Path, side: str, *, inverse: bool, window: bool = True) -> None:
    """Write a file as VinDr-Mammo has it: named .dicom, and in some high values are dark."""
    image = _image(path, breast(side), inverse=inverse)
    image.ImagerPixelSpacing = [0.7, 0.7]
    if window:
        top = (1 << BITS) - 1
        image.WindowCenter, image.WindowWidth = (top - 2000 if inverse else 2000), 4000
    _save(image, path, ExplicitVRLittleEndian)


def write_rsna_image(path: Path, side: str, *, inverse: bool = False) -> None:
    """Write a file as RSNA's challenge has it: JPEG 2000, without spacing, breast and view."""
    image = _image(path, breast(side), inverse=inverse)
    del image.ImageLaterality, image.ViewPosition
    _save(image, path, JPEG2000Lossless)


def write_screening_image(path: Path, side: str) -> None:
    """Write a file as screening programs hand them out: a window, a spacing, no view codes."""
    image = _image(path, breast(side), inverse=False)
    image.ImagerPixelSpacing = [0.7, 0.7]
    _save(image, path, ExplicitVRLittleEndian)


def write_png(path: Path, side: str) -> None:
    """Write the breast as a picture of 16 bits, of which nobody says how large a pixel is."""
    Image.fromarray(breast(side) * 16).save(path)


def write_mask(path: Path, side: str) -> None:
    """Write a mask of the mass as a picture."""
    full = np.zeros((ROWS, COLUMNS), np.uint8)
    full[_place()] = 255
    Image.fromarray(full if side == "L" else full[:, ::-1].copy()).save(path)


def require_bright_on_dark(view: Mammogram, side: str) -> None:
    """Assert that the air comes out dark, the tissue brighter, and the mass brightest."""
    pixels = breast(side, *view.pixels.shape)
    grey = view.grey.of(view.pixels)
    dark, dense = pixels < _LIGHT_AIR, pixels == _DENSE
    air, tissue, bright = (float(grey[part].mean()) for part in (dark, ~dark & ~dense, dense))
    assert air < 0.05
    assert 0.2 < tissue < 0.7
    assert bright > 0.9


def _place() -> tuple[slice, slice]:
    left, top, right, bottom = (
        int(edge) for edge in (MASS.left, MASS.top, MASS.right, MASS.bottom)
    )
    return slice(top, bottom), slice(left, right)


def _image(path: Path, pixels: Pixels, *, inverse: bool) -> Dataset:
    image = Dataset()
    image.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    image.SOPInstanceUID = uid_for("small image", path.name)
    image.Modality, image.PatientName, image.PatientID = "MG", "", "removed"
    image.PresentationIntentType = "FOR PRESENTATION"
    # A data set that was made nameless may say less than its table does, or another thing.
    image.ImageLaterality, image.ViewPosition = "L", "CC"
    image.SamplesPerPixel, image.PixelRepresentation = 1, 0
    image.PhotometricInterpretation = "MONOCHROME1" if inverse else "MONOCHROME2"
    image.Rows, image.Columns = pixels.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, BITS, BITS - 1
    stored = (1 << BITS) - 1 - pixels if inverse else pixels
    image.add_new("PixelData", "OW", stored.astype("<u2").tobytes())
    return image


def _save(image: Dataset, path: Path, syntax: UID) -> None:
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax != ExplicitVRLittleEndian:
        image.compress(syntax, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
