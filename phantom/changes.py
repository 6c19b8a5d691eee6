"""Ways to turn an ordinary view into one that is not: by its header, and a few by its pixels."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEGLSNearLossless, SecondaryCaptureImageStorage

from phantom.dicom import uid_for

Change = Callable[[Dataset], Dataset | None]
"""Change an image in place, or return another one."""

JPEG_2000_PART_2 = UID("1.2.840.10008.1.2.4.92")  # in the standard, in no device, in no decoder
_NEAR = 4  # how far a pixel may be off, where some loss is wanted
_THINNED = 8  # of the pixels, every so many
_EIGHT = 8


def code(value: str, meaning: str) -> Dataset:
    """Make an item of a code sequence, in today's SNOMED."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", meaning
    return item


def again(image: Dataset) -> Dataset:
    """Take a view once more: another image in another series, ten minutes later."""
    later = deepcopy(image)
    later.SOPInstanceUID = uid_for("again", image.SOPInstanceUID)
    later.file_meta.MediaStorageSOPInstanceUID = later.SOPInstanceUID
    later.SeriesInstanceUID = uid_for("again", image.SeriesInstanceUID)
    later.SeriesNumber = int(image.SeriesNumber) + 10
    later.AcquisitionNumber = int(image.AcquisitionNumber) + 10
    for what in ("SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(later, what, f"{int(float(image[what].value)) + 1000:06d}")
    return later


def says(**values: object) -> Change:
    """Let the header say this; None takes an attribute away."""

    def change(image: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                image.pop(keyword, None)
            else:
                setattr(image, keyword, deepcopy(value))

    return change


def both(*changes: Change) -> Change:
    """Change an image in one way and then in the next."""

    def change(image: Dataset) -> Dataset:
        for each in changes:
            image = each(image) or image
        return image

    return change


def modified(value: str, meaning: str) -> Change:
    """Give the view a modifier where the standard wants it (PS3.3, C.8.11.7)."""

    def change(image: Dataset) -> None:
        # Where the view is named by a word alone, its modifier can only stand beside it.
        place = image.ViewCodeSequence[0] if "ViewCodeSequence" in image else image
        place.ViewModifierCodeSequence = [code(value, meaning)]

    return change


def modified_outside(value: str, meaning: str) -> Change:
    """Give the view a modifier where some devices write it: beside the view, not in it."""
    return says(ViewModifierCodeSequence=[code(value, meaning)])


def view(value: str, meaning: str) -> Change:
    """Say another view than the one that was taken."""
    item = code(value, meaning)
    item.ViewModifierCodeSequence = []
    return says(ViewCodeSequence=[item], ViewPosition=None)


def described(words: str) -> Change:
    """Write into the series' description what no other attribute says."""

    def change(image: Dataset) -> None:
        image.SeriesDescription = f"{image.SeriesDescription} {words}"

    return change


def two_views(image: Dataset) -> None:
    """Name two views in one image."""
    image.ViewCodeSequence = [
        code("399368009", "medio-lateral oblique"),
        code("399162004", "cranio-caudal"),
    ]
    for item in image.ViewCodeSequence:
        item.ViewModifierCodeSequence = []


def small(image: Dataset) -> None:
    """Keep every eighth pixel."""
    _store(image, image.pixel_array[::_THINNED, ::_THINNED])
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if keyword in image:
            setattr(image, keyword, [float(each) * _THINNED for each in image[keyword].value])


def blank(image: Dataset) -> None:
    """Expose nothing."""
    _store(image, np.zeros_like(image.pixel_array))


def dark(image: Dataset) -> None:
    """Expose so little that nothing comes near white."""
    _store(image, image.pixel_array // _THINNED)


def cut_short(image: Dataset) -> None:
    """Lose the second half of the pixels on the way."""
    image.PixelData = image.PixelData[: len(image.PixelData) // 4 * 2]


def in_eight_bits(image: Dataset) -> None:
    """Keep the upper eight bits of every pixel."""
    pixels = image.pixel_array >> (int(image.BitsStored) - _EIGHT)
    image.BitsAllocated = image.BitsStored = _EIGHT
    image.HighBit = _EIGHT - 1
    _store(image, pixels)


def in_color(image: Dataset) -> None:
    """Write grey as red, green and blue."""
    in_eight_bits(image)
    pixels = np.repeat(image.pixel_array[:, :, None], 3, axis=2)
    image.SamplesPerPixel, image.PhotometricInterpretation = 3, "RGB"
    image.PlanarConfiguration = 0
    _store(image, pixels)


def captured(image: Dataset) -> None:
    """Make a screen shot of the image."""
    in_eight_bits(image)
    _store(image, image.pixel_array[::_THINNED, ::_THINNED])
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    image.Modality, image.ConversionType = "OT", "WSD"
    image.ImageType = ["DERIVED", "SECONDARY"]


def with_loss(image: Dataset) -> None:
    """Compress with loss, and say nothing of it: the transfer syntax tells."""
    image.compress(JPEGLSNearLossless, jls_error=_NEAR, generate_instance_uid=False)


def in_a_syntax_nobody_decodes(image: Dataset) -> None:
    """Wrap something that claims to be JPEG 2000, part 2."""
    image.file_meta.TransferSyntaxUID = JPEG_2000_PART_2
    image.add_new("PixelData", "OB", encapsulate([b"\0\1" * 512]))
    image["PixelData"].is_undefined_length = True


def _store(image: Dataset, pixels: NDArray[np.integer]) -> None:
    image.Rows, image.Columns = pixels.shape[:2]
    content = pixels.astype("u1" if image.BitsAllocated == _EIGHT else "<u2").tobytes()
    image.add_new("PixelData", "OW", content + b"\0" * (len(content) % 2))
