import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.processing import (
    apply_modality_lut,
    apply_presentation_lut,
    apply_voi_lut,
)
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from inference.errors import Unreadable
from inference.mammogram import Projection, Side
from inference.reading import exam, read, side_of, sides


def image(
    pixels: NDArray[np.integer] | None = None, *, bits: int = 12, signed: bool = False
) -> Dataset:
    """Make a data set that a detector might send."""
    if pixels is None:
        pixels = np.random.default_rng(1).integers(0, 1 << bits, (64, 48), dtype=np.uint16)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    dataset.ImageLaterality = "L"
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = (
        "399162004",
        "SCT",
        "cranio-caudal",
    )
    dataset.ViewCodeSequence = [view]
    dataset.ImagerPixelSpacing = [0.07, 0.1]
    dataset.WindowCenter, dataset.WindowWidth = 2000, 1500
    return dataset


def lookup_table(entries: NDArray[np.integer], first: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item


def grey(dataset: Dataset) -> NDArray[np.float32]:
    mammogram = read(dataset)
    return mammogram.grey.of(mammogram.pixels)


def by_pydicom(dataset: Dataset) -> NDArray[np.float64]:
    """Go pydicom's way over every pixel, and bring its output range to 0 to 1."""
    rescaled = apply_modality_lut(dataset.pixel_array, dataset)
    shown = np.asarray(apply_voi_lut(rescaled, dataset), dtype=np.float64)
    slope = float(dataset.get("RescaleSlope", 1))
    intercept = float(dataset.get("RescaleIntercept", 0))
    half = 1 << (dataset.BitsStored - 1)
    ends = (-half, half - 1) if dataset.PixelRepresentation else (0, 2 * half - 1)
    low, high = (end * slope + intercept for end in ends)
    return (shown - low) / (high - low)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("rescale", [None, (1, 0), (2, -100), (0.5, 7)])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_windows_agree_with_pydicom(
    function: str, rescale: tuple[float, float] | None, bits: int
) -> None:
    dataset = image(bits=bits)
    dataset.VOILUTFunction = function
    dataset.WindowCenter, dataset.WindowWidth = 0.4 * 2**bits, 0.3 * 2**bits
    if rescale:
        dataset.RescaleSlope, dataset.RescaleIntercept = rescale
    np.testing.assert_allclose(grey(dataset), by_pydicom(dataset), atol=1e-6)


def test_a_window_of_width_one_is_a_step() -> None:
    dataset = image()
    dataset.WindowWidth = 1
    np.testing.assert_allclose(grey(dataset), by_pydicom(dataset), atol=1e-6)


def test_signed_pixels_agree_with_pydicom() -> None:
    pixels = np.random.default_rng(2).integers(-2048, 2048, (64, 48), dtype=np.int16)
    dataset = image(pixels, signed=True)
    dataset.WindowCenter = 100
    np.testing.assert_allclose(grey(dataset), by_pydicom(dataset), atol=1e-6)


def test_unused_high_bits_do_not_count() -> None:
    pixels = np.random.default_rng(3).integers(0, 4096, (64, 48), dtype=np.uint16)
    dataset, clean = image(pixels | 0xF000), image(pixels)
    np.testing.assert_array_equal(grey(dataset), grey(clean))


@pytest.mark.parametrize(("first", "depth"), [(0, 12), (500, 12), (0, 16), (100, 10)])
def test_a_voi_lut_agrees_with_pydicom_and_goes_before_the_window(first: int, depth: int) -> None:
    dataset = image()
    entries = np.sort(np.random.default_rng(4).integers(0, 1 << depth, 3000))
    dataset.VOILUTSequence = [lookup_table(entries, first, depth)]
    expected = apply_voi_lut(dataset.pixel_array, dataset, prefer_lut=True) / (2**depth - 1)
    np.testing.assert_allclose(grey(dataset), expected, atol=1e-6)


def test_a_voi_lut_in_bytes_is_read_too() -> None:
    dataset, other = image(), image()
    entries = np.arange(4096, dtype="<u2")[::-1]
    dataset.VOILUTSequence = [lookup_table(entries, 0, 12)]
    other.VOILUTSequence = [lookup_table(entries, 0, 12)]
    other.VOILUTSequence[0].add_new("LUTData", "OW", entries.tobytes())
    np.testing.assert_array_equal(grey(dataset), grey(other))


def test_a_voi_lut_follows_a_rescale() -> None:
    dataset = image()
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1000
    dataset.VOILUTSequence = [lookup_table(np.arange(4096), 0, 12)]
    expected = np.clip(dataset.pixel_array.astype(int) - 1000, 0, None) / 4095
    np.testing.assert_allclose(grey(dataset), expected, atol=1e-6)


def test_a_modality_lut_agrees_with_pydicom() -> None:
    dataset = image()
    table = lookup_table(np.arange(4096)[::-1], 0, 16)
    table.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = [table]
    expected = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset) / 65535
    np.testing.assert_allclose(grey(dataset), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME2", None, False),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True),
    ],
)
def test_an_inversion_said_twice_is_done_once(
    photometric: str,
    shape: str | None,
    inverted: bool,  # noqa: FBT001 - one of the cases
) -> None:
    dataset, plain = image(), image()
    dataset.PhotometricInterpretation = photometric
    if shape:
        dataset.PresentationLUTShape = shape
    expected = 1 - grey(plain) if inverted else grey(plain)
    np.testing.assert_allclose(grey(dataset), expected, atol=1e-6)


def test_the_presentation_shape_agrees_with_pydicom() -> None:
    dataset = image()
    dataset.PresentationLUTShape = "INVERSE"
    full = by_pydicom(dataset)
    np.testing.assert_allclose(grey(dataset), apply_presentation_lut(full, dataset), atol=1e-6)


@pytest.mark.parametrize("function", ["", None])
def test_no_voi_function_means_linear(function: str | None) -> None:
    dataset, linear = image(), image()
    dataset.VOILUTFunction = function
    linear.VOILUTFunction = "LINEAR"
    np.testing.assert_array_equal(grey(dataset), grey(linear))


def test_the_first_of_several_windows_counts() -> None:
    dataset, first = image(), image()
    dataset.WindowCenter, dataset.WindowWidth = [2000, 1000], [1500, 10]
    assert not read(dataset).grey.assumed
    np.testing.assert_array_equal(grey(dataset), grey(first))


def breast(dark: int, bright: int) -> NDArray[np.uint16]:
    pixels = np.full((200, 160), dark, np.uint16)
    ramp = np.linspace(dark + 0.3 * (bright - dark), bright, 80 * 120).reshape(120, 80)
    pixels[40:160, :80] = ramp.astype(np.uint16)
    return pixels


@pytest.mark.parametrize("width", [None, "", 0, -5])
def test_without_a_usable_window_one_is_made_of_the_breast(width: float | str | None) -> None:
    dataset = image(breast(100, 3000))
    if width is None:
        del dataset.WindowWidth
    else:
        dataset.add_new("WindowWidth", "FD" if isinstance(width, float) else "DS", width)
    mammogram = read(dataset)
    shown = mammogram.grey.of(mammogram.pixels)
    assert mammogram.grey.assumed
    assert shown[:40].max() == 0
    assert shown[40:160, :80].min() == 0
    assert shown.max() == 1
    assert 0.4 < shown[40:160, :80].mean() < 0.6


def test_an_assumed_window_knows_that_white_is_air_in_monochrome1() -> None:
    plain, inverse = image(breast(100, 3000)), image(4095 - breast(100, 3000))
    for dataset in (plain, inverse):
        del dataset.WindowCenter
    inverse.PhotometricInterpretation = "MONOCHROME1"
    np.testing.assert_allclose(grey(inverse), grey(plain), atol=1e-6)


@pytest.mark.parametrize(
    ("code", "projection"),
    [
        ("399162004", Projection.CC),
        ("R-10242", Projection.CC),
        ("399368009", Projection.MLO),
        ("R-10226", Projection.MLO),
    ],
)
def test_views_are_told_in_both_code_systems(code: str, projection: Projection) -> None:
    dataset = image()
    dataset.ViewCodeSequence[0].CodeValue = code
    assert read(dataset).projection is projection


def test_old_attributes_stand_in_for_absent_ones() -> None:
    dataset = image()
    del dataset.ViewCodeSequence, dataset.ImageLaterality, dataset.ImagerPixelSpacing
    dataset.ViewPosition, dataset.Laterality, dataset.PixelSpacing = "MLO", "R", [0.1, 0.1]
    mammogram = read(dataset)
    assert (mammogram.side, mammogram.projection) == (Side.RIGHT, Projection.MLO)
    assert mammogram.spacing_mm == (0.1, 0.1)
    assert mammogram.name == "RMLO"


def test_spacing_is_row_then_column() -> None:
    assert read(image()).spacing_mm == (0.07, 0.1)


@pytest.mark.parametrize(
    ("keyword", "value", "sentence"),
    [
        ("PhotometricInterpretation", "RGB", "neither MONOCHROME1 nor MONOCHROME2"),
        ("ImageLaterality", "B", "says L or R"),
        ("ImagerPixelSpacing", [0, 0], "size of a pixel"),
        ("ImagerPixelSpacing", None, "size of a pixel"),
        ("VOILUTFunction", "CUBIC", "VOILUTFunction is none of LINEAR"),
        ("NumberOfFrames", 3, "several frames"),
        ("BitsStored", 4, "8 to 16"),
        ("PixelData", b"\0\0", r"decoded \(PixelData has 2 bytes where \d+ are asked for"),
    ],
)
def test_what_cannot_be_read_is_said(keyword: str, value: object, sentence: str) -> None:
    dataset = image()
    setattr(dataset, keyword, value)
    with pytest.raises(Unreadable, match=sentence):
        read(dataset)


def test_a_spacing_of_words_is_none() -> None:
    dataset = image()
    dataset.add_new("ImagerPixelSpacing", "LO", ["wide", "high"])
    with pytest.raises(Unreadable, match="size of a pixel"):
        read(dataset)


def test_an_item_of_a_sequence_that_says_nothing_is_none() -> None:
    dataset = image()
    dataset.ViewCodeSequence, dataset.ViewPosition = [Dataset()], "CC"
    assert read(dataset).projection == Projection.CC


def test_the_side_is_found_where_the_header_has_it() -> None:
    dataset = image()
    del dataset.ImageLaterality
    region, part, side = Dataset(), Dataset(), Dataset()
    part.CodeValue, side.CodeValue = "245269009", "24028007"
    region.AnatomicRegionModifierSequence = [part, side]
    dataset.AnatomicRegionSequence = [region]
    assert sides(dataset) == {"AnatomicRegionModifierSequence": "R"}
    assert side_of(dataset) == Side.RIGHT
    dataset.Laterality = "L"
    assert side_of(dataset) == Side.LEFT  # the older attribute goes before the region


def test_an_image_without_a_picture_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="every pixel is 7"):
        read(image(np.full((64, 48), 7, np.uint16)))


def test_a_spot_view_code_is_no_screening_view() -> None:
    dataset = image()
    dataset.ViewCodeSequence[0].CodeValue = "399260004"
    with pytest.raises(Unreadable, match="neither CC nor MLO"):
        read(dataset)


def test_an_exam_keeps_the_order_of_its_views() -> None:
    one, other = image(), image()
    read_exam = exam("1.2.3", [one, other])
    assert read_exam.study_instance_uid == "1.2.3"
    assert [view.sop_instance_uid for view in read_exam.views] == [
        one.SOPInstanceUID,
        other.SOPInstanceUID,
    ]
