import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from inference.findings import Box, Mask
from train.metrics.average_precision import (
    Judged,
    detection_average_precision,
    detection_recall,
    judged,
)
from train.metrics.dice import Dice, dice
from train.metrics.froc import (
    Curve,
    Marked,
    at_threshold,
    curve,
    marked,
    overlapping,
    sensitivity_at,
)
from train.metrics.iop import by_prediction, inside

LESIONS = [Box(0, 0, 10, 10), Box(20, 20, 30, 30)]


def test_each_lesion_is_given_once_and_to_the_surest_mark() -> None:
    marks = [
        (Box(0, 0, 10, 9), 0.6),  # IoU 0.9, but second
        (Box(0, 0, 10, 6), 0.8),  # IoU 0.6
        (Box(20, 20, 30, 24), 0.9),  # IoU 0.4
    ]
    assert judged(marks, LESIONS) == Judged((0.6, 0.8, 0.9), (None, 0, None), 2)
    assert judged(marks, LESIONS, iou_above=0.2).lesion == (None, 0, 1)
    assert judged(marks, LESIONS, iou_above=0.6).lesion == (0, None, None)  # it must exceed 0.6


def test_average_precision_by_hand() -> None:
    # true, false, true of three lesions: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    images = [Judged((0.9, 0.7), (0, 1), 2), Judged((0.8,), (None,), 1)]
    assert detection_average_precision(images, levels=None) == pytest.approx((1 + 2 / 3) / 3)
    # COCO: 34 levels up to 1/3 at 1, 33 up to 2/3 at 2/3, the other 34 at none
    assert detection_average_precision(images) == pytest.approx((34 + 33 * 2 / 3) / 101)
    # VOC 2007: 0, .1, .2, .3 at 1, .4, .5, .6 at 2/3
    assert detection_average_precision(images, levels=11) == pytest.approx((4 + 3 * 2 / 3) / 11)
    assert detection_recall(images) == pytest.approx(2 / 3)
    assert detection_recall(images, 0.8) == pytest.approx(1 / 3)


def test_average_precision_without_marks_is_none_and_without_lesions_no_number() -> None:
    assert detection_average_precision([Judged((), (), 2)]) == 0
    assert detection_average_precision([Judged((), (), 2)], levels=None) == 0
    assert math.isnan(detection_average_precision([Judged((0.5,), (None,), 0)]))
    assert math.isnan(detection_recall([Judged((), (), 0)]))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=30))
def test_interpolation_never_lowers_what_scikit_learn_finds(rows: list[tuple[bool, int]]) -> None:
    truth = [true for true, _ in rows]
    scores = tuple(float(score) for _, score in rows)
    if not any(truth):
        return
    numbers = iter(range(len(rows)))
    image = Judged(scores, tuple(next(numbers) if true else None for true in truth), sum(truth))
    # Every lesion has a mark, so boxes are a ranking; the precision at a recall *or more* counts.
    plain = average_precision_score(truth, scores)
    assert plain - 1e-9 <= detection_average_precision([image], levels=None) <= 1
    if all(truth):
        assert detection_average_precision([image]) == pytest.approx(1)


def test_a_mark_may_be_judged_by_overlap_alone() -> None:
    tiny = [(Box(4, 4, 6, 6), 0.9)]
    assert marked(tiny, LESIONS[:1]) == Marked((0.9,), ())
    assert marked(tiny, LESIONS[:1], found_by=overlapping(0.2)) == Marked((-math.inf,), (0.9,))


images = st.lists(
    st.builds(
        Marked,
        st.lists(st.one_of(st.floats(0, 1), st.just(-math.inf)), max_size=3).map(tuple),
        st.lists(st.floats(0, 1), max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=12,
)


@given(images, st.floats(0, 4))
def test_a_curve_holds_what_each_threshold_gives(some: list[Marked], rate: float) -> None:
    whole = curve(some)
    for threshold, false, sensitivity in zip(
        whole.thresholds, whole.false_per_image, whole.sensitivity, strict=True
    ):
        assert at_threshold(some, threshold) == pytest.approx((sensitivity, false), nan_ok=True)
    expected = sensitivity_at(some, rate)
    assert whole.sensitivity_at(rate) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_an_envelope_rises_and_loses_nothing(points: list[tuple[int, int]]) -> None:
    false, found = np.array(points, dtype=np.float64).T
    wild = Curve(np.linspace(1, 0, len(points)), false, found / 6)
    envelope = wild.envelope()
    assert (np.diff(envelope.sensitivity) > 0).all()
    assert (np.diff(envelope.false_per_image) > 0).all()
    for rate in range(7):
        assert envelope.sensitivity_at(rate) == pytest.approx(
            wild.sensitivity_at(rate), nan_ok=True
        )
    kept = set(zip(envelope.thresholds, envelope.sensitivity, strict=True))
    assert kept <= set(zip(wild.thresholds, wild.sensitivity, strict=True))


def outline(left: int, top: int, width: int, height: int = 1) -> Mask:
    return Mask(left, top, np.ones((height, width), np.bool_))


def test_several_marks_in_one_region_count_once_with_the_surest() -> None:
    large, dot = outline(2, 2, 20, 20), outline(30, 30, 3, 3)
    marks = [
        (outline(4, 4, 3), 0.5),
        (outline(10, 10, 3), 0.8),
        (outline(2, 38, 3), 0.7),
        (None, 0.6),
    ]
    judged_marks = by_prediction(marks, [large, dot, None])
    assert judged_marks == Marked((0.8, -math.inf, -math.inf), (0.7, 0.6))


def test_a_mark_is_true_when_more_than_a_quarter_of_it_is_inside() -> None:
    region = outline(0, 1, 4)
    assert inside(outline(3, 1, 4), region) == 0.25
    assert by_prediction([(outline(3, 1, 4), 0.9)], [region]) == Marked((-math.inf,), (0.9,))
    assert by_prediction([(outline(3, 1, 3), 0.9)], [region]) == Marked((0.9,), ())


def test_a_label_of_no_class_is_refused_rather_than_counted_for_another() -> None:
    with pytest.raises(ValueError, match="a label is outside 0 to 1"):
        Dice(2).add(np.array([0, 0]), np.array([0, 2]))
    with pytest.raises(ValueError, match="both must be of one image"):
        Dice(2).add(np.array([0, 0]), np.array([0]))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_one_masks_dice_is_that_of_a_data_set_of_one(pixels: list[tuple[int, int]]) -> None:
    truth, predicted = np.array(pixels).T
    gathered = Dice(2)
    gathered.add(truth, predicted)
    expected = gathered.by_class()[1]
    assert dice(truth == 1, predicted == 1) == pytest.approx(expected, nan_ok=True)
