"""What a card decides is fitted and chosen on the validation patients, and holds there."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from inference.bundle import Calibration, load_card
from inference.findings import Box, Finding, Kind
from inference.mammogram import Side
from inference.scores import exam_score, finding_logit, sigmoid
from inference.systems.views import BOTH, Scope
from train.deciding import Decided, ReadView, completed, decided
from train.evaluation import Lesion
from train.metrics.operating import at_recall_rate

PLACE, ELSEWHERE = Box(10, 10, 40, 40), Box(200, 200, 230, 230)
SCOPE = Scope(marks=BOTH, judges=BOTH)


def view(side: Side, dice: np.random.Generator, *, cancer: bool) -> ReadView:
    """Read a view: a network that is too sure of itself, with a true mark and a false one."""
    raw = 3 * dice.normal(1.5 if cancer else -1.5, 1)
    lesions = [Lesion(PLACE, Kind.MASS, cancer)]
    findings = [
        Finding(Kind.MASS, PLACE, sure, sigmoid(4 * dice.normal(1 if cancer else -1, 1)), None, ())
        for sure in dice.uniform(0.5, 1, 1)
    ] + [Finding(Kind.MASS, ELSEWHERE, dice.uniform(0, 0.6), sigmoid(dice.normal(-2, 1)), None, ())]
    return ReadView(side, raw, findings, lesions, cancer)


@cache
def patients() -> Sequence[Sequence[ReadView]]:
    dice = np.random.default_rng(3)
    return [
        [view(Side.LEFT, dice, cancer=number % 3 == 0), view(Side.RIGHT, dice, cancer=False)]
        for number in range(600)
    ]


@cache
def chosen() -> Decided:
    return decided(patients(), SCOPE, "phantom seeds 1 to 600")


def test_views_and_marks_come_to_one_calibrated_scale() -> None:
    found = chosen()
    assert found.calibration is not None
    assert found.finding_calibration is not None
    views = [one for patient in patients() for one in patient]
    told = np.array([sigmoid(found.calibration.logit(one.raw or 0.0)) for one in views])
    assert told.mean() == pytest.approx(np.mean([one.cancer for one in views]), abs=0.02)
    marks = [
        (sigmoid(found.finding_calibration.logit(finding_logit(mark) or 0.0)), place and one.cancer)
        for one in views
        for place, mark in zip((True, False), one.findings, strict=True)
    ]
    sure = [truth for score, truth in marks if score > 0.8]
    assert len(sure) > 20
    assert np.mean(sure) > 0.75


def test_a_card_says_on_what_its_line_rests() -> None:
    line = chosen().calibration
    assert line is not None
    assert line.prevalence == pytest.approx(1 / 3)
    assert line.fitted_on == ("1200 views of phantom seeds 1 to 600, 200 of them with a cancer")


@pytest.mark.parametrize("name", ["sensitivity_90", "specificity_90", "recall_10"])
def test_a_point_keeps_on_the_exams_what_it_was_chosen_for(name: str) -> None:
    found = chosen()
    assert found.calibration is not None
    assert found.finding_calibration is not None
    point = found.points[name]
    assert point.exam_score is not None
    assert "phantom seeds 1 to 600" in point.chosen_for
    truth, called = [], []
    for patient in patients():
        logits = [found.calibration.logit(one.raw or 0.0) for one in patient]
        whole = exam_score([one.side for one in patient], logits) or 0.0
        marks = [
            sigmoid(found.finding_calibration.logit(finding_logit(mark) or 0.0))
            for one in patient
            for mark in one.findings
            if mark.score >= point.finding_score
        ]
        truth.append(any(one.cancer for one in patient))
        called.append(max(whole, *map(sigmoid, logits), *marks, 0.0) >= point.exam_score)
    yes, no = np.array(called)[truth], np.array(called)[~np.array(truth)]
    reached = {
        "sensitivity_90": yes.mean() >= 0.9,
        "specificity_90": 1 - no.mean() >= 0.9,
        "recall_10": 0.006 * yes.mean() + 0.994 * no.mean() <= 0.1,
    }
    assert reached[name]
    assert yes.mean() > 0.5


def test_no_line_goes_through_marks_that_find_no_cancer() -> None:
    blind = [
        [ReadView(one.side, one.raw, one.findings[1:], one.lesions, one.cancer) for one in patient]
        for patient in patients()[:60]
    ]
    found = decided(blind, SCOPE, "these")
    assert found.calibration is not None
    assert found.finding_calibration is None


def test_exams_that_all_hold_a_cancer_choose_no_point_and_say_no_prevalence() -> None:
    found = decided(patients()[::3], SCOPE, "these")
    assert list(found.points) == ["quiet", "balanced", "sensitive"]
    assert found.calibration is not None
    assert found.calibration.prevalence is None


def test_a_system_that_does_not_judge_has_points_on_marks_alone() -> None:
    found = decided(patients()[:20], Scope(marks=BOTH, judges=()), "these")
    assert found.calibration is None
    assert all(point.exam_score is None for point in found.points.values())


def test_a_recall_rate_calls_no_more_than_asked_for() -> None:
    truth, scores = [1, 0, 0, 0, 0], [0.9, 0.8, 0.7, 0.6, 0.5]
    assert at_recall_rate(truth, scores, 0.4).threshold == 0.8
    assert at_recall_rate(truth, scores, 0.39).threshold == 0.9
    assert math.isinf(at_recall_rate(truth, scores, 0.1).threshold)


def test_an_older_card_is_completed_and_nothing_that_it_says_is_changed() -> None:
    card = load_card(Path("bundles/shared_trunk_phantom"))
    old = card.model_copy(
        update={
            "calibration": Calibration(slope=0.4, intercept=0.1),
            "finding_calibration": None,
            "operating_points": {
                name: one for name, one in card.operating_points.items() if one.exam_score is None
            },
        }
    )
    new = completed(old, patients(), SCOPE, "phantom seeds 1 to 600")
    assert new.calibration is not None
    assert (new.calibration.slope, new.calibration.intercept) == (0.4, 0.1)
    assert new.calibration.prevalence == pytest.approx(1 / 3)
    assert new.finding_calibration is not None
    assert dict(new.operating_points) | old.operating_points == new.operating_points
    assert len(new.operating_points) == len(old.operating_points) + 3
    assert completed(new, patients(), SCOPE, "phantom seeds 1 to 600") == new
