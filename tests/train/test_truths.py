"""Outlines, however they were drawn, become the pixels that they were drawn around."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from inference.findings import Box
from train.data.sample import Circle, MaskImage, Outline, Polygon, Runs
from train.data.truths import marked, mask_of
from train.errors import Refused

ROWS, COLUMNS = 60, 40


def painted(outline: Outline) -> NDArray[np.bool_]:
    """Return the mask on its image, once it is as small as its box."""
    found = marked(outline, ROWS, COLUMNS)
    assert found is not None
    mask = found.mask
    assert mask.pixels[0].any()
    assert mask.pixels[:, -1].any()
    return mask.on(ROWS, COLUMNS)


def rectangle(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    full = np.zeros((ROWS, COLUMNS), dtype=np.bool_)
    full[top:bottom, left:right] = True
    return full


def test_a_polygon_through_the_middles_of_pixels_holds_these_pixels() -> None:
    outline = Polygon(((10, 20), (19, 20), (19, 29), (10, 29)))
    np.testing.assert_array_equal(painted(outline), rectangle(10, 20, 20, 30))
    found = marked(outline, ROWS, COLUMNS)
    assert found is not None
    assert found.box == Box(10, 20, 20, 30)
    assert found.drawn


def test_a_polygon_along_the_edges_of_pixels_holds_what_lies_inside() -> None:
    outline = Polygon(((9.5, 19.5), (19.5, 19.5), (19.5, 29.5), (9.5, 29.5)))
    np.testing.assert_array_equal(painted(outline), rectangle(10, 20, 20, 30))


def test_a_polygon_with_a_bay_leaves_the_bay_out() -> None:
    bay = Polygon(((5, 5), (25, 5), (25, 25), (18, 25), (18, 12), (12, 12), (12, 25), (5, 25)))
    full = painted(bay)
    assert full[20, 8]
    assert full[20, 22]
    assert not full[20, 15]
    assert full[12, 15]


@given(
    st.lists(
        st.tuples(st.integers(-5, COLUMNS + 5), st.integers(-5, ROWS + 5)), min_size=1, max_size=9
    )
)
def test_any_polygon_holds_its_own_corners(points: list[tuple[int, int]]) -> None:
    seen = [(x, y) for x, y in points if 0 <= x < COLUMNS and 0 <= y < ROWS]
    found = marked(Polygon(tuple(points)), ROWS, COLUMNS)
    if found is None:
        assert not seen
        return
    full = found.mask.on(ROWS, COLUMNS)
    assert all(full[y, x] for x, y in seen)


@pytest.mark.parametrize(
    ("points", "pixels"),
    [(((7, 9),), 1), (((7, 9), (7, 9)), 1), (((7, 9), (11, 13)), 5), (((7.3, 9.4), (7.4, 9.3)), 1)],
)
def test_points_are_specks_and_two_of_them_a_line(
    points: tuple[tuple[float, float], ...], pixels: int
) -> None:
    full = painted(Polygon(points))
    assert full.sum() == pixels
    assert full[9, 7]


def test_a_circle_reaches_as_far_as_its_radius() -> None:
    full = painted(Circle(20, 30, 5))
    assert abs(int(full.sum()) - np.pi * 25) < 5
    assert full[30, 25]
    assert not full[30, 26:].any()
    assert painted(Circle(20, 30, 0)).sum() == 1
    found = marked(Circle(20, 30, 5), ROWS, COLUMNS)
    assert found is not None
    assert found.box == Box(15, 25, 26, 36)
    assert not found.drawn


def test_a_box_is_cut_at_the_image_and_its_mask_is_an_ellipse_that_nobody_drew() -> None:
    found = marked(Box(-10, 20.5, 20, 40.5), ROWS, COLUMNS)
    assert found is not None
    assert found.box == Box(0, 20.5, 20, 40.5)
    assert not found.drawn
    assert abs(int(found.mask.pixels.sum()) - np.pi * 100) < 15
    assert not found.mask.on(ROWS, COLUMNS)[21, 0]
    speck = marked(Box(5.2, 5.2, 5.4, 5.4), ROWS, COLUMNS)
    assert speck is not None
    assert speck.mask.on(ROWS, COLUMNS)[5, 5]


@pytest.mark.parametrize(
    "outline",
    [
        Box(50, 5, 70, 9),
        Box(5, 9, 5, 20),
        Circle(-20, 5, 10),
        Polygon(((50, 1), (60, 1), (55, 9))),
    ],
)
def test_what_lies_beside_the_image_is_nothing(outline: Outline) -> None:
    assert marked(outline, ROWS, COLUMNS) is None


def test_runs_are_counted_down_the_columns() -> None:
    full = painted(Runs(ROWS, COLUMNS, (2 * ROWS + 3, 4, ROWS * COLUMNS - 2 * ROWS - 7)))
    np.testing.assert_array_equal(full, rectangle(2, 3, 3, 7))
    with pytest.raises(Refused, match="counts 5 pixels"):
        marked(Runs(ROWS, COLUMNS, (5,)), ROWS, COLUMNS)


def a_mask(path: Path, rows: int = ROWS, columns: int = COLUMNS) -> Path:
    pixels = np.zeros((rows, columns), np.uint8)
    pixels[20:30, 10:20] = 255
    Image.fromarray(pixels).save(path)
    return path


def a_crop(path: Path) -> Path:
    greys = np.random.default_rng(3).integers(0, 255, (15, 15)).astype(np.uint8)
    Image.fromarray(greys).save(path)
    return path


def test_a_mask_that_differs_by_pixels_is_resized_to_its_image(tmp_path: Path) -> None:
    same = MaskImage(a_mask(tmp_path / "a.png"))
    np.testing.assert_array_equal(painted(same), rectangle(10, 20, 20, 30))
    other = MaskImage(a_mask(tmp_path / "b.png", ROWS + 1, COLUMNS - 1))
    full = painted(other)
    assert full.shape == (ROWS, COLUMNS)
    assert (full != rectangle(10, 20, 20, 30)).sum() <= 20


def test_of_a_mask_and_a_crop_that_changed_names_the_mask_is_taken(tmp_path: Path) -> None:
    mask, crop = a_mask(tmp_path / "1-2.png"), a_crop(tmp_path / "1-1.png")
    for outline in (MaskImage(mask, crop), MaskImage(crop, mask)):
        np.testing.assert_array_equal(painted(outline), rectangle(10, 20, 20, 30))
    with pytest.raises(Refused, match=r"1-1\.png"):
        marked(MaskImage(crop), ROWS, COLUMNS)


def test_a_mask_with_the_ringing_of_jpeg_is_still_one(tmp_path: Path) -> None:
    full = mask_of(MaskImage(a_mask(tmp_path / "a.jpg", 240, 160)), 240, 160)
    assert abs(int(full.sum()) - 100) < 15


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="does not belong"):
        marked(MaskImage(a_mask(tmp_path / "a.png", 60, 60)), ROWS, COLUMNS)
