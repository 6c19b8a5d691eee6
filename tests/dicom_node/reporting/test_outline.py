from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.reporting.outline import MAX_POINTS, MIN_POINTS, outline
from inference.findings import Box, Finding, Kind, Mask

ROWS, COLUMNS = 400, 300


def drawn(mask: Mask | None, box: Box | None = None) -> list[tuple[float, float]]:
    box = box or Box(0, 0, 1, 1)
    finding = Finding(Kind.MASS, box, 0.5, None, mask, ("shared_trunk",))
    return list(outline(finding, ROWS, COLUMNS))


def area(points: list[tuple[float, float]]) -> float:
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(points))) / 2


def proper(points: list[tuple[float, float]]) -> None:
    assert points[0] == points[-1]
    assert MIN_POINTS < len(points) <= MAX_POINTS + 1
    assert all(0 <= x <= COLUMNS and 0 <= y <= ROWS for x, y in points)


def test_the_first_pixel_is_outlined_from_corner_to_corner() -> None:
    points = drawn(Mask(0, 0, np.ones((1, 1), dtype=np.bool_)))
    proper(points)
    assert {(0, 0), (1, 0), (1, 1), (0, 1)} <= set(points)
    assert area(points) == 1


def test_the_last_pixel_reaches_the_far_corner_of_the_image() -> None:
    points = drawn(Mask(COLUMNS - 1, ROWS - 1, np.ones((1, 1), dtype=np.bool_)))
    proper(points)
    assert (COLUMNS, ROWS) in points


def test_a_rectangle_is_outlined_exactly() -> None:
    points = drawn(Mask(10, 20, np.ones((30, 50), dtype=np.bool_)))
    proper(points)
    assert area(points) == 30 * 50
    assert min(x for x, _ in points) == 10
    assert max(y for _, y in points) == 50


def test_a_large_lesion_keeps_its_area_in_few_points() -> None:
    across, down = np.meshgrid(np.arange(-120, 121), np.arange(-120, 121))
    wobble = 100 + 12 * np.sin(9 * np.arctan2(down, across))
    mask = Mask(20, 60, np.hypot(across, down) < wobble)
    points = drawn(mask)
    proper(points)
    assert area(points) == pytest.approx(mask.pixels.sum(), rel=0.02)


def test_a_hole_is_not_drawn() -> None:
    pixels = np.ones((40, 40), dtype=np.bool_)
    pixels[15:25, 15:25] = False
    assert area(drawn(Mask(5, 5, pixels))) == 40 * 40


def test_crumbs_beside_a_body_are_left_out() -> None:
    pixels = np.zeros((60, 60), dtype=np.bool_)
    pixels[:30, :30] = True
    pixels[58, 58] = True
    assert max(x for x, _ in drawn(Mask(0, 0, pixels))) == 30


def test_a_cluster_of_specks_is_drawn_as_one() -> None:
    pixels = np.zeros((60, 60), dtype=np.bool_)
    for row, column in ((0, 30), (30, 0), (30, 58), (58, 30)):
        pixels[row : row + 2, column : column + 2] = True
    points = drawn(Mask(100, 100, pixels))
    proper(points)
    columns, rows = [x for x, _ in points], [y for _, y in points]
    assert (min(columns), max(columns), min(rows), max(rows)) == (100, 160, 100, 160)


def test_pixels_that_touch_at_a_corner_are_walked_around() -> None:
    pixels = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1]], dtype=np.bool_)
    points = drawn(Mask(7, 7, pixels))
    proper(points)
    assert area(points) in {7, 8}


def test_a_box_is_a_rectangle_with_round_corners() -> None:
    points = drawn(None, Box(50, 60, 150, 140))
    proper(points)
    assert 0.95 * 8000 < area(points) < 8000
    assert min(x for x, _ in points) == 50
    assert max(y for _, y in points) == 140


def test_a_box_is_cut_at_the_edge_of_the_image() -> None:
    proper(drawn(None, Box(-20, -20, 40, 40)))
    proper(drawn(None, Box(COLUMNS - 10, ROWS - 10, COLUMNS + 50, ROWS + 50)))


def test_an_empty_mask_falls_back_on_the_box() -> None:
    empty = Mask(0, 0, np.zeros((5, 5), dtype=np.bool_))
    assert drawn(empty, Box(50, 60, 150, 140)) == drawn(None, Box(50, 60, 150, 140))


@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98))
def test_any_mask_has_a_proper_outline(seed: int, share: float) -> None:
    pixels = np.random.default_rng(seed).random((23, 31)) < share
    pixels[0, 0] = True
    proper(drawn(Mask(3, 4, pixels)))
