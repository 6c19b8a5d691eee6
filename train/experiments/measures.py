"""The columns of the tables, by their names: those of `train evaluate`, and the papers' own."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from inference.findings import Kind
from inference.systems.views import Scope
from train.experiments.held import Held
from train.experiments.plan import SENSITIVITY
from train.figures import marks, mask_dice
from train.metrics.auc import auc
from train.metrics.average_precision import detection_average_precision, detection_recall
from train.metrics.dice import Dice
from train.metrics.froc import sensitivity_at
from train.rankings import rankings

Patients = Sequence[Held]
Measured = Callable[[Patients], float]


def measure(name: str, scope: Scope) -> Measured:
    """Return a measure of patients."""
    if asked := re.fullmatch(SENSITIVITY, name):
        kind = None if asked[1] is None else Kind(asked[1])
        return partial(_sensitivity, rate=float(asked[2]), kind=kind)
    if name.endswith("_auc"):
        return partial(_area, name=name, scope=scope)
    return _OTHERS[name]


def described(name: str, scope: Scope) -> str:
    """Say what a measure is, as the heading of its table."""
    if asked := re.fullmatch(SENSITIVITY, name):
        what = _PLURALS[Kind(asked[1])] if asked[1] else "lesions"
        rate = "one false mark" if asked[2] == "1" else f"{asked[2]} false marks"
        return f"{what} found at {rate} an image"
    if name.endswith("_auc"):
        ranking = next(one for one in rankings(scope) if one.name.startswith(name))
        return f"{name.replace('_', ' ').replace('auc', 'AUC')}: {ranking.rule}"
    return _TITLES[name]


_PLURALS = {Kind.MASS: "masses", Kind.CALCIFICATION: "calcifications"}


def _area(patients: Patients, name: str, scope: Scope) -> float:
    ranking = next(one for one in rankings(scope) if one.name.startswith(name))
    return auc(*ranking.cases([one.seen for one in patients]))


def _sensitivity(patients: Patients, rate: float, kind: Kind | None) -> float:
    return sensitivity_at(marks([one.seen for one in patients], kind), rate)


def _mean_dice(patients: Patients) -> float:
    counts = [one.pixels for one in patients if one.pixels is not None]
    return Dice.of(np.sum(counts, axis=0)).mean() if counts else float("nan")


def _mask_dice(patients: Patients) -> float:
    return mask_dice([one.seen for one in patients])


def _lenient(patients: Patients) -> float:
    return detection_average_precision([image for one in patients for image in one.lenient])


def _strict(patients: Patients) -> float:
    return detection_average_precision([image for one in patients for image in one.strict])


def _recall(patients: Patients) -> float:
    return detection_recall([image for one in patients for image in one.lenient])


_OTHERS: dict[str, Measured] = {
    "mean_dice": _mean_dice,
    "mask_dice": _mask_dice,
    "average_precision_0.2": _lenient,
    "average_precision_0.5": _strict,
    "recall_0.2": _recall,
}
_TITLES = {
    "mean_dice": "mean Dice: over the five classes of pixels, each gathered over all images",
    "mask_dice": "Dice of masks: mean over the lesions that are found",
    "average_precision_0.2": "average precision, boxes at an IoU above 0.2",
    "average_precision_0.5": "average precision, boxes at an IoU above 0.5",
    "recall_0.2": "recall: lesions under any mark at all, boxes at an IoU above 0.2",
}
