"""Facts of Cao and others (DeepLIMa) that preparing pictures and labels must hold."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.preparing.artefacts import breast_alone, cleaned, loneliness
from inference.preparing.tiles import Tiling, lit, read_by_tiles, tiles
from phantom.study import View, study
from phantom.view import TOP
from train.data.calcium_labels import LEAST_MM2, dilated

Picture = NDArray[np.float32]
SEEDS = (2, 6, 8, 10)  # in each, a few pixels lift a whole column over the threshold
PITCHES_MM = (0.1, 0.2)
DOTS = np.array([-0.25, 0.25], dtype=np.float32)  # black and bright


def shown(view: View) -> Picture:
    """Window as the phantoms' headers say, and keep the breast alone."""
    return breast_alone((view.pixels / TOP).astype(np.float32))


def planted(
    view: View, *, seed: int, columns: int = 3, part: float = 1.0
) -> tuple[Picture, list[int]]:
    """Make lines of black and bright pixels where the breast is high enough to show a line."""
    chance = np.random.default_rng(seed)
    height = view.breast.sum(axis=0)
    inner = np.flatnonzero(height > 0.3 * height.max())[2:-2]
    lines = sorted(chance.choice(inner, columns, replace=False).tolist())
    picture = shown(view)
    for line in lines:
        rows = np.flatnonzero(view.breast[:, line])
        rows = rows[chance.random(rows.size) < part]
        picture[rows, line] += chance.choice(DOTS, rows.size)
    return picture.clip(0, 1), lines


@pytest.mark.parametrize("pitch_mm", PITCHES_MM)
@pytest.mark.parametrize("seed", SEEDS)
def test_section_2_2_1_finds_every_planted_line_and_no_other(seed: int, pitch_mm: float) -> None:
    """Figure 2: "artifacts have been successfully removed while other pixels remain unchanged"."""
    for view in study(seed, pitch_mm=pitch_mm).views:
        clean = shown(view)
        assert cleaned(clean).columns == ()
        for part in (1.0, 0.1):
            dirty, lines = planted(view, seed=seed, part=part)
            mended = cleaned(dirty)
            assert list(mended.columns) == lines
            others = np.delete(np.arange(clean.shape[1]), lines)
            np.testing.assert_array_equal(mended.picture[:, others], dirty[:, others])
            inside = view.breast[:, lines]
            left = np.abs(mended.picture - clean)[:, lines][inside].mean()
            assert 255 * left < 8  # grey levels; noise, for the median is smoother than tissue
            if part == 1:
                assert left < 0.1 * np.abs(dirty - clean)[:, lines][inside].mean()


def test_section_2_2_1_lines_side_by_side_are_both_found() -> None:
    view = study(1, pitch_mm=0.2, sides=("L",), projections=("CC",)).views[0]
    picture, chance = shown(view), np.random.default_rng(3)
    rows = np.flatnonzero(view.breast[:, 101])
    picture[rows, 100:102] += chance.choice(DOTS, (rows.size, 2))
    assert cleaned(picture.clip(0, 1)).columns == (100, 101)


def test_section_2_2_1_letters_are_no_breast() -> None:
    """Breast region extraction: of the connected regions the largest is kept."""
    view = study(1, pitch_mm=0.2, sides=("L",), projections=("CC",)).views[0]
    bare = (view.pixels / TOP).astype(np.float32)
    assert bare[~view.breast].any()
    alone = breast_alone(bare)
    np.testing.assert_array_equal(alone[view.breast], bare[view.breast])
    assert not alone[~view.breast].any()


def test_equation_5_by_hand() -> None:
    picture = np.array([[0, 0, 0, 4], [0, 5, 0, 1], [2, 0, 0, 7]], dtype=np.float32)
    np.testing.assert_allclose(loneliness(picture), [2, 3, 0, 3 + 1 + 6])


def test_equation_5_agrees_with_the_naive_way() -> None:
    picture = np.random.default_rng(1).uniform(size=(17, 13)).astype(np.float32)
    rows, columns = picture.shape
    around = [(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    expected = [
        sum(
            min(
                abs(picture[y, x] - picture[y + b, x + a])
                for a, b in around
                if 0 <= x + a < columns and 0 <= y + b < rows
            )
            for y in range(rows)
        )
        for x in range(columns)
    ]
    np.testing.assert_allclose(loneliness(picture), expected, rtol=1e-5)


def test_section_2_2_1_a_pixel_becomes_the_median_of_its_eight_neighbors() -> None:
    picture = np.random.default_rng(2).uniform(0.5, 0.51, (200, 80)).astype(np.float32)
    picture[::2, 40], picture[1::2, 40] = 0, 1
    mended = cleaned(picture)
    assert mended.columns == (40,)
    block = picture[9:12, 39:42].ravel()
    assert mended.picture[10, 40] == pytest.approx(float(np.median(np.delete(block, 4))))


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (5, 2), (1, 9), (9, 9)])
def test_pictures_without_tissue_have_no_lines(shape: tuple[int, int]) -> None:
    black = np.zeros(shape, dtype=np.float32)
    assert cleaned(breast_alone(black)).columns == ()


def test_section_4_2_1_cuts_the_largest_mammogram_into_130_tiles() -> None:
    """3518 x 2800 pixels, tiles of 512 every 256; the last ones end where the picture ends."""
    how = Tiling()
    assert (len(how.starts(3518)), len(how.starts(2800))) == (13, 10)
    assert len(list(tiles(3518, 2800, how))) == 130
    assert how.starts(3518)[-2:] == (2816, 3006)
    assert how.starts(2800)[-2:] == (2048, 2288)


def test_section_4_2_1_removes_tiles_that_hold_only_black() -> None:
    view = study(1, pitch_mm=0.2, sides=("L",), projections=("CC",)).views[0]
    picture, how = shown(view)[None], Tiling(size_px=128, step_px=64)
    kept, every = set(lit(picture, how)), set(tiles(picture.shape[1], picture.shape[2], how))
    assert 0 < len(kept) < len(every)
    assert all(view.breast[tile.place].any() for tile in kept)
    assert not any(picture[:, *tile.place].any() for tile in every - kept)


@pytest.mark.parametrize("weight", ["even", "hann"])
def test_tiles_at_the_papers_size_leave_no_seams(weight: str) -> None:
    how = Tiling.model_validate({"weight": weight})
    picture = np.random.default_rng(4).uniform(0.1, 1, (1, 1200, 1100)).astype(np.float32)
    by_tiles = read_by_tiles(picture, np.sqrt, how, kinds=1, at_once=4)
    np.testing.assert_allclose(by_tiles, np.sqrt(picture), atol=1e-6)


def test_section_4_2_1_dilates_labels_to_900_pixels_of_0_07_mm() -> None:
    """In mm², so that a label is as large on any detector; within one ring of pixels."""
    assert pytest.approx(900 * 0.07**2, rel=3e-3) == LEAST_MM2
    for pitch_mm in (0.05, 0.07, 0.085, 0.1):
        mask = np.zeros((120, 120), dtype=np.bool_)
        mask[60, 60] = True
        area = dilated(mask, LEAST_MM2, (pitch_mm, pitch_mm)).sum() * pitch_mm**2
        assert LEAST_MM2 <= area < 1.02 * LEAST_MM2
