"""Every format that data sets come in becomes the same mammogram."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset

from inference.mammogram import Projection, Side
from phantom.dicom import datasets
from phantom.study import study
from train.data.pixels import mammogram
from train.data.sample import Sample
from train.errors import Refused

GREYS = np.add.outer(np.arange(40) * 2, np.arange(30) * 4).astype(np.uint16)  # 0 to 194


def sample(path: Path) -> Sample:
    return Sample(
        data_set="own",
        patient="p1",
        image=path,
        side=Side.LEFT,
        projection=Projection.CC,
        cancer=None,
        spacing_mm=(0.2, 0.1),
    )


def picture(path: Path, pixels: NDArray[np.generic]) -> Sample:
    Image.fromarray(pixels).save(path)
    return sample(path)


@pytest.fixture(scope="module")
def header() -> Dataset:
    """Return one view of a phantom, as DICOM."""
    return datasets(study(7, pitch_mm=1.0))[0]


def kept(header: Dataset, path: Path) -> Sample:
    header.save_as(path, enforce_file_format=True)
    return sample(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.pgm", "without_any_suffix"])
def test_a_picture_of_8_bits_is_as_grey_as_it_was_kept(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    Image.fromarray(GREYS.astype(np.uint8)).save(path, format="PNG" if "." not in name else None)
    seen = mammogram(sample(path))
    np.testing.assert_allclose(seen.grey.of(seen.pixels), GREYS / 255, atol=1e-6)
    assert (seen.side, seen.projection, seen.spacing_mm) == (Side.LEFT, Projection.CC, (0.2, 0.1))


def test_a_picture_of_16_bits_is_windowed_as_the_node_windows_an_image_without_a_window(
    tmp_path: Path, header: Dataset
) -> None:
    pixels = header.pixel_array.astype(np.uint16)
    plain = Dataset()
    plain.update(header)
    plain.file_meta = header.file_meta
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTSequence", "VOILUTFunction"):
        plain.pop(keyword, None)
    as_dicom = mammogram(kept(plain, tmp_path / "a.dcm"))
    for name in ("a.png", "a.tif"):
        seen = mammogram(picture(tmp_path / name, pixels))
        assert seen.grey.assumed
        np.testing.assert_array_equal(seen.pixels, as_dicom.pixels)
        np.testing.assert_allclose(
            seen.grey.of(seen.pixels), as_dicom.grey.of(as_dicom.pixels), atol=1e-6
        )


def test_a_pgm_of_12_bits_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pgm"
    path.write_bytes(b"P5\n30 40\n4095\n" + (GREYS * 20).astype(">u2").tobytes())
    seen = mammogram(sample(path))
    grey = seen.grey.of(seen.pixels)
    assert seen.pixels.shape == (40, 30)
    assert grey[39, 29] == 1
    assert grey[0, 0] == 0


@pytest.mark.parametrize("deep", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_turned_over_once(
    tmp_path: Path, deep: type[np.integer]
) -> None:
    pixels = GREYS.astype(deep)
    plain = mammogram(picture(tmp_path / "a.tif", pixels))
    # Of 8 bits Pillow turns the greys over both in writing and in reading.
    kept_as = pixels if deep is np.uint8 else pixels.max() - pixels
    Image.fromarray(kept_as).save(tmp_path / "b.tif", tiffinfo={262: 0})
    other = mammogram(sample(tmp_path / "b.tif"))
    np.testing.assert_allclose(other.grey.of(other.pixels), plain.grey.of(plain.pixels), atol=1e-6)


def test_what_a_data_set_calls_inverted_is_turned_over(tmp_path: Path, header: Dataset) -> None:
    plain = picture(tmp_path / "a.png", GREYS.astype(np.uint8))
    seen = mammogram(replace(plain, inverted=True))
    np.testing.assert_allclose(seen.grey.of(seen.pixels), 1 - GREYS / 255, atol=1e-6)
    of_dicom = kept(header, tmp_path / "a.dcm")
    one, other = mammogram(of_dicom), mammogram(replace(of_dicom, inverted=True))
    np.testing.assert_allclose(other.grey.of(other.pixels), 1 - one.grey.of(one.pixels), atol=1e-6)


def test_a_grey_picture_kept_in_colors_is_grey_and_a_colored_one_is_refused(tmp_path: Path) -> None:
    colors = np.repeat(GREYS.astype(np.uint8)[..., None], 3, axis=2)
    seen = mammogram(picture(tmp_path / "a.jpg", colors))
    assert np.abs(seen.grey.of(seen.pixels) - GREYS / 255).max() < 0.05
    colors[:20, :, 0] = 255
    with pytest.raises(Refused, match="colored"):
        mammogram(picture(tmp_path / "b.png", colors))


def test_a_data_set_tells_a_dicom_image_its_side_view_and_spacing(
    tmp_path: Path, header: Dataset
) -> None:
    bare = Dataset()
    bare.update(header)
    bare.file_meta = header.file_meta
    for keyword in (
        *("ImageLaterality", "Laterality", "ViewPosition", "ViewCodeSequence"),
        *("ImagerPixelSpacing", "PixelSpacing", "AnatomicRegionSequence"),
    ):
        bare.pop(keyword, None)
    seen = mammogram(kept(bare, tmp_path / "1-1.dcm"))
    assert (seen.name, seen.spacing_mm) == ("LCC", (0.2, 0.1))
    assert seen.sop_instance_uid == header.SOPInstanceUID


def test_the_spacing_of_a_file_goes_before_that_of_its_data_set(
    tmp_path: Path, header: Dataset
) -> None:
    assert mammogram(kept(header, tmp_path / "a.dcm")).spacing_mm == (1.0, 1.0)


def test_a_pixel_that_nobody_measured_is_refused(tmp_path: Path, header: Dataset) -> None:
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        header.pop(keyword, None)
    for one in (
        picture(tmp_path / "a.png", GREYS.astype(np.uint8)),
        kept(header, tmp_path / "a.dcm"),
    ):
        nobody = replace(one, spacing_mm=None)
        with pytest.raises(Refused, match="how large a pixel"):
            mammogram(nobody)


def test_what_cannot_be_opened_is_refused_with_its_file(tmp_path: Path, header: Dataset) -> None:
    words, cut = tmp_path / "words.png", tmp_path / "cut.png"
    words.write_text("no picture")
    picture(cut, np.random.default_rng(1).integers(0, 255, (90, 90)).astype(np.uint8))
    cut.write_bytes(cut.read_bytes()[:2000])
    broken = tmp_path / "broken.dcm"
    kept(header, broken)
    broken.write_bytes(broken.read_bytes()[:2000])
    for path in (words, cut, broken, tmp_path / "missing.png"):
        with pytest.raises(Refused, match=path.name):
            mammogram(sample(path))


def test_a_picture_of_no_known_view_is_refused(tmp_path: Path) -> None:
    one = replace(picture(tmp_path / "a.png", GREYS.astype(np.uint8)), projection=None)
    with pytest.raises(Refused, match="neither a CC nor an MLO view"):
        mammogram(one)
