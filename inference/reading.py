"""From a DICOM image to a mammogram: what its header says, and what its pixels are."""

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from inference.decoding.files import Opened
from inference.decoding.pixels import Layout, held_by, pixels_of
from inference.errors import Unreadable
from inference.mammogram import PROJECTIONS, Exam, GreyScale, Mammogram, Projection, Side

_ASSUMED_PERCENTILES = (1.0, 99.7)  # of the breast's pixels
_BITS_STORED = range(8, 17)
_BITS_ALLOCATED = (8, 16, 32)
_SMALLEST = 16  # rows or columns of a picture
# CID 244, in SNOMED's codes of today and of before 2019.
_SIDES = {
    "7771000": "L",
    "G-A101": "L",
    "24028007": "R",
    "G-A100": "R",
    "51440002": "B",
    "G-A102": "B",
}
_PIXEL_MM = (0.005, 5.0)  # beyond these nobody has measured a mammogram's pixel
_LEAST_CONTRAST = 1 / 256  # of what a screen can show
_AIR = 0.04  # of the range between air and the densest tissue

Curve = NDArray[np.float64]


def read(image: Dataset | Opened) -> Mammogram:
    """Read one view; `Unreadable` says what is missing or broken.

    It never quotes a value that could be a name. Of a library's fault it tells the kind alone: its
    words may quote one, too.
    """
    dataset = image.header if isinstance(image, Opened) else image
    if (_number(dataset, "NumberOfFrames") or 1) != 1:
        raise Unreadable("the image has several frames: send single-frame mammograms")
    if str(dataset.get("PhotometricInterpretation") or "") not in {"MONOCHROME1", "MONOCHROME2"}:
        raise Unreadable("PhotometricInterpretation is neither MONOCHROME1 nor MONOCHROME2")
    side, projection = side_of(dataset), projection_of(dataset)
    spacing_mm = spacing_of(dataset)
    pixels = stored_pixels(image)
    grey = grey_scale(dataset, pixels)
    shown = grey.table[int(pixels.min()) - grey.first : int(pixels.max()) - grey.first + 1]
    if shown.max() - shown.min() < _LEAST_CONTRAST:
        raise Unreadable("its header shows every pixel in one grey: there is no picture")
    return Mammogram(
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        side=side,
        projection=projection,
        pixels=pixels,
        grey=grey,
        spacing_mm=spacing_mm,
    )


def exam(study_instance_uid: str, datasets: Iterable[Dataset]) -> Exam:
    """Read the views of one study."""
    return Exam(study_instance_uid, tuple(read(dataset) for dataset in datasets))


@np.errstate(over="ignore", invalid="ignore")  # looked for below
def grey_scale(dataset: Dataset, pixels: NDArray[np.integer]) -> GreyScale:
    """Tabulate what the header says about grey, for every stored value that can occur."""
    first, last = _stored_range(dataset)
    try:
        values = np.asarray(apply_modality_lut(np.arange(first, last + 1), dataset))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise Unreadable(
            f"the modality transformation cannot be applied ({type(fault).__name__})"
        ) from fault
    if not np.isfinite(values).all():
        raise Unreadable("the modality transformation gives grey values that are no numbers")
    grey = _voi_lut(dataset, values)
    window = None if grey is not None else _window(dataset)
    if window is not None:
        grey = window(values.astype(np.float64))
    # MONOCHROME1 comes with PresentationLUTShape INVERSE (PS3.3 C.8.11.3): one inversion, said
    # twice. Some devices say it only once.
    inverse = (
        dataset.PhotometricInterpretation == "MONOCHROME1"
        or str(dataset.get("PresentationLUTShape") or "").strip().upper() == "INVERSE"
    )
    assumed = grey is None
    if grey is None:
        sign = -1.0 if inverse else 1.0
        stored = pixels[::8, ::8].astype(np.int64).ravel()
        bright = sign * values.astype(np.float64)
        low, high = _breast_range(bright[stored - first])
        grey = np.clip((bright - low) / (high - low), 0.0, 1.0)
    elif inverse:
        grey = 1.0 - grey
    if not np.isfinite(grey).all():
        raise Unreadable("the window gives grey values that are no numbers")
    return GreyScale(first, grey.astype(np.float32), assumed)


def _stored_range(dataset: Dataset) -> tuple[int, int]:
    bits = dataset.get("BitsStored")
    if bits not in _BITS_STORED:
        raise Unreadable("BitsStored is not 8 to 16, as a mammogram's is")
    if dataset.get("PixelRepresentation") == 1:
        return -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1


def stored_pixels(image: Dataset | Opened) -> NDArray[np.integer]:
    """Decode the pixels, and make sure that the grey scale's table covers them."""
    dataset = image.header if isinstance(image, Opened) else image
    first, last = _stored_range(dataset)
    layout = _layout(dataset)
    if isinstance(image, Opened):
        pixels = image.pixels(layout)
    elif "PixelData" in dataset:
        element = dataset["PixelData"]
        pixels = pixels_of(held_by(element.value or b"", element.VR, layout), layout)
    else:
        raise Unreadable("the image has no PixelData")
    low, high = int(pixels.min()), int(pixels.max())
    if low < first or high > last:
        raise Unreadable(
            f"the pixels run from {low} to {high}, "
            f"but BitsStored {dataset.BitsStored} allows {first} to {last}"
        )
    if low == high:
        raise Unreadable(f"every pixel is {low}: there is no picture")
    return np.ascontiguousarray(pixels)


def _layout(dataset: Dataset) -> Layout:
    """Read how the pixels lie; a mammogram has one sample a pixel and a few sides of bits."""
    rows, columns, allocated = (dataset.get(word) for word in ("Rows", "Columns", "BitsAllocated"))
    if not (isinstance(rows, int) and isinstance(columns, int) and min(rows, columns) >= _SMALLEST):
        raise Unreadable(f"Rows and Columns are not both {_SMALLEST} or more")
    if allocated not in _BITS_ALLOCATED or allocated < dataset.BitsStored:
        raise Unreadable("BitsAllocated is not 8, 16 or 32, or is less than BitsStored")
    if (dataset.get("SamplesPerPixel") or 1) != 1:
        raise Unreadable("SamplesPerPixel is not 1, as a mammogram's is")
    meta = getattr(dataset, "file_meta", Dataset())
    return Layout(
        syntax=str(meta.get("TransferSyntaxUID") or ""),
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=dataset.BitsStored,
        signed=dataset.get("PixelRepresentation") == 1,
    )


def _voi_lut(dataset: Dataset, values: NDArray[np.generic]) -> Curve | None:
    """Apply the first VOI LUT, which goes before any window; None where there is none."""
    if not dataset.get("VOILUTSequence"):
        return None
    item = dataset.VOILUTSequence[0]
    if item.get("LUTDescriptor") is None or item.get("LUTData") is None:
        return None
    try:
        entries = np.asarray(apply_voi(np.rint(values).astype(np.int64), dataset))
        top = float((1 << int(item.LUTDescriptor[2])) - 1)
    except Exception as fault:
        raise Unreadable(
            f"the VOI LUT Sequence cannot be applied ({type(fault).__name__})"
        ) from fault
    return np.clip(entries.astype(np.float64) / top, 0.0, 1.0)


def _window(dataset: Dataset) -> Callable[[Curve], Curve] | None:
    """Return the first window as a function onto 0 to 1; None where there is no usable one."""
    center, width = _number(dataset, "WindowCenter"), _number(dataset, "WindowWidth")
    if not all(math.isfinite(number) for number in (center, width) if number is not None):
        raise Unreadable("WindowCenter or WindowWidth is NaN or infinite")
    if center is None or width is None or width <= 0:
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function == "SIGMOID":  # PS3.3 C.11.2.1.3.1
        return lambda x: 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - center) / width, -700.0, 700.0)))
    if function == "LINEAR_EXACT":  # PS3.3 C.11.2.1.3.2
        return lambda x: _ramp(x, center, width)
    if function == "LINEAR":  # PS3.3 C.11.2.1.2.1
        return None if width < 1 else (lambda x: _ramp(x, center - 0.5, width - 1.0))
    raise Unreadable("VOILUTFunction is none of LINEAR, LINEAR_EXACT and SIGMOID")


def _ramp(x: Curve, center: float, width: float) -> Curve:
    if width == 0:
        return (x > center).astype(np.float64)
    return np.clip((x - center) / width + 0.5, 0.0, 1.0)


def _number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value of an attribute if it is a number, and be it NaN."""
    value = dataset.get(keyword)
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = (value,)
    try:
        return float(next(iter(value)))
    except (StopIteration, TypeError, ValueError):
        return None


def _breast_range(bright: Curve) -> tuple[float, float]:
    """Make a window from the breast's pixels, air left aside."""
    air, dense = np.percentile(bright, (0.5, 99.7))
    breast = bright[bright > air + _AIR * (dense - air)]
    if not breast.size:
        breast = bright
    low, high = np.percentile(breast, _ASSUMED_PERCENTILES)
    if high <= low:
        low, high = float(bright.min()), float(bright.max())
    return float(low), float(max(high, low + 1))


def sides(dataset: Dataset) -> dict[str, str]:
    """Return which breast an image shows, by each place where devices say so."""
    frames = _first(_first(dataset, "SharedFunctionalGroupsSequence"), "FrameAnatomySequence")
    region = _first(dataset, "AnatomicRegionSequence")
    modifiers = [
        _SIDES.get(str(code.get("CodeValue") or "").strip())
        for code in region.get("AnatomicRegionModifierSequence") or ()
    ]
    found = {
        "ImageLaterality": dataset.get("ImageLaterality"),
        "Laterality": dataset.get("Laterality"),
        "FrameLaterality": frames.get("FrameLaterality"),
        "AnatomicRegionModifierSequence": next(filter(None, modifiers), None),
    }
    return {place: str(said).strip().upper() for place, said in found.items() if _is_said(said)}


def _first(dataset: Dataset, keyword: str) -> Dataset:
    items = dataset.get(keyword) or ()
    return items[0] if items else Dataset()


def _is_said(value: object) -> bool:
    return value is not None and bool(str(value).strip())


def side_of(dataset: Dataset) -> Side:
    """Return which breast an image shows, by the first place that says L or R."""
    for said in sides(dataset).values():
        if said in {"L", "R"}:
            return Side(said)
    raise Unreadable("neither ImageLaterality nor Laterality says L or R")


def projection_of(dataset: Dataset) -> Projection:
    """Return which screening view an image is, by its code or else by the older text."""
    views = dataset.get("ViewCodeSequence") or ()
    codes = [str(view.get("CodeValue") or "").strip() for view in views]
    if any(codes):  # an item that says nothing is none
        if len(codes) == 1 and codes[0] in PROJECTIONS:
            return PROJECTIONS[codes[0]]
        raise Unreadable("ViewCodeSequence says neither CC nor MLO")
    position = str(dataset.get("ViewPosition") or "").strip().upper()
    if position in {"CC", "MLO"}:
        return Projection(position)
    raise Unreadable("there is no ViewCodeSequence, and ViewPosition is neither CC nor MLO")


def spacing_of(dataset: Dataset) -> tuple[float, float]:
    """Return how far apart the middles of pixels are, down and across, in millimeters."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        value = dataset.get(keyword)
        if value is not None and not isinstance(value, str) and len(value) == 2:  # noqa: PLR2004
            try:
                row, column = (float(part) for part in value)
            except (TypeError, ValueError):
                continue
            if all(_PIXEL_MM[0] <= side <= _PIXEL_MM[1] for side in (row, column)):
                return row, column
    raise Unreadable("neither ImagerPixelSpacing nor PixelSpacing gives the size of a pixel")
