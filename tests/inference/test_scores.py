"""All scores of an exam have one scale, and what is done to one is done to all."""

from dataclasses import replace

import pytest

from inference.findings import Box, Correction, ExamFindings, Finding, Kind, ViewFindings
from inference.mammogram import Projection, Side
from inference.scores import (
    called,
    consistent,
    corrected,
    exam_logit,
    exam_score,
    logit_of,
    sigmoid,
    told,
)
from inference.systems.agreement import decided
from inference.transcript import pack, unpack


def exam(*, whole: float = 0.3, view: float = 0.2, finding: float = 0.6) -> ExamFindings:
    mass = Finding(Kind.MASS, Box(0, 0, 9, 9), 0.9, finding, None, ("one",), raw=0.4)
    left = ViewFindings("1.2", Side.LEFT, Projection.CC, view, (mass,), raw=-1.5)
    right = ViewFindings("1.3", Side.RIGHT, Projection.CC, 0.05, (), raw=-3.0)
    return ExamFindings(
        "one", "1", "a" * 64, "point", (Kind.MASS,), whole, (left, right),
        raw=-1.5, called_from=0.5,
    )  # fmt: skip


def test_what_is_told_of_an_exam_is_no_less_than_what_is_told_of_a_part() -> None:
    raised, breasts = consistent(exam())
    assert told(exam()) == raised.cancer_score == breasts[Side.LEFT] == 0.6
    assert raised.views[0].cancer_score == 0.6
    assert breasts[Side.RIGHT] == 0.05
    assert consistent(raised)[0].cancer_score == 0.6


@pytest.mark.parametrize("shift", [-5.0, 0.0, 4.0])
@pytest.mark.parametrize("slope", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("finding", [0.1, 0.499, 0.501, 0.9])
def test_a_correction_goes_with_the_maximum_and_changes_no_decision(
    slope: float, shift: float, finding: float
) -> None:
    seen, line = exam(finding=finding), Correction(slope, shift, "")
    here = corrected(seen, line)
    assert told(here) == pytest.approx(sigmoid(slope * logit_of(told(seen) or 0.0) + shift))
    assert called(here) is called(seen) is (max(finding, 0.3) >= 0.5)
    assert here.raw == seen.raw
    assert here.views[0].raw == seen.views[0].raw
    assert here.findings[0].raw == seen.findings[0].raw


def test_the_score_before_a_correction_is_kept_beside_it() -> None:
    line = Correction(1.0, -4.0, "prevalence 0.6 % in place of 25 %")
    here = decided([exam()], [line], None)
    assert here.card_score == 0.6
    assert told(here) == pytest.approx(sigmoid(logit_of(0.6) - 4))
    assert here.correction == line
    assert pack(unpack(pack(here))) == pack(here)
    assert unpack(pack(here)).correction == line


def test_without_a_correction_no_score_moves_by_a_bit() -> None:
    seen = exam()
    assert pack(decided([seen], [None], None)) == pack(replace(seen, card_score=0.6))


def test_very_sure_scores_stay_in_their_order() -> None:
    line = Correction(1.0, -6.0, "")
    sure, surer = (corrected(exam(finding=one), line).findings[0] for one in (1 - 1e-8, 1 - 1e-9))
    assert (sure.cancer_score or 0) < (surer.cancer_score or 0) < 1


def test_a_breast_is_the_mean_of_its_views_or_the_highest() -> None:
    sides, logits = [Side.LEFT, Side.LEFT, Side.RIGHT], [2.0, -4.0, 0.5]
    assert exam_logit(sides, logits) == 0.5
    assert exam_logit(sides, logits, "maximum") == 2.0
    assert exam_score(sides, [None, None, None]) is None
