"""What exams, breasts and views can be put in order by, and which of them are what is asked for."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from inference.findings import Kind
from inference.scores import Breast
from inference.systems.views import BOTH, Scope
from train.evaluation import SeenPatient, SeenView
from train.metrics.grouping import Level, Rated, highest, mean_logit, per

Patients = Sequence[SeenPatient]
# Of each case: is it what is asked for, its score, and its weight.
Cases = tuple[list[bool], list[float], list[float]]

_GATHERED = {"mean": mean_logit, "maximum": highest}


@dataclass(frozen=True, slots=True)
class Ranking:
    """What exams, breasts or views can be put in order by."""

    name: str
    rule: str
    needs: str
    cases: Callable[[Patients], Cases]


def rankings(scope: Scope, breast: Breast | None = None) -> Iterator[Ranking]:
    """Name what a system's order of exams and views can be asked for.

    Of breasts too, where it is told how views make one.
    """
    if not scope.judges:
        what = f"any {' or '.join(scope.marks)}"
        yield Ranking(
            "exam_auc_any_lesion",
            f"{what} in any view against the surest finding's score",
            f"exams with and without {what}",
            _exams_by_lesion,
        )
        yield Ranking(
            "image_auc_any_lesion",
            f"{what} in the view against the surest finding's score",
            f"views with and without {what}",
            _views_by_lesion,
        )
        return
    what = "cancer" if set(scope.judges) == set(BOTH) else f"malignant {scope.judges[0]}"
    yield Ranking(
        "exam_auc",
        f"{what} in any view against the exam's cancer score",
        f"exams with and without {what}",
        partial(_exams_by_cancer, kinds=scope.judges),
    )
    yield Ranking(
        "image_auc",
        f"{what} in the view against the view's cancer score",
        f"views with and without {what}",
        partial(_views_by_cancer, kinds=scope.judges),
    )
    if breast is not None:
        yield Ranking(
            "breast_auc",
            f"{what} in any view of the breast against the {breast} of its views' cancer scores",
            f"breasts with and without {what}",
            partial(_breasts_by_cancer, kinds=scope.judges, breast=breast),
        )
    if set(scope.judges) != set(BOTH):
        yield Ranking(
            "exam_auc_any_cancer",
            "cancer of any kind in any view, also of kinds that the system does not look for",
            "exams with and without cancer",
            partial(_exams_by_cancer, kinds=BOTH),
        )


def views_of(patients: Patients) -> list[tuple[SeenView, float]]:
    """Return each view with the weight of its patient."""
    return [(view, patient.weight) for patient in patients for view in patient.views]


def _exams_by_cancer(patients: Patients, kinds: Sequence[Kind]) -> Cases:
    return (
        [any(view.shows_cancer(kinds) for view in patient.views) for patient in patients],
        [_known(patient.score) for patient in patients],
        [patient.weight for patient in patients],
    )


def _views_by_cancer(patients: Patients, kinds: Sequence[Kind]) -> Cases:
    views = views_of(patients)
    return (
        [view.shows_cancer(kinds) for view, _ in views],
        [_known(view.score) for view, _ in views],
        [weight for _, weight in views],
    )


def _exams_by_lesion(patients: Patients) -> Cases:
    known = [one for one in patients if one.outlined or any(view.kinds for view in one.views)]
    return (
        [any(view.kinds for view in patient.views) for patient in known],
        [max(view.surest for view in patient.views) for patient in known],
        [patient.weight for patient in known],
    )


def _views_by_lesion(patients: Patients) -> Cases:
    views = [(view, weight) for view, weight in views_of(patients) if view.outlined or view.kinds]
    return (
        [bool(view.kinds) for view, _ in views],
        [view.surest for view, _ in views],
        [weight for _, weight in views],
    )


def _known(score: float | None) -> float:
    if score is None:
        raise ValueError("a system that judges cancer gave a view no score")
    return score


def _breasts_by_cancer(patients: Patients, kinds: Sequence[Kind], breast: Breast) -> Cases:
    # By number: a patient who was drawn twice is two.
    views = [
        (
            (str(number), "", str(view.side)),
            view.shows_cancer(kinds),
            _known(view.score),
            one.weight,
        )
        for number, one in enumerate(patients)
        for view in one.views
    ]
    keys, truth, scores, weights = zip(*views, strict=True)
    rated = Rated(keys, np.array(truth), np.array(scores), np.array(weights))
    found = per(Level.BREAST, rated, _GATHERED[breast])
    assert found.weights is not None
    return found.truth.tolist(), found.scores.tolist(), found.weights.tolist()
