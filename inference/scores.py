"""Scores on one scale: how likely a finding, a view, a breast and an exam hold a cancer.

What is done to one score here is done to all of them alike, so that what was the highest stays so.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from inference.findings import Correction, ExamFindings, Finding, Member, ViewFindings
from inference.mammogram import Side

Breast = Literal["mean", "maximum"]
CERTAIN = 1e-6
EDGE = 1e-12  # a score that is corrected is not cut off before it is 0 or 1 to every reader


def sigmoid(logit: float) -> float:
    """Return the probability of a logit."""
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


def logit_of(probability: float, certain: float = CERTAIN) -> float:
    """Return the logit of a probability; certainty is held within a millionth."""
    held = min(max(probability, certain), 1 - certain)
    return math.log(held / (1 - held))


def exam_logit(
    sides: Sequence[Side], logits: Sequence[float | None], breast: Breast = "mean"
) -> float | None:
    """Return the worse breast's logit; a breast is the mean, or the maximum, of its views.

    Both go with a line: to calibrate the views is to calibrate the exam.
    """
    breasts: dict[Side, list[float]] = {}
    for side, logit in zip(sides, logits, strict=True):
        if logit is not None:
            breasts.setdefault(side, []).append(logit)
    if not breasts:
        return None
    if breast == "maximum":
        return max(max(views) for views in breasts.values())
    return max(sum(views) / len(views) for views in breasts.values())


def exam_score(
    sides: Sequence[Side], logits: Sequence[float | None], breast: Breast = "mean"
) -> float | None:
    """Return the exam's score as a probability."""
    logit = exam_logit(sides, logits, breast)
    return None if logit is None else sigmoid(logit)


def finding_logit(finding: Finding) -> float | None:
    """Return how surely a finding is a lesion and malignant, as the network has it."""
    if finding.cancer_score is None:
        return None
    return logit_of(finding.score * finding.cancer_score)


def consistent(exam: ExamFindings) -> tuple[ExamFindings, dict[Side, float]]:
    """Let no score be less than one below it: of a finding, its view, its breast, the exam.

    Each is the highest that is said of it or of a part of it; the breasts' are returned beside.
    """
    if exam.cancer_score is None:
        return exam, {}
    views = tuple(_raised(view) for view in exam.views)
    breasts: dict[Side, float] = {}
    for view in views:
        if view.cancer_score is not None:
            breasts[view.side] = max(breasts.get(view.side, 0.0), view.cancer_score)
    highest = max((exam.cancer_score, *breasts.values()))
    return replace(exam, views=views, cancer_score=highest), breasts


def told(exam: ExamFindings) -> float | None:
    """Return the one score of an exam that the ledger, every page and every report tell."""
    return consistent(exam)[0].cancer_score


def called(exam: ExamFindings) -> bool | None:
    """Say whether an exam reaches its operating point; None where that asks nothing of exams."""
    score = told(exam)
    return None if score is None or exam.called_from is None else score >= exam.called_from


def corrected(exam: ExamFindings, correction: Correction | None) -> ExamFindings:
    """Lay a site's line over every score of an exam, and over what it is called from."""
    if correction is None:
        return exam

    def moved(score: float | None) -> float | None:
        return None if score is None else _moved(score, correction)

    def spread(uncertainty: float | None) -> float | None:
        return None if uncertainty is None else uncertainty * correction.slope

    def of_finding(finding: Finding) -> Finding:
        return replace(finding, cancer_score=moved(finding.cancer_score))

    def of_view(view: ViewFindings) -> ViewFindings:
        return replace(
            view,
            cancer_score=moved(view.cancer_score),
            uncertainty=spread(view.uncertainty),
            findings=tuple(map(of_finding, view.findings)),
        )

    def of_member(member: Member) -> Member:
        return replace(member, cancer_score=moved(member.cancer_score), corrected=correction.why)

    return replace(
        exam,
        cancer_score=moved(exam.cancer_score),
        uncertainty=spread(exam.uncertainty),
        views=tuple(map(of_view, exam.views)),
        members=tuple(map(of_member, exam.members)),
        called_from=moved(exam.called_from),
        correction=correction,
    )


def _moved(score: float, correction: Correction) -> float:
    return sigmoid(correction.slope * logit_of(score, EDGE) + correction.intercept)


def _raised(view: ViewFindings) -> ViewFindings:
    if view.cancer_score is None:
        return view
    found = [one.cancer_score for one in view.findings if one.cancer_score is not None]
    return replace(view, cancer_score=max([view.cancer_score, *found]))
