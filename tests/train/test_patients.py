import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from train.metrics.auc import auc
from train.metrics.bootstrap import difference, interval, widened
from train.metrics.grouping import Level, Rated, highest, mean_logit, per

VIEWS = Rated(
    keys=(
        ("ann", "2020", "L", "CC"),
        ("ann", "2020", "L", "MLO"),
        ("ann", "2020", "R", "CC"),
        ("bea", "2020", "L", "CC"),
        ("bea", "2021", "L", "CC"),
    ),
    truth=np.array([False, True, False, False, False]),
    scores=np.array([0.2, 0.8, 0.6, 0.1, 0.3]),
    weights=np.array([1.0, 1.0, 1.0, 5.0, 2.0]),
)


def test_views_become_breasts_and_breasts_become_exams() -> None:
    breasts = per(Level.BREAST, VIEWS, mean_logit)
    assert [key[2] for key in breasts.keys] == ["L", "R", "L", "L"]
    assert breasts.truth.tolist() == [True, False, False, False]
    assert breasts.scores == pytest.approx([0.5, 0.6, 0.1, 0.3])  # the logits of 0.2 and 0.8 cancel
    exams = per(Level.EXAM, breasts, highest)
    assert exams.keys == (("ann", "2020"), ("bea", "2020"), ("bea", "2021"))
    assert exams.scores == pytest.approx([0.6, 0.1, 0.3])
    assert exams.weights is not None
    assert exams.weights.tolist() == [1, 5, 2]


def test_what_cannot_be_grouped_is_refused() -> None:
    with pytest.raises(ValueError, match="bea holds cases of different weights"):
        per(Level.PATIENT, VIEWS, highest)
    exams = per(Level.EXAM, VIEWS, highest)
    with pytest.raises(ValueError, match="keys of 2 parts do not tell one breast from another"):
        per(Level.BREAST, exams, highest)
    with pytest.raises(ValueError, match="1 keys, 2 truths"):
        Rated((("ann",),), np.array([True, False]), np.array([0.5]))


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.floats(0.01, 0.99)),
        min_size=1,
        max_size=30,
    )
)
def test_grouping_in_steps_is_grouping_at_once(rows: list[tuple[int, int, bool, float]]) -> None:
    rated = Rated(
        tuple((str(patient), str(exam)) for patient, exam, _, _ in rows),
        np.array([truth for _, _, truth, _ in rows]),
        np.array([score for _, _, _, score in rows]),
    )
    at_once = per(Level.PATIENT, rated, highest)
    in_steps = per(Level.PATIENT, per(Level.EXAM, rated, highest), highest)
    assert at_once.keys == in_steps.keys
    assert (at_once.truth == in_steps.truth).all()
    assert (at_once.scores == in_steps.scores).all()
    gathered = per(Level.PATIENT, rated, mean_logit).scores
    assert (gathered <= at_once.scores + 1e-9).all()


def test_two_views_of_opposite_certainty_leave_a_breast_in_doubt() -> None:
    assert mean_logit(np.array([0.0, 1.0])) == pytest.approx(0.5, abs=1e-4)


Drawn = tuple[list[NDArray[np.intp]], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]
Measure = Callable[[Sequence[NDArray[np.intp]]], float]


def systems(seed: int, better: float) -> Drawn:
    """Draw 150 patients of two views, and two systems that see the same difficulty."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(150), 2)
    truth = np.repeat(rng.random(150) < 0.3, 2)
    ease = np.repeat(rng.normal(size=150), 2)
    one = ease + (1 + better) * truth + 0.5 * rng.normal(size=300)
    other = ease + truth + 0.5 * rng.normal(size=300)
    return [np.flatnonzero(ids == one_id) for one_id in np.unique(ids)], truth, one, other


def auc_of(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> Measure:
    def measure(patients: Sequence[NDArray[np.intp]]) -> float:
        rows = np.concatenate(patients)
        return auc(truth[rows], scores[rows])

    return measure


def test_a_better_system_is_told_from_a_worse_by_pairing() -> None:
    patients, truth, one, other = systems(seed=3, better=0.6)
    found = difference(auc_of(truth, one), auc_of(truth, other), patients, draws=400)
    assert found.value == pytest.approx(auc(truth, one) - auc(truth, other))
    assert 0 < found.low < found.value < found.high
    assert found.p < 0.05
    # Alone, their intervals overlap: the pairing takes out what is hard for both.
    assert (
        interval(auc_of(truth, one), patients, draws=400)[0]
        < interval(auc_of(truth, other), patients, draws=400)[1]
    )


def test_the_other_way_around_the_difference_turns_and_p_stays() -> None:
    patients, truth, one, other = systems(seed=3, better=0.6)
    there = difference(auc_of(truth, one), auc_of(truth, other), patients, draws=200)
    back = difference(auc_of(truth, other), auc_of(truth, one), patients, draws=200)
    assert (back.value, back.low, back.high, back.p) == pytest.approx(
        (-there.value, -there.high, -there.low, there.p)
    )


def test_a_system_does_not_differ_from_itself() -> None:
    patients, truth, one, _ = systems(seed=4, better=0)
    same = difference(auc_of(truth, one), auc_of(truth, one), patients, draws=50)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_equal_systems_are_seldom_called_different() -> None:
    called = 0
    for seed in range(60):
        values = np.random.default_rng(seed).normal(size=(60, 2))
        called += difference(_first, _second, list(values), draws=200, seed=seed).p < 0.05
    assert called <= 8  # 3 expected; 9 or more come by chance once in 300


def _first(patients: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean(patients, axis=0)[0])


def _second(patients: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean(patients, axis=0)[1])


def test_a_wider_confidence_makes_a_wider_interval() -> None:
    values = list(np.random.default_rng(5).normal(size=50))
    wide = interval(_mean, values, confidence=0.99, draws=300)
    narrow = interval(_mean, values, confidence=0.5, draws=300)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def test_a_difference_without_a_number_is_no_number() -> None:
    found = difference(lambda _: math.nan, lambda _: 0.0, [1, 2], draws=5)
    assert all(map(math.isnan, (found.value, found.low, found.high, found.p)))


def test_an_interval_without_width_says_how_few_patients_it_rests_on() -> None:
    assert widened(0.5, 0.2, 0.8, 3) == (0.2, 0.8)
    # As scipy.stats.binomtest(n, n).proportion_ci(method="exact") has it.
    assert widened(1.0, 1.0, 1.0, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert widened(0.0, 0.0, 0.0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)
    assert widened(0.5, 0.5, 0.5, 1) == (0.0, 1.0)
