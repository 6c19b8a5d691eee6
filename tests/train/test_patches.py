"""Patches as Shen and others 2019 sample them (section 3.1.1, and the paper's published code)."""

from collections import Counter

import numpy as np
import pytest
import torch

from inference.findings import Box, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from train.data.lesson import Lesson
from train.data.patches import (
    LEAST_OVERLAP,
    MOST_BACKGROUND,
    Change,
    Patch,
    around,
    beside,
    changed,
    covered,
    cut,
    overlaps,
    sampled,
)

STILL = Change(turn_deg=0, zoom=0, contrast=0, flip=False, mirror=False, shear_rad=0, shift=0)
ROWS, COLUMNS = 300, 200


def region(top: int, left: int, height: int, width: int) -> np.ndarray:
    made = np.zeros((ROWS, COLUMNS), np.bool_)
    made[top : top + height, left : left + width] = True
    return made


def at(*centers: tuple[int, int]) -> np.ndarray:
    return np.array(centers)


def lesson(*lesions: tuple[int, int, int, int, Kind, bool], breast: int = COLUMNS) -> Lesson:
    """Make a lesson with rectangles for lesions, on a breast of that many columns."""
    picture, labels = np.zeros((1, ROWS, COLUMNS), np.uint8), np.zeros((ROWS, COLUMNS), np.uint8)
    picture[:, :, :breast] = 60
    for top, left, height, width, kind, malignant in lesions:
        label = (1 if kind is Kind.MASS else 3) + malignant
        labels[top : top + height, left : left + width] = label
        picture[:, top : top + height, left : left + width] = 100 + 30 * label
    return Lesson(
        patient="1",
        side=Side.LEFT,
        picture=picture,
        labels=labels,
        placement=Placement(0, 0, COLUMNS, ROWS, flipped=False, rows=ROWS, columns=COLUMNS),
        boxes=tuple(Box(x, y, x + w, y + h) for y, x, h, w, _, _ in lesions),
        kinds=tuple(kind for *_, kind, _ in lesions),
        malignant=tuple(malignant for *_, malignant in lesions),
    )


MASS = (100, 50, 40, 40, Kind.MASS, True)
CALCIFICATION = (200, 120, 20, 30, Kind.CALCIFICATION, False)


# The rule of overlap


def test_what_a_patch_covers_is_counted_exactly() -> None:
    area = np.random.default_rng(1).random((ROWS, COLUMNS)) < 0.3
    centers = at((0, 0), (150, 100), (299, 199), (10, 190))
    counted = [
        area[max(0, r - 32) : max(0, r + 32), max(0, c - 32) : max(0, c + 32)].sum()
        for r, c in centers
    ]
    assert covered(area, centers, 64).tolist() == counted


def test_a_patch_overlaps_by_its_part_of_the_region_or_by_the_regions_part_of_it() -> None:
    small, large = region(100, 50, 10, 10), region(0, 0, 200, 200)
    # The whole of the small region, though 100 of 4096 pixels of the patch only.
    assert overlaps(small, at((105, 55)), 64, 0.9).tolist() == [True]
    # The whole of the patch, though 4096 of 40,000 pixels of the large region only.
    assert overlaps(large, at((100, 100)), 64, 0.9).tolist() == [True]
    # Half of the patch and a twentieth of the region.
    assert overlaps(large, at((200, 100)), 64, 0.5).tolist() == [False]
    assert overlaps(large, at((200, 100)), 64, 0.49).tolist() == [True]


def test_an_overlap_must_exceed_its_cutoff() -> None:
    ten = region(100, 50, 10, 10)
    nine_tenths = at((105 + 32 - 4, 55))  # the patch begins one row into the region
    assert covered(ten, nine_tenths, 64).tolist() == [90]
    assert overlaps(ten, nine_tenths, 64, 0.9).tolist() == [False]
    assert overlaps(ten, nine_tenths - at((1, 0)), 64, 0.9).tolist() == [True]


# Around lesions, and beside them


def test_patches_around_a_lesion_overlap_it_by_nine_tenths_and_more() -> None:
    roi = region(100, 50, 40, 40)
    found = around(roi, 10, 64, np.random.default_rng(1))
    shared = covered(roi, found, 64)
    assert len(found) == 10
    assert len({tuple(center) for center in found.tolist()}) > 5
    assert shared.min() > LEAST_OVERLAP * roi.sum()


def test_a_region_that_no_patch_can_show_so_far_relaxes_the_overlap() -> None:
    # As long as two patches and thin: a patch holds half of it, and it fills little of a patch.
    roi = region(20, 50, 128, 4)
    found = around(roi, 10, 64, np.random.default_rng(1))
    parts = covered(roi, found, 64) / roi.sum()
    assert len(found) == 10
    assert parts.max() <= 0.5
    assert parts.min() > 0.4  # not relaxed further than it had to be


def test_what_was_found_before_the_overlap_was_relaxed_is_kept() -> None:
    # Only the very middle of so large a region holds nine tenths of it.
    roi = region(100, 50, 66, 66)
    found = around(roi, 200, 64, np.random.default_rng(1))
    thousand = np.random.default_rng(1).integers((100, 50), (166, 116), (1000, 2))
    strict = thousand[overlaps(roi, thousand, 64, LEAST_OVERLAP)]
    assert 0 < len(strict) < 200
    np.testing.assert_array_equal(found[: len(strict)], strict)


def test_a_region_in_pieces_no_patch_can_hold_is_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match="no patch of 32 pixels shows a region of 2"):
        around(region(0, 0, 1, 1) | region(299, 199, 1, 1), 100_000, 32, np.random.default_rng(1))


def test_background_lies_on_the_breast_and_overlaps_no_lesion_by_much() -> None:
    rois = [region(100, 50, 40, 40), region(200, 20, 20, 30)]
    breast = region(0, 0, ROWS, 90)
    found = beside(rois, breast, 100, 64, np.random.default_rng(1))
    assert len(found) == 100
    assert breast[found[:, 0], found[:, 1]].all()
    for roi in rois:
        shared = covered(roi, found, 64)
        assert (shared / roi.sum()).max() <= MOST_BACKGROUND
        assert (shared / 64**2).max() <= MOST_BACKGROUND


def test_a_breast_full_of_lesion_still_gives_background() -> None:
    found = beside([region(0, 0, 40, 40)], region(0, 0, 40, 40), 5, 64, np.random.default_rng(1))
    assert len(found) == 5


# The sets S1 and S10


def test_s1_has_one_patch_on_each_lesions_center_and_one_of_background_for_each() -> None:
    found = sampled([lesson(MASS, CALCIFICATION)], 64, 1, seed=1)
    assert found[:2] == (Patch(0, 120, 70, 2), Patch(0, 210, 135, 3))
    assert [patch.label for patch in found[2:]] == [0, 0]


def test_s10_has_ten_patches_of_each_lesion_and_as_many_of_background() -> None:
    healthy = lesson()
    found = sampled([lesson(MASS, CALCIFICATION), healthy, lesson(CALCIFICATION)], 64, 10, seed=1)
    assert Counter((patch.lesson, patch.label) for patch in found) == {
        (0, 2): 10,
        (0, 3): 10,
        (0, 0): 20,
        (2, 3): 10,
        (2, 0): 10,
    }


def test_the_same_seed_samples_the_same_patches() -> None:
    lessons = [lesson(MASS)]
    one, same, other = (sampled(lessons, 64, 10, seed) for seed in (1, 1, 2))
    assert one == same != other


def test_background_is_never_in_the_air() -> None:
    found = sampled([lesson(MASS, breast=100)], 64, 10, seed=1)
    assert max(patch.column for patch in found if patch.label == 0) < 100


# Cutting


def test_an_unchanged_patch_is_the_picture_itself_and_black_beyond_it() -> None:
    taken = lesson(MASS)
    patches = cut(
        [taken], [Patch(0, 120, 70, 2), Patch(0, 0, 0, 0)], 64, STILL, np.random.default_rng(1)
    )
    assert patches.shape == (2, 1, 64, 64)
    inside, corner = (patches * 255).numpy()
    np.testing.assert_allclose(inside, taken.picture[:, 88:152, 38:102], atol=0.01)
    np.testing.assert_allclose(corner[:, 32:, 32:], taken.picture[:, :32, :32], atol=0.01)
    assert corner[:, :32].max() < 0.01


def test_a_whole_picture_is_cut_like_a_patch() -> None:
    taken = lesson(MASS)
    whole = changed(
        taken.picture, (ROWS / 2, COLUMNS / 2), (ROWS, COLUMNS), STILL, np.random.default_rng(1)
    )
    np.testing.assert_allclose((whole * 255).numpy(), taken.picture, atol=0.01)


def test_flips_show_a_picture_four_ways() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    change = Change(turn_deg=0, zoom=0, contrast=0, flip=True, mirror=True, shear_rad=0, shift=0)
    seen = {
        tuple(
            (changed(picture, (2, 2), (4, 4), change, np.random.default_rng(n)) * 255)
            .round()
            .int()
            .flatten()
            .tolist()
        )
        for n in range(40)
    }
    ways = (picture[0], picture[0, ::-1], picture[0, :, ::-1], picture[0, ::-1, ::-1])
    assert seen == {tuple(way.ravel().tolist()) for way in ways}


@pytest.mark.parametrize(
    ("name", "by"), [("turn_deg", 25), ("shear_rad", 0.2), ("zoom", 0.2), ("shift", 0.1)]
)
def test_each_change_changes_something_and_keeps_the_lesion_in_the_middle(
    name: str, by: float
) -> None:
    taken, place = lesson((96, 46, 48, 48, Kind.MASS, True)), Patch(0, 120, 70, 2)
    change = Change(
        **{  # type: ignore[arg-type]
            "turn_deg": 0,
            "zoom": 0,
            "contrast": 0,
            "flip": False,
            "mirror": False,
            "shear_rad": 0,
            "shift": 0,
            name: by,
        }
    )
    before = cut([taken], [place], 64, STILL, np.random.default_rng(1))
    after = cut([taken], [place], 64, change, np.random.default_rng(1))
    assert not torch.allclose(before, after, atol=0.01)
    assert torch.allclose(before[:, :, 24:40, 24:40], after[:, :, 24:40, 24:40], atol=0.11)
    assert after.min() >= 0
    assert after.max() <= 1
