import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data.calcium_labels import LEAST_MM2, dilated

PITCHES = st.sampled_from([0.05, 0.07, 0.085, 0.1, 0.2])


@given(st.integers(0, 79), st.integers(0, 79), PITCHES, PITCHES, st.floats(0.5, 4.4))
def test_a_dot_grows_to_the_area_and_hardly_beyond(
    row: int, column: int, down_mm: float, across_mm: float, least_mm2: float
) -> None:
    """In corners and at borders too; beyond it only by pixels that are as far as the last one."""
    mask = np.zeros((80, 80), dtype=np.bool_)
    mask[row, column] = True
    grown = dilated(mask, least_mm2, (down_mm, across_mm))
    pixel_mm2 = down_mm * across_mm
    assert grown[row, column]
    assert grown.sum() * pixel_mm2 >= least_mm2 - 1e-6
    rows, columns = np.indices(mask.shape)
    far = np.hypot((rows - row) * down_mm, (columns - column) * across_mm)
    assert far[grown].max() < far[~grown].min()
    assert (far < far[grown].max() - 1e-6).sum() * pixel_mm2 < least_mm2


def test_a_label_that_is_large_enough_stays_as_it_is() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[40:61, 40:61] = True  # 4.41 mm²
    np.testing.assert_array_equal(dilated(mask, LEAST_MM2, (0.1, 0.1)), mask)


def test_a_label_keeps_its_pixels_and_its_direction() -> None:
    mask = np.zeros((100, 100), dtype=np.bool_)
    mask[50, 40:60] = True
    grown = dilated(mask, LEAST_MM2, (0.1, 0.1))
    assert grown[mask].all()
    rows, columns = np.nonzero(grown)
    assert np.ptp(columns) - np.ptp(rows) == 19
    np.testing.assert_array_equal(
        grown, dilated(mask[::-1, ::-1], LEAST_MM2, (0.1, 0.1))[::-1, ::-1]
    )


def test_labels_grow_each_for_itself() -> None:
    mask = np.zeros((200, 200), dtype=np.bool_)
    mask[60, 60] = mask[60, 70] = mask[140, 140] = True
    one, other = np.zeros_like(mask), np.zeros_like(mask)
    one[60, 60] = one[140, 140] = True
    other[60, 70] = True
    spacing = (0.1, 0.1)
    together = dilated(one, LEAST_MM2, spacing) | dilated(other, LEAST_MM2, spacing)
    np.testing.assert_array_equal(dilated(mask, LEAST_MM2, spacing), together)


def test_a_narrow_picture_is_filled_along() -> None:
    mask = np.zeros((10, 400), dtype=np.bool_)
    mask[5, 200] = True
    grown = dilated(mask, LEAST_MM2, (0.1, 0.1))
    assert 440 <= grown.sum() <= 444


def test_no_label_makes_no_label() -> None:
    assert not dilated(np.zeros((50, 50), dtype=np.bool_), LEAST_MM2, (0.1, 0.1)).any()


def test_an_area_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not fit on a picture of 1\.00 mm²"):
        dilated(np.ones((10, 10), dtype=np.bool_), LEAST_MM2, (0.1, 0.1))
