import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.findings import Box, Mask
from inference.preparing.placement import Placement


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    width, height = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    left, top = draw(st.integers(0, 50)), draw(st.integers(0, 50))
    return Placement(
        left=left,
        top=top,
        right=left + width,
        bottom=top + height,
        flipped=draw(st.booleans()),
        rows=draw(st.integers(1, height)),
        columns=draw(st.integers(1, width)),
    )


coordinates = st.floats(-200, 200, allow_nan=False)


@given(placements(), coordinates, coordinates)
def test_a_point_comes_back_to_where_it_was(placement: Placement, x: float, y: float) -> None:
    there = placement.point_to_source(*placement.point_to_picture(x, y))
    assert there == pytest.approx((x, y), abs=1e-6)


@given(placements(), st.tuples(coordinates, coordinates, coordinates, coordinates))
def test_a_box_comes_back_to_where_it_was(
    placement: Placement, corners: tuple[float, float, float, float]
) -> None:
    x, y, other_x, other_y = corners
    box = Box(min(x, other_x), min(y, other_y), max(x, other_x), max(y, other_y))
    back = placement.box_to_source(placement.box_to_picture(box))
    assert (back.left, back.top, back.right, back.bottom) == pytest.approx(
        (box.left, box.top, box.right, box.bottom), abs=1e-6
    )


@given(placements(), st.randoms(use_true_random=False))
def test_a_mask_comes_back_pixel_by_pixel(placement: Placement, random: object) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    picture = rng.random((placement.rows + 3, placement.columns + 5)) < 0.3
    picture[placement.rows :] = False
    picture[:, placement.columns :] = False
    picture[rng.integers(placement.rows), rng.integers(placement.columns)] = True
    mask = placement.mask_to_source(picture)
    np.testing.assert_array_equal(placement.mask_to_picture(mask, *picture.shape), picture)


@given(placements())
def test_every_source_pixel_of_the_crop_belongs_to_one_picture_pixel(placement: Placement) -> None:
    for edges, length, parts in (
        (placement.row_edges, placement.bottom - placement.top, placement.rows),
        (placement.column_edges, placement.right - placement.left, placement.columns),
    ):
        sizes = np.diff(edges)
        assert (edges[0], edges[-1], len(sizes)) == (0, length, parts)
        assert sizes.min() >= 1
        assert sizes.max() - sizes.min() <= 1
    whole = placement.mask_to_source(np.ones((placement.rows, placement.columns), np.bool_))
    assert whole.pixels.all()
    assert (whole.left, whole.top) == (placement.left, placement.top)
    assert whole.pixels.shape == (
        placement.bottom - placement.top,
        placement.right - placement.left,
    )


@given(placements())
def test_a_mask_lies_in_the_box_that_its_pixels_make(placement: Placement) -> None:
    picture = np.zeros((placement.rows, placement.columns), np.bool_)
    picture[-1, 0] = True
    mask = placement.mask_to_source(picture)
    box = placement.box_to_source(Box(0, placement.rows - 1, 1, placement.rows))
    height, width = mask.pixels.shape
    # The edges are whole source pixels; the affine box may cut one.
    assert abs(mask.left - box.left) < 1
    assert abs(mask.top - box.top) < 1
    assert abs(mask.left + width - box.right) < 1
    assert mask.top + height == placement.bottom


def test_a_right_breast_is_mirrored() -> None:
    placement = Placement(left=10, top=0, right=30, bottom=20, flipped=True, rows=10, columns=10)
    assert placement.point_to_picture(30, 4) == (0, 2)
    assert placement.box_to_source(Box(0, 0, 1, 1)) == Box(28, 0, 30, 2)


def test_pixels_outside_the_crop_are_left_out() -> None:
    placement = Placement(left=10, top=10, right=20, bottom=20, flipped=False, rows=5, columns=5)
    picture = placement.mask_to_picture(Mask(0, 0, np.ones((12, 40), np.bool_)), 8, 8)
    assert picture.sum() == 5
    assert picture[0, :5].all()


def test_an_empty_mask_has_no_place() -> None:
    placement = Placement(left=0, top=0, right=4, bottom=4, flipped=False, rows=2, columns=2)
    with pytest.raises(ValueError, match="empty mask"):
        placement.mask_to_source(np.zeros((2, 2), np.bool_))


def test_nothing_is_enlarged() -> None:
    with pytest.raises(ValueError, match="4 x 4 source pixels"):
        Placement(left=0, top=0, right=4, bottom=4, flipped=False, rows=5, columns=2)
