"""From what a network says to what a card decides: calibrations and operating points.

All of it is fitted and chosen on the patients that steered the training, never on those that
taught, and never on those that measure.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.bundle import Calibration, Card, OperatingPoint
from inference.findings import Finding
from inference.mammogram import Side
from inference.platt import platt
from inference.preparing.prepare import prepare
from inference.scores import Breast, exam_score, finding_logit, sigmoid
from inference.systems.views import Reader, Scope, judged
from train.data.phantom import Case
from train.evaluation import Lesion, imaged
from train.metrics.froc import Marked, finds, marked, threshold_at
from train.metrics.operating import ThresholdPoint, at_recall_rate, at_sensitivity, at_specificity

# Name: false marks per image.
BY_FALSE_MARKS = {"quiet": 0.02, "balanced": 0.1, "sensitive": 1.0}
DEFAULT_POINT = "balanced"
SENSITIVITY, SPECIFICITY, RECALL_RATE = 0.9, 0.9, 0.1
# Where a recall rate is meant: screening, where cancers are rare. An enriched set is weighed so.
SCREENED = 0.006
LEAST_FINDINGS = 5  # of either kind, or no line is fitted through them


@dataclass(frozen=True, slots=True, eq=False)
class ReadView:
    """One view as a network read it, and what is really there."""

    side: Side
    raw: float | None  # the network's logit of cancer
    findings: Sequence[Finding]  # all of them, as the network left them
    lesions: Sequence[Lesion]
    cancer: bool  # of the kinds that the system judges, outlined or not
    outlined: bool = True  # all lesions are in `lesions`; else its marks may be true or false


@dataclass(frozen=True, slots=True)
class Decided:
    """What of a card rests on the validation patients."""

    calibration: Calibration | None
    finding_calibration: Calibration | None
    points: dict[str, OperatingPoint]


def decided(
    patients: Sequence[Sequence[ReadView]], scope: Scope, on: str, breast: Breast = "mean"
) -> Decided:
    """Fit the calibrations, then choose the operating points; `ValueError` where that cannot be."""
    views = [view for patient in patients for view in patient]
    points = dict(_by_false_marks(views, scope, on))
    if not scope.judges:
        return Decided(None, None, points)
    truth = _truth(patients)
    line = _line([(_known(view), view.cancer) for view in views], truth, f"views of {on}")
    return _beyond(patients, scope, on, breast, Decided(line, None, points))


def completed(card: Card, patients: Sequence[Sequence[ReadView]], scope: Scope, on: str) -> Card:
    """Add what an older card leaves unsaid; what it says, and was measured with, stays."""
    if card.calibration is None:
        return card
    views, truth = [view for patient in patients for view in patient], _truth(patients)
    again = _line([(_known(view), view.cancer) for view in views], truth, f"views of {on}")
    said = {"prevalence": again.prevalence, "fitted_on": again.fitted_on}
    line = card.calibration.model_copy(update=said)
    by_marks = {name: one for name, one in card.operating_points.items() if one.exam_score is None}
    found = _beyond(patients, scope, on, card.aggregation.breast, Decided(line, None, by_marks))
    return card.model_copy(
        update={
            "calibration": found.calibration,
            "finding_calibration": found.finding_calibration,
            "operating_points": found.points,
        }
    )


def read_again(
    reader: Reader, seeds: Sequence[int], pitch_mm: float, *, workers: int
) -> list[list[ReadView]]:
    """Let a reader look at phantoms as the node would."""
    return [_read(reader, patient) for patient in imaged(seeds, pitch_mm, workers)]


def _read(reader: Reader, patient: Case) -> list[ReadView]:
    judges, read = reader.scope.judges, []
    for view, truths in zip(patient.exam.views, patient.truths, strict=True):
        seen = reader.read([prepare(view, how) for how in reader.preparations])
        lesions = [Lesion(one.box, one.kind, one.malignant) for one in truths]
        cancer = any(one.malignant and one.kind in judges for one in lesions)
        read.append(ReadView(view.side, seen.cancer, seen.findings, lesions, cancer))
    return read


def _truth(patients: Sequence[Sequence[ReadView]]) -> list[bool]:
    return [any(view.cancer for view in patient) for patient in patients]


def _beyond(
    patients: Sequence[Sequence[ReadView]],
    scope: Scope,
    on: str,
    breast: Breast,
    begun: Decided,
) -> Decided:
    """Add the findings' line and the points on exams to a line for views and points on marks."""
    line, points = begun.calibration, begun.points
    assert line is not None
    views, truth = [view for patient in patients for view in patient], _truth(patients)
    least = min(point.finding_score for point in points.values())
    sightings = list(_sightings(views, scope, least))
    yes = sum(malignant for _, malignant in sightings)
    enough = min(yes, len(sightings) - yes) >= LEAST_FINDINGS
    its = _line(sightings, truth, f"marks on {on}") if enough else None
    shown = points[DEFAULT_POINT].finding_score
    scores = [_told(patient, line, its, shown, breast) for patient in patients]
    if all(truth):  # Platt has cancers and other views; the exams may all have a cancer
        return Decided(line, its, points)
    return Decided(line, its, points | dict(_by_exams(truth, scores, shown, on)))


def _line(cases: Sequence[tuple[float, bool]], exams: Sequence[bool], among: str) -> Calibration:
    slope, intercept = platt([raw for raw, _ in cases], [positive for _, positive in cases])
    positive = sum(positive for _, positive in cases)
    part = sum(exams) / len(exams)
    return Calibration(
        slope=slope,
        intercept=intercept,
        prevalence=part if 0 < part < 1 else None,
        fitted_on=f"{len(cases)} {among}, {positive} of them with a cancer",
    )


def _by_false_marks(
    views: Sequence[ReadView], scope: Scope, on: str
) -> Iterator[tuple[str, OperatingPoint]]:
    # Where lesions may not be marked, a mark on one would be counted as false.
    images = [_marked(view, scope) for view in views if view.outlined]
    if scope.marks and not images:
        raise ValueError("no image has all its lesions marked, so no mark is known to be false")
    for name, rate in BY_FALSE_MARKS.items():
        yield (
            name,
            OperatingPoint(
                finding_score=min(math.ceil(threshold_at(images, rate) * 1e6) / 1e6, 1.0),
                chosen_for=f"at most {rate:g} false marks per image on {on}",
            ),
        )


def _by_exams(
    truth: Sequence[bool], scores: Sequence[float], finding_score: float, on: str
) -> Iterator[tuple[str, OperatingPoint]]:
    """Choose thresholds on the score of the exam; its marks are those of the default point."""
    part = sum(truth) / len(truth)
    weights = [SCREENED / part if one else (1 - SCREENED) / (1 - part) for one in truth]
    chosen = {
        f"sensitivity_{100 * SENSITIVITY:g}": (
            at_sensitivity(truth, scores, SENSITIVITY),
            f"a sensitivity of at least {100 * SENSITIVITY:g} %",
        ),
        f"specificity_{100 * SPECIFICITY:g}": (
            at_specificity(truth, scores, SPECIFICITY),
            f"a specificity of at least {100 * SPECIFICITY:g} %",
        ),
        f"recall_{100 * RECALL_RATE:g}": (
            at_recall_rate(truth, scores, RECALL_RATE, weights),
            f"at most {100 * RECALL_RATE:g} % called where {100 * SCREENED:g} % hold a cancer",
        ),
    }
    for name, (found, wanted) in chosen.items():
        yield name, _exam_point(found, finding_score, f"{wanted}, on the exams of {on}")


def _exam_point(found: ThresholdPoint, finding_score: float, wanted: str) -> OperatingPoint:
    reached = found.point
    return OperatingPoint(
        finding_score=finding_score,
        exam_score=math.floor(min(found.threshold, 1.0) * 1e9) / 1e9,
        chosen_for=f"{wanted}: there {100 * reached.sensitivity:.1f} % sensitive and "
        f"{100 * reached.specificity:.1f} % specific; marks as at {DEFAULT_POINT}",
    )


def _told(
    patient: Sequence[ReadView],
    line: Calibration,
    its: Calibration | None,
    finding_score: float,
    breast: Breast,
) -> float:
    """Return the score that would be told of an exam: the highest of it and of its parts."""
    logits = [line.logit(_known(view)) for view in patient]
    whole = exam_score([view.side for view in patient], logits, breast)
    assert whole is not None
    findings = [
        judged(one, its).cancer_score
        for view in patient
        for one in view.findings
        if one.score >= finding_score
    ]
    return max(whole, *map(sigmoid, logits), *(one for one in findings if one is not None))


def _sightings(
    views: Sequence[ReadView], scope: Scope, least_score: float
) -> Iterator[tuple[float, bool]]:
    """Pair each finding that may be told with whether a cancer lies there."""
    for view in views:
        if not view.outlined:
            continue
        judged_here = [one for one in view.lesions if one.kind in scope.judges]
        cancers = [one.box for one in judged_here if one.malignant]
        unknown = [one.box for one in judged_here if one.malignant is None]
        for finding in view.findings:
            raw = finding_logit(finding)
            if raw is None or finding.score < least_score:
                continue
            if any(finds(finding.box, box) for box in cancers):
                yield raw, True
            elif not any(finds(finding.box, box) for box in unknown):
                yield raw, False


def _marked(view: ReadView, scope: Scope) -> Marked:
    return marked(
        [(finding.box, finding.score) for finding in view.findings],
        [lesion.box for lesion in view.lesions if lesion.kind in scope.marks],
    )


def _known(view: ReadView) -> float:
    if view.raw is None:
        raise ValueError("a system that judges cancer gave a view no score")
    return view.raw
