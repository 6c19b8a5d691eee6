import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from inference.findings import Box
from inference.platt import platt
from train.metrics.auc import auc
from train.metrics.bootstrap import interval
from train.metrics.dice import Dice
from train.metrics.froc import (
    Marked,
    at_threshold,
    curve,
    finds,
    iou,
    marked,
    sensitivity_at,
    threshold_at,
)


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 8)),
        min_size=2,
        max_size=40,
    ).filter(lambda rows: len({truth for truth, _ in rows}) == 2)
)
def test_auc_agrees_with_scikit_learn_ties_included(rows: list[tuple[bool, int]]) -> None:
    truth, scores = zip(*rows, strict=True)
    assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_auc_without_both_kinds_is_no_number() -> None:
    assert math.isnan(auc([True, True], [0.1, 0.2]))


def test_a_mark_finds_by_overlap_or_by_its_center() -> None:
    lesion = Box(0, 0, 10, 10)
    assert finds(Box(4, 4, 6, 6), lesion)  # tiny, in the middle
    assert finds(Box(6, 0, 16, 10), lesion)  # center outside, IoU 0.25
    assert not finds(Box(9, 0, 19, 10), lesion)
    assert finds(Box(-30, -30, 40, 40), lesion)
    assert iou(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou(Box(0, 0, 2, 2), Box(5, 5, 6, 6)) == 0


IMAGES = [
    marked(
        [
            (Box(0, 0, 10, 10), 0.9),
            (Box(1, 1, 9, 9), 0.5),  # a second mark on the same lesion
            (Box(50, 50, 60, 60), 0.7),
        ],
        [Box(0, 0, 10, 10), Box(20, 20, 30, 30)],
    ),
    marked([(Box(0, 0, 5, 5), 0.4)], []),
]


def test_further_marks_on_a_found_lesion_count_neither_way() -> None:
    assert [Marked((0.9, -math.inf), (0.7,)), Marked((), (0.4,))] == IMAGES


def test_the_froc_is_read_at_thresholds_and_at_rates() -> None:
    assert at_threshold(IMAGES, 0.8) == (0.5, 0)
    assert at_threshold(IMAGES, 0.7) == (0.5, 0.5)
    assert at_threshold(IMAGES, 0.0) == (0.5, 1)
    assert sensitivity_at(IMAGES, 0.25) == 0.5
    assert sensitivity_at([Marked((0.3,), (0.6,))], 0.5) == 0
    assert sensitivity_at([Marked((0.3,), (0.6,))], 1) == 1


@given(st.lists(st.lists(st.floats(0, 1), max_size=5), min_size=1, max_size=20), st.floats(0, 4))
def test_a_threshold_keeps_the_promised_rate_and_no_lower_one_does(
    scores: list[list[float]], rate: float
) -> None:
    images = [Marked((), tuple(false)) for false in scores]
    threshold = threshold_at(images, rate)
    assert at_threshold(images, threshold)[1] <= rate
    if threshold > 0:
        assert at_threshold(images, math.nextafter(threshold, -1))[1] > rate


def test_dice_is_gathered_over_images() -> None:
    dice = Dice(3)
    dice.add(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [0, 1]]))
    dice.add(np.array([[0, 0], [0, 0]]), np.array([[0, 1], [0, 0]]))
    by_class = dice.by_class()
    assert by_class[0] == pytest.approx(2 * 4 / (5 + 5))
    assert by_class[1] == pytest.approx(2 * 2 / (3 + 3))
    assert math.isnan(by_class[2])
    assert dice.mean() == pytest.approx((0.8 + 2 / 3) / 2)


def test_an_interval_covers_the_truth_and_resamples_whole_patients() -> None:
    rng = np.random.default_rng(7)
    patients = [[value] * 10 for value in rng.normal(5, 1, 100)]
    low, high = interval(lambda some: float(np.mean(some)), patients, draws=500)
    # Ten copies of each value say no more than one: the width is that of 100 values, not 1,000.
    assert low < 5 < high
    assert high - low == pytest.approx(2 * 1.96 / math.sqrt(100), rel=0.3)


def test_an_interval_without_a_number_is_no_number() -> None:
    assert all(map(math.isnan, interval(lambda _: math.nan, [1, 2], draws=5)))


def test_platt_finds_the_line_that_made_the_data() -> None:
    rng = np.random.default_rng(8)
    logits = rng.normal(0, 2, 20_000)
    truth = rng.random(20_000) < expit(0.7 * logits - 1.5)
    assert platt(logits, truth) == pytest.approx((0.7, -1.5), abs=0.1)


def test_platt_never_turns_the_order_around() -> None:
    slope, _ = platt([-2, -1, 1, 2], [True, True, False, False])
    assert slope > 0


def test_platt_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="0 cancers and 2 others"):
        platt([0.0, 1.0], [False, False])


def test_a_weight_counts_an_image_so_often() -> None:
    once = [Marked((0.9, 0.2), (0.5,)), Marked((0.4,), (0.8, 0.1)), Marked((), (0.3,))]
    weighed = [replace(image, weight=weight) for image, weight in zip(once, (3, 1, 2), strict=True)]
    repeated = [once[0]] * 3 + [once[1]] + [once[2]] * 2
    for rate in (0.1, 0.2, 0.5, 0.9, 2.0):
        assert threshold_at(weighed, rate) == threshold_at(repeated, rate)
        assert sensitivity_at(weighed, rate) == pytest.approx(sensitivity_at(repeated, rate))
    for one, other in zip(
        (curve(weighed).false_per_image, curve(weighed).sensitivity),
        (curve(repeated).false_per_image, curve(repeated).sensitivity),
        strict=True,
    ):
        np.testing.assert_allclose(one, other)
