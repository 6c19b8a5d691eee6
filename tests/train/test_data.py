from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from inference.findings import Box, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, prepare
from inference.reading import exam as read_exam
from phantom.dicom import datasets
from phantom.study import study
from train.data.augment import Augmentation, Draw, drawn, numbered, pool, unchanged
from train.data.lesson import Lesson, label_of
from train.data.patches import sampled
from train.data.phantom import case, lessons
from train.data.splits import Seeds, overlapping

HOW = Preparation(height_px=160, width_px=80, pitch_mm=1.6, channels=("mean", "max"))
STILL = Augmentation(turn_deg=0, zoom=0, contrast=0, flip=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> list[Lesson]:
    """Make the lessons of two patients once."""
    return lessons(range(1, 3), 0.8, HOW, tmp_path_factory.mktemp("cache"), workers=1)


def square(row: int, column: int, *, cancer: bool = True) -> Lesson:
    """Make a lesson with one bright square of 10 x 10."""
    picture, labels = np.full((2, 96, 64), 40, np.uint8), np.zeros((96, 64), np.uint8)
    picture[:, row : row + 10, column : column + 10] = 200
    labels[row : row + 10, column : column + 10] = 2
    return Lesson(
        patient="1",
        side=Side.LEFT,
        picture=picture,
        labels=labels,
        placement=Placement(0, 0, 64, 96, flipped=False, rows=96, columns=64),
        boxes=(Box(column, row, column + 10, row + 10),),
        kinds=(Kind.MASS,),
        malignant=(cancer,),
    )


def test_a_phantom_takes_the_way_of_a_patient() -> None:
    seen = study(3, pitch_mm=0.4)
    ours, served = case(3, 0.4).exam, read_exam("1", datasets(seen))
    for one, other in zip(ours.views, served.views, strict=True):
        assert (one.side, one.projection) == (other.side, other.projection)
        mine, theirs = prepare(one, HOW), prepare(other, HOW)
        assert mine.placement == theirs.placement
        np.testing.assert_allclose(mine.picture, theirs.picture, atol=1e-6)


def test_lessons_hold_what_the_patient_shows(kept: list[Lesson]) -> None:
    assert [lesson.patient for lesson in kept] == ["1"] * 4 + ["2"] * 4
    for seed in (1, 2):
        patient = case(seed, 0.8)
        views = [lesson for lesson in kept if lesson.patient == str(seed)]
        for lesson, view, truths in zip(views, patient.exam.views, patient.truths, strict=True):
            assert lesson.side is view.side
            assert lesson.boxes == tuple(truth.box for truth in truths)
            assert lesson.cancer is any(truth.malignant for truth in truths)
            picture = prepare(view, HOW).picture
            assert np.abs(lesson.picture / 255 - picture).max() <= 0.5 / 255 + 1e-6
            assert set(np.unique(lesson.labels)) == {
                0,
                *(label_of(truth.kind, malignant=bool(truth.malignant)) for truth in truths),
            }
            for truth in truths:
                box = lesson.placement.box_to_picture(truth.box)
                rows, columns = np.nonzero(
                    lesson.labels == label_of(truth.kind, malignant=bool(truth.malignant))
                )
                assert rows.max() < box.bottom + 1 or len(truths) > 1
                assert columns.max() < box.right + 1 or len(truths) > 1


def test_the_cache_is_used_and_whole(tmp_path: Path) -> None:
    first = lessons([4], 1.0, HOW, tmp_path, workers=1)
    (file,) = tmp_path.rglob("*.npz")
    written = file.stat().st_mtime_ns
    again = lessons([4], 1.0, HOW, tmp_path, workers=1)
    assert file.stat().st_mtime_ns == written
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)
    lessons([4], 0.9, HOW, tmp_path, workers=1)
    assert len(list(tmp_path.rglob("*.npz"))) == 2


def test_an_unchanged_batch_is_the_lesson_itself() -> None:
    lesson = square(20, 30)
    for batch in (
        unchanged([lesson]),
        drawn(
            pool([lesson]),
            Draw(1, 96, 64, cancers=1, benign=0, centered=False),
            STILL,
            np.random.default_rng(0),
        ),
    ):
        np.testing.assert_allclose(batch.pictures[0].numpy() * 255, lesson.picture, atol=0.01)
        np.testing.assert_array_equal(batch.labels[0].numpy(), lesson.labels)
        assert batch.cancer.tolist() == [1]


@pytest.mark.parametrize("stretch", [0.0, 0.3])
@pytest.mark.parametrize("centered", [True, False])
def test_pictures_and_labels_move_together(centered: bool, stretch: float) -> None:  # noqa: FBT001 - a case
    change = Augmentation(turn_deg=30, zoom=0.3, contrast=0, flip=True, stretch=stretch)
    draw = Draw(16, 64, 64, cancers=1, benign=0, centered=centered)
    batch = drawn(pool([square(40, 30)]), draw, change, np.random.default_rng(1))
    bright = batch.pictures[:, 0] * 255 > 120
    assert batch.labels.bool().sum() > 500
    assert (bright != batch.labels.bool()).float().mean() < 0.01


def test_a_stretched_lesion_keeps_its_area_and_changes_its_shape() -> None:
    change = Augmentation(turn_deg=0, zoom=0, contrast=0, flip=False, stretch=0.5)
    draw = Draw(32, 64, 64, cancers=1, benign=0, centered=True)
    batch = drawn(pool([square(40, 30)]), draw, change, np.random.default_rng(1))
    boxes = torch.cat([one.boxes for one in batch.lesions])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    ratios = width / height
    assert 1 / 3 < ratios.min() < 0.7
    assert 1.4 < ratios.max() < 3
    whole = drawn(pool([square(40, 30)]), draw, STILL, np.random.default_rng(1)).lesions[0].boxes
    area = float((whole[0, 2] - whole[0, 0]) * (whole[0, 3] - whole[0, 1]))
    assert (width * height).median() == pytest.approx(area, rel=0.15)


def test_what_is_no_padding_is_where_the_changed_picture_shows_it() -> None:
    """Regions are cut off there, so a lesion beyond it could not be proposed."""
    lesson = replace(
        square(60, 40), placement=Placement(0, 0, 52, 72, flipped=False, rows=72, columns=52)
    )
    lesson.picture[:, 72:], lesson.picture[:, :, 52:] = 0, 0
    change = Augmentation(turn_deg=15, zoom=0.3, contrast=0, flip=True)
    draw = Draw(64, 96, 64, cancers=1, benign=0, centered=False)
    batch = drawn(pool([lesson]), draw, change, np.random.default_rng(3))
    for picture, (rows, columns), lesions in zip(
        batch.pictures, batch.sizes, batch.lesions, strict=True
    ):
        bright = torch.nonzero(picture[0] > 0.1)
        assert rows >= bright[:, 0].max()
        assert columns >= bright[:, 1].max()
        for _, _, right, bottom in lesions.boxes.tolist():
            assert right <= columns
            assert bottom <= rows
    still = drawn(pool([lesson]), draw, STILL, np.random.default_rng(3))
    assert set(still.sizes) == {(72, 52)}


def test_a_flip_keeps_the_breast_in_the_picture() -> None:
    lesson = square(10, 10)
    short = Lesson(
        **{
            name: getattr(lesson, name)
            for name in ("patient", "side", "picture", "labels", "boxes", "kinds", "malignant")
        },
        placement=Placement(0, 0, 64, 48, flipped=False, rows=48, columns=64),
    )
    change = Augmentation(turn_deg=0, zoom=0, contrast=0, flip=True)
    draw = Draw(20, 96, 64, cancers=1, benign=0, centered=False)
    batch = drawn(pool([short]), draw, change, np.random.default_rng(2))
    tops = {int(torch.nonzero(labels)[0, 0]) for labels in batch.labels}
    assert tops == {10, 48 - 20}


def test_windows_are_centered_near_a_lesion() -> None:
    draw = Draw(32, 32, 32, cancers=1, benign=0, centered=True)
    batch = drawn(pool([square(40, 30)]), draw, STILL, np.random.default_rng(3))
    assert (batch.labels.flatten(1).sum(dim=1) > 0).float().mean() > 0.9


def test_a_batch_is_made_of_what_is_asked_for() -> None:
    healthy = Lesson(
        "1",
        Side.LEFT,
        np.zeros((2, 96, 64), np.uint8),
        np.zeros((96, 64), np.uint8),
        square(0, 0).placement,
        (),
        (),
        (),
    )
    lot = pool([square(1, 1), square(1, 1, cancer=False), healthy])
    assert (len(lot.cancers), len(lot.benign), len(lot.healthy)) == (1, 1, 1)
    draw = Draw(400, 8, 8, cancers=0.5, benign=0.2, centered=False)
    batch = drawn(lot, draw, STILL, np.random.default_rng(4))
    assert 0.4 < batch.cancer.mean() < 0.6


def test_splits_are_whole_patients_and_never_meet() -> None:
    one = Seeds(first_seed=10, studies=5)
    assert list(one.seeds) == [10, 11, 12, 13, 14]
    assert not overlapping([one, Seeds(first_seed=15, studies=1)])
    assert overlapping([Seeds(first_seed=14, studies=9), one])
    with pytest.raises(ValidationError):
        Seeds(first_seed=0, studies=0)


def test_boxes_and_masks_of_a_changed_picture_lie_on_what_it_shows() -> None:
    change = Augmentation(turn_deg=20, zoom=0.2, contrast=0, flip=True)
    draw = Draw(1, 96, 64, cancers=1, benign=0, centered=False)
    for seed in range(20):
        batch = drawn(pool([square(40, 25)]), draw, change, np.random.default_rng(seed))
        (shown,) = batch.lesions
        (box,), (mask,) = shown.boxes.int().tolist(), shown.masks
        assert shown.classes.tolist() == [2]
        left, top, right, bottom = box
        assert mask[top:bottom, left:right].sum() == mask.sum() > 60
        assert mask[top].any()
        assert mask[bottom - 1].any()
        assert mask[:, left].any()
        assert mask[:, right - 1].any()
        assert (batch.pictures[0, 0][mask] > 0.4).float().mean() > 0.8
        assert (batch.labels[0] == 2).equal(mask)


def test_a_lesion_that_the_window_hardly_shows_teaches_nothing() -> None:
    shown = drawn(
        pool([square(0, 0)]),
        Draw(40, 96, 64, cancers=1, benign=0, centered=False),
        Augmentation(turn_deg=45, zoom=0, contrast=0, flip=False),
        np.random.default_rng(3),
    )
    counts = [(len(lesions.boxes), int(lesions.masks.sum())) for lesions in shown.lesions]
    assert {count for count, _ in counts} == {0, 1}
    assert all(pixels >= 25 for count, pixels in counts if count)


def test_a_view_may_have_more_lesions_than_a_byte_counts() -> None:
    empty = square(0, 0)
    places = [(row, column) for row in range(1, 91, 3) for column in range(1, 41, 4)]
    labels = np.zeros((96, 64), np.uint8)
    for row, column in places:
        labels[row, column : column + 2] = 4
    specks = replace(
        empty,
        labels=labels,
        boxes=tuple(Box(column, row, column + 2, row + 1) for row, column in places),
        kinds=(Kind.CALCIFICATION,) * len(places),
        malignant=(True,) * len(places),
    )
    assert len(places) == 300
    assert np.bincount(numbered(specks).ravel())[1:].tolist() == [2] * 300
    draw = Draw(1, 96, 64, cancers=1, benign=0, centered=False)
    still = drawn(pool([specks]), draw, STILL, np.random.default_rng(0))
    for (shown,) in (unchanged([specks]).lesions, still.lesions):
        assert shown.boxes.int().tolist() == [[c, r, c + 2, r + 1] for r, c in places]
    assert len(sampled([specks], patch_px=8, per_lesion=1, seed=1)) == 600
