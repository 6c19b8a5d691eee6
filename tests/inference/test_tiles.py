import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from inference.preparing.tiles import Tile, Tiling, lit, merged, read_by_tiles, tiles

Picture = NDArray[np.float32]
TILINGS = st.builds(
    lambda step, more, weight: Tiling(size_px=step + more, step_px=step, weight=weight),
    st.integers(1, 16),
    st.integers(0, 16),
    st.sampled_from(["even", "hann"]),
)
SIDES = st.integers(1, 60)


def pointwise(batch: Picture) -> Picture:
    """Answer as a network whose every pixel sees itself alone; air is not 0."""
    return np.concatenate([np.exp(-batch), np.sin(7 * batch)], axis=1)


@given(SIDES, SIDES, TILINGS)
def test_tiles_cover_every_pixel_and_stay_inside(rows: int, columns: int, how: Tiling) -> None:
    covered = np.zeros((rows, columns), dtype=np.int_)
    for tile in tiles(rows, columns, how):
        assert tile.top + how.size_px <= max(rows, how.size_px)
        assert tile.left + how.size_px <= max(columns, how.size_px)
        covered[tile.place] += 1
    assert covered.min() >= 1


@given(SIDES, TILINGS)
def test_no_tile_is_read_twice(length: int, how: Tiling) -> None:
    starts = how.starts(length)
    assert len(set(starts)) == len(starts)
    assert all(start % how.step_px == 0 for start in starts[:-1])


@given(SIDES, SIDES, TILINGS, st.integers(1, 5))
def test_a_pointwise_answer_has_no_seams(
    rows: int, columns: int, how: Tiling, at_once: int
) -> None:
    picture = np.random.default_rng(1).uniform(0.1, 1, (1, rows, columns)).astype(np.float32)
    by_tiles = read_by_tiles(picture, pointwise, how, kinds=2, at_once=at_once)
    np.testing.assert_allclose(by_tiles, pointwise(picture[None])[0], rtol=1e-5, atol=1e-5)


def test_a_tile_beyond_a_small_picture_is_black_there() -> None:
    cut = Tile(0, 0, 8).of(np.ones((2, 3, 5), dtype=np.float32))
    assert cut.shape == (2, 8, 8)
    assert cut.sum() == 2 * 3 * 5


def test_black_tiles_are_not_read_and_their_pixels_are_0() -> None:
    how = Tiling(size_px=8, step_px=8)
    picture = np.zeros((1, 24, 24), dtype=np.float32)
    picture[0, 9, 17] = 0.5
    assert list(lit(picture, how)) == [Tile(8, 16, 8)]
    answer = read_by_tiles(picture, np.ones_like, how, kinds=1)
    assert answer[0, 8:16, 16:24].all()
    assert answer.sum() == 64


def test_a_black_picture_is_not_read() -> None:
    def never(_: Picture) -> Picture:
        raise AssertionError("there is nothing to read")

    black = np.zeros((1, 20, 30), dtype=np.float32)
    answer = read_by_tiles(black, never, Tiling(size_px=8, step_px=4), kinds=3)
    assert answer.shape == (3, 20, 30)
    assert not answer.any()


def test_tiles_are_read_no_more_at_once_than_asked() -> None:
    sizes: list[int] = []

    def counted(batch: Picture) -> Picture:
        sizes.append(len(batch))
        return batch

    picture = np.ones((1, 40, 8), dtype=np.float32)
    read_by_tiles(picture, counted, Tiling(size_px=8, step_px=8), kinds=1, at_once=2)
    assert sizes == [2, 2, 1]


def test_two_tiles_that_disagree_are_averaged_and_hann_trusts_the_nearer_middle() -> None:
    first, second = Tile(0, 0, 8), Tile(0, 4, 8)
    said = [(first, np.zeros((1, 8, 8), np.float32)), (second, np.ones((1, 8, 8), np.float32))]
    even = merged(said, Tiling(size_px=8, step_px=4), (1, 8, 12))
    np.testing.assert_allclose(even[0, 0], [0] * 4 + [0.5] * 4 + [1] * 4)
    hann = merged(said, Tiling(size_px=8, step_px=4, weight="hann"), (1, 8, 12))[0, 0]
    np.testing.assert_allclose(hann[[0, 3, 8, 11]], [0, 0, 1, 1])
    assert (np.diff(hann[3:9]) > 0).all()
    np.testing.assert_allclose(hann + hann[::-1], 1, atol=1e-6)


def test_tiles_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValidationError, match="let step_px be 256 at most"):
        Tiling(size_px=256, step_px=257)
