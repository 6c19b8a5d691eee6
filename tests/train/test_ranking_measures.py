import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from train.metrics.accuracy import accuracy, confusion
from train.metrics.auc import auc, partial_auc, standardized_partial_auc
from train.metrics.average_precision import average_precision
from train.metrics.operating import (
    Point,
    at_sensitivity,
    at_specificity,
    decided,
    recall,
)

Cases = tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]


@st.composite
def cases(draw: st.DrawFn) -> Cases:
    rows = draw(
        st.lists(
            st.tuples(st.booleans(), st.integers(0, 6), st.floats(0.1, 20)),
            min_size=2,
            max_size=40,
        ).filter(lambda rows: len({truth for truth, _, _ in rows}) == 2)
    )
    truth, scores, weights = zip(*rows, strict=True)
    return np.array(truth), np.array(scores, dtype=np.float64), np.array(weights)


@given(cases())
def test_a_weighted_auc_is_scikit_learns(some: Cases) -> None:
    truth, scores, weights = some
    theirs = roc_auc_score(truth, scores, sample_weight=weights)
    assert auc(truth, scores, weights) == pytest.approx(theirs, abs=1e-9)


@given(cases(), st.floats(0.01, 1))
def test_a_standardized_partial_auc_is_scikit_learns(some: Cases, rate: float) -> None:
    truth, scores, weights = some
    ours = standardized_partial_auc(truth, scores, rate)
    assert ours == pytest.approx(roc_auc_score(truth, scores, max_fpr=rate), abs=1e-9)
    ours = standardized_partial_auc(truth, scores, rate, weights)
    theirs = roc_auc_score(truth, scores, sample_weight=weights, max_fpr=rate)
    assert ours == pytest.approx(theirs, abs=1e-9)


@given(cases())
def test_an_average_precision_is_scikit_learns(some: Cases) -> None:
    truth, scores, weights = some
    assert average_precision(truth, scores) == pytest.approx(average_precision_score(truth, scores))
    theirs = average_precision_score(truth, scores, sample_weight=weights)
    assert average_precision(truth, scores, weights) == pytest.approx(theirs)


@given(cases(), st.integers(1, 4))
def test_a_weight_counts_like_copies(some: Cases, copies: int) -> None:
    truth, scores, _ = some
    weights = np.where(truth, copies, 1)
    again = np.repeat(truth, weights), np.repeat(scores, weights)
    assert auc(truth, scores, weights) == pytest.approx(auc(*again))
    assert average_precision(truth, scores, weights) == pytest.approx(average_precision(*again))
    assert partial_auc(truth, scores, 0.3, weights) == pytest.approx(partial_auc(*again, 0.3))


@given(cases())
def test_only_the_order_of_the_scores_counts(some: Cases) -> None:
    truth, scores, weights = some
    bent = np.exp(scores / 3) - 5
    assert auc(truth, bent, weights) == auc(truth, scores, weights)
    assert partial_auc(truth, bent, 0.2) == partial_auc(truth, scores, 0.2)
    assert auc(truth, -scores) == pytest.approx(1 - auc(truth, scores))


def test_a_partial_auc_of_a_perfect_ranking_is_the_rate_itself() -> None:
    assert partial_auc([0, 0, 1, 1], [1, 2, 3, 4], 0.2) == pytest.approx(0.2)
    assert standardized_partial_auc([0, 0, 1, 1], [1, 2, 3, 4], 0.2) == pytest.approx(1)
    assert partial_auc([0, 1], [5, 5], 0.2) == pytest.approx(0.02)  # chance
    with pytest.raises(ValueError, match=r"false-positive rate of 0: give one in \(0, 1\]"):
        partial_auc([0, 1], [0, 1], 0)


def test_one_kind_alone_gives_no_number() -> None:
    assert math.isnan(partial_auc([0, 0], [0.1, 0.2], 0.2))
    assert math.isnan(average_precision([0, 0], [0.1, 0.2]))
    assert math.isnan(auc([0, 1], [0.1, math.nan]))
    assert math.isnan(recall([0, 0], [0.1, 0.2], 0.1))


@pytest.mark.parametrize(
    ("truth", "scores", "weights", "sentence"),
    [
        ([0, 1, 2], [0.1, 0.2, 0.3], None, "neither 0 nor 1"),
        ([0, 1], [0.1, 0.2, 0.3], None, "2 truths and 3 scores"),
        ([0, 1], [0.1, math.nan], None, "a score is NaN"),
        ([0, 1], [0.1, 0.2], [1.0], "2 cases and weights of shape"),
        ([0, 1], [0.1, 0.2], [1.0, -1.0], "a weight is negative"),
        ([[0, 1]], [[0.1, 0.2]], None, "one answer a case"),
    ],
)
def test_cases_that_make_no_sense_are_refused(
    truth: list[int], scores: list[float], weights: list[float] | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        average_precision(truth, scores, weights)


@given(cases(), st.integers(0, 100).map(lambda part: part / 100))
def test_operating_points_are_the_best_of_the_curve(some: Cases, wanted: float) -> None:
    truth, scores, weights = some
    false, true, _ = roc_curve(truth, scores, sample_weight=weights, drop_intermediate=False)
    chosen = at_specificity(truth, scores, wanted, weights)
    best = true[1 - false >= wanted - 1e-9].max()
    assert chosen.point.sensitivity == pytest.approx(best)
    assert chosen.point.specificity >= wanted - 1e-9
    chosen = at_sensitivity(truth, scores, wanted, weights)
    assert chosen.point.specificity == pytest.approx((1 - false)[true >= wanted - 1e-9].max())
    assert chosen.point.sensitivity >= wanted - 1e-9


@given(cases(), st.integers(0, 100).map(lambda part: part / 100))
def test_a_threshold_leads_to_its_point(some: Cases, wanted: float) -> None:
    truth, scores, weights = some
    for at in (at_specificity, at_sensitivity):
        chosen = at(truth, scores, wanted, weights)
        there = decided(truth, scores >= chosen.threshold, weights)
        assert there.sensitivity == pytest.approx(chosen.point.sensitivity)
        assert there.specificity == pytest.approx(chosen.point.specificity)
        assert recall(truth, scores, chosen.threshold, weights) == pytest.approx(there.sensitivity)


def test_no_needless_false_positive_is_taken() -> None:
    chosen = at_specificity([1, 0, 0, 0], [4, 3, 2, 1], 0.5)
    assert (chosen.threshold, chosen.point) == (4, Point(1, 1))


def test_a_system_stands_beside_a_reader_at_the_readers_point() -> None:
    truth = [1, 1, 1, 1, 0, 0, 0, 0]
    scores = [0.9, 0.8, 0.7, 0.2, 0.75, 0.3, 0.1, 0.1]
    reader = decided(truth, [1, 1, 0, 0, 1, 0, 0, 0])
    assert reader == Point(sensitivity=0.5, specificity=0.75)
    beside = at_specificity(truth, scores, reader.specificity)
    assert (beside.threshold, beside.point) == (0.7, Point(sensitivity=0.75, specificity=0.75))
    beside = at_sensitivity(truth, scores, reader.sensitivity)
    assert beside.point == Point(sensitivity=0.5, specificity=1)


def test_an_operating_point_needs_both_kinds_and_a_possible_wish() -> None:
    with pytest.raises(ValueError, match="needs positives and negatives"):
        at_specificity([1, 1], [0.1, 0.2], 0.9)
    with pytest.raises(ValueError, match="give a number from 0 to 1"):
        at_sensitivity([0, 1], [0.1, 0.2], 90)


def test_patch_accuracy_is_the_part_that_is_named_right() -> None:
    table = confusion([0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 1, 0], 4)
    assert table.tolist() == [[3, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert accuracy(table) == pytest.approx(4 / 6)
    weighted = confusion([0, 1], [0, 0], 2, [3.0, 1.0])
    assert accuracy(weighted) == pytest.approx(0.75)


def test_a_class_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        confusion([0, 2], [0, 1], 2)
    with pytest.raises(ValueError, match="no whole number"):
        confusion([0, 1], [0, 0.7], 2)
