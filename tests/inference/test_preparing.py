from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.mammogram import GreyScale, Mammogram, Projection, Side
from inference.preparing.breast import breast_area
from inference.preparing.prepare import Preparation, prepare
from inference.reading import read
from phantom.dicom import PRESETS, datasets
from phantom.study import study

GREY = GreyScale(0, np.linspace(0, 1, 4096, dtype=np.float32))
HOW = Preparation(height_px=96, width_px=64, pitch_mm=0.4, channels=("mean", "max"))


def breast(**changed: Any) -> Mammogram:  # noqa: ANN401 - any field
    """Make a half disc at the left edge, a marker beside it."""
    rows, columns = np.mgrid[0:400, 0:300]
    inside = np.hypot((rows - 200) / 150, columns / 120) < 1
    noise = np.random.default_rng(5).integers(0, 400, inside.shape)
    pixels = np.where(inside, 1500 + noise + 4 * rows, 0).astype(np.uint16)
    pixels[20:40, 250:290] = 4095
    facts: dict[str, Any] = {
        "sop_instance_uid": "1",
        "side": Side.LEFT,
        "projection": Projection.CC,
        "pixels": pixels,
        "grey": GREY,
        "spacing_mm": (0.1, 0.1),
    }
    return Mammogram(**facts | changed)


def mirrored(view: Mammogram, side: Side) -> Mammogram:
    return breast(pixels=np.ascontiguousarray(view.pixels[:, ::-1]), side=side)


def naive(view: Mammogram, left: int, top: int, right: int, bottom: int) -> NDArray[np.float64]:
    grey = view.grey.table[view.pixels.astype(int)].astype(np.float64)[top:bottom, left:right]
    blocks = grey.reshape(grey.shape[0] // 4, 4, grey.shape[1] // 4, 4)
    return np.stack([blocks.mean(axis=(1, 3)), blocks.max(axis=(1, 3))])


def test_the_breast_is_found_and_the_marker_is_not() -> None:
    area = breast_area(breast())
    assert (area.left, area.chest_wall_right) == (0, False)
    assert abs(area.top - 50) <= 4
    assert abs(area.bottom - 350) <= 4
    assert abs(area.right - 120) <= 4


@pytest.mark.parametrize("step", [2, 5])
def test_the_breast_is_found_on_a_reduced_image_too(step: int) -> None:
    view = breast()
    large = breast(pixels=view.pixels.repeat(step, axis=0).repeat(step, axis=1))
    area, expected = breast_area(large), breast_area(view)
    for name in ("left", "top", "right", "bottom"):
        assert abs(getattr(area, name) - step * getattr(expected, name)) <= 4 * step


def test_pictures_agree_with_the_naive_way() -> None:
    view = breast()
    prepared = prepare(view, HOW)
    p = prepared.placement
    assert (p.right - p.left) // p.columns == 4
    height, width = (p.bottom - p.top) // 4 * 4, (p.right - p.left) // 4 * 4
    expected = naive(view, p.left, p.top, p.left + width, p.top + height)
    if (p.bottom - p.top, p.right - p.left) == (height, width):
        np.testing.assert_allclose(prepared.picture[:, : p.rows, : p.columns], expected, atol=1e-5)
    assert prepared.picture.dtype == np.float32
    assert prepared.picture.shape == (2, 96, 64)
    assert not prepared.picture[:, p.rows :].any()


def test_whole_blocks_agree_with_the_naive_way() -> None:
    pixels = np.random.default_rng(6).integers(1000, 4096, (320, 240), dtype=np.uint16)
    view = breast(pixels=pixels)
    prepared = prepare(view, HOW)
    np.testing.assert_allclose(
        prepared.picture[:, :80, :60], naive(view, 0, 0, 240, 320), atol=1e-5
    )


def test_a_single_bright_pixel_stays_alive_in_the_maximum() -> None:
    view = breast()
    pixels = view.pixels.copy()
    pixels[200, 40] = 4095
    prepared = prepare(breast(pixels=pixels), HOW)
    column, row = prepared.placement.point_to_picture(40.5, 200.5)
    assert prepared.picture[1, int(row), int(column)] == 1
    assert prepared.picture[0, int(row), int(column)] < 0.8


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_the_chest_wall_is_always_on_the_left(side: Side) -> None:
    plain, other = prepare(breast(), HOW), prepare(mirrored(breast(), side), HOW)
    assert other.placement.flipped
    np.testing.assert_array_equal(other.picture, plain.picture)


def test_in_doubt_the_header_says_where_the_chest_wall_is() -> None:
    even = np.full((200, 160), 2000, np.uint16)
    even[:10] = 0
    assert not breast_area(breast(pixels=even)).chest_wall_right
    assert breast_area(breast(pixels=even, side=Side.RIGHT)).chest_wall_right


def test_a_breast_too_large_for_the_picture_is_shown_coarser() -> None:
    prepared = prepare(breast(spacing_mm=(0.4, 0.4)), HOW)
    p = prepared.placement
    assert p.rows <= 96
    assert p.columns <= 64
    assert max(p.rows / 96, p.columns / 64) > 0.97
    assert (p.bottom - p.top) / p.rows == pytest.approx((p.right - p.left) / p.columns, rel=0.05)


def test_a_source_coarser_than_the_picture_is_not_enlarged() -> None:
    small = breast(pixels=breast().pixels[::8, ::8], spacing_mm=(0.8, 0.8))
    p = prepare(small, HOW).placement
    assert (p.rows, p.columns) == (p.bottom - p.top, p.right - p.left)


def test_pixels_need_not_be_square() -> None:
    p = prepare(breast(spacing_mm=(0.1, 0.2)), HOW).placement
    assert (p.bottom - p.top) / p.rows == pytest.approx(4, rel=0.05)
    assert (p.right - p.left) / p.columns == pytest.approx(2, rel=0.05)


def test_an_image_of_air_is_shown_whole() -> None:
    air = np.zeros((64, 48), np.uint16)
    area = breast_area(breast(pixels=air))
    assert (area.left, area.top, area.right, area.bottom) == (0, 0, 48, 64)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_makers_images_make_the_same_picture(preset: str) -> None:
    seen = study(3, pitch_mm=0.4, projections=("MLO",), sides=("R",))
    how = Preparation(height_px=160, width_px=96, pitch_mm=1.6, channels=("mean", "max"))
    (plain,), (other,) = datasets(seen), datasets(seen, preset=preset)
    one, same = prepare(read(plain), how), prepare(read(other), how)
    assert same.placement == one.placement
    np.testing.assert_allclose(same.picture, one.picture, atol=0.01)
