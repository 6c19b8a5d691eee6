import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.findings import Box
from inference.preparing.clusters import grouped

PLACES = st.sets(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=25)


def dots(*places: tuple[int, int], size: int = 3) -> NDArray[np.bool_]:
    """Make square calcifications by the row and column of their upper left corner."""
    calcium = np.zeros((400, 300), dtype=np.bool_)
    for row, column in places:
        calcium[row : row + size, column : column + size] = True
    return calcium


def naive(places: list[tuple[int, int]], linking: float) -> list[set[tuple[int, int]]]:
    groups: list[set[tuple[int, int]]] = []
    for place in places:
        near = [g for g in groups if any(np.hypot(*np.subtract(place, p)) <= linking for p in g)]
        groups = [g for g in groups if g not in near] + [{place}.union(*near)]
    return groups


def test_three_calcifications_are_a_cluster_and_two_are_not() -> None:
    spacing = (0.1, 0.1)
    pair, three = ((50, 50), (50, 90)), ((50, 50), (50, 90), (90, 50))
    assert [group.members for group in grouped(dots(*three), spacing)] == [3]
    assert [group.members for group in grouped(dots(*pair), spacing)] == [1, 1]


@pytest.mark.parametrize(("apart", "members"), [(100, [3]), (101, [1, 1, 1])])
def test_calcifications_are_linked_over_ten_millimeters(apart: int, members: list[int]) -> None:
    """In a chain, so that the ends lie twenty apart."""
    chain = dots((10, 20), (10 + apart, 20), (10 + 2 * apart, 20))
    assert [group.members for group in grouped(chain, (0.1, 0.1))] == members


def test_distances_are_in_millimeters_on_pixels_that_are_no_squares() -> None:
    chain = dots((20, 10), (20, 90), (20, 170))
    assert [group.members for group in grouped(chain, (0.05, 0.1))] == [3]
    assert [group.members for group in grouped(chain, (0.1, 0.2))] == [1, 1, 1]
    down = dots((10, 20), (90, 20), (170, 20))
    assert [group.members for group in grouped(down, (0.1, 0.2))] == [3]


def test_a_cluster_holds_its_own_calcifications_and_nobody_elses() -> None:
    calcium = dots((50, 50), (50, 80), (80, 50), (300, 200))
    calcium[62:65, 62:65] = True
    cluster, alone = grouped(calcium, (0.1, 0.1))
    assert (cluster.members, alone.members) == (4, 1)
    assert cluster.box == Box(50, 50, 83, 83)
    assert alone.box == Box(200, 300, 203, 303)
    assert not (cluster.mask.on(400, 300) & alone.mask.on(400, 300)).any()
    np.testing.assert_array_equal(cluster.mask.on(400, 300) | alone.mask.on(400, 300), calcium)


def test_specks_join_nothing() -> None:
    chain = dots((10, 20), (190, 20)) | dots((100, 20), size=1)
    assert [group.members for group in grouped(chain, (0.1, 0.1))] == [1, 1]
    assert [group.members for group in grouped(chain, (0.1, 0.1), least_px=1)] == [3]


def test_pixels_that_touch_at_a_corner_are_one_calcification() -> None:
    assert [g.members for g in grouped(dots((10, 10), (13, 13)), (0.1, 0.1))] == [1]


def test_nothing_found_is_no_group() -> None:
    assert grouped(dots(), (0.1, 0.1)) == ()


@given(PLACES, st.sampled_from([2.0, 2.5, 3.0, 4.5]))
def test_clusters_agree_with_the_naive_way(places: set[tuple[int, int]], linking_mm: float) -> None:
    calcium = np.zeros((40, 40), dtype=np.bool_)
    for row, column in places:
        calcium[2 * row, 2 * column] = True
    groups = grouped(calcium, (0.5, 0.5), linking_mm=linking_mm, least_members=1, least_px=1)
    found = {frozenset(zip(*np.nonzero(g.mask.on(40, 40)), strict=True)) for g in groups}
    expected = naive([(2 * row, 2 * column) for row, column in sorted(places)], 2 * linking_mm)
    assert found == {frozenset(group) for group in expected}
