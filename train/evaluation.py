"""Measure an opened bundle on patients it never saw, as the node would meet them."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from rich.progress import track

from inference.bundle import Measurement
from inference.findings import Box, Finding, Kind
from inference.mammogram import Exam
from inference.systems.views import BOTH, Scope, ViewByView
from train.data.phantom import Case, case
from train.metrics.auc import auc
from train.metrics.bootstrap import interval
from train.metrics.froc import RULE, Marked, at_threshold, marked, sensitivity_at

FALSE_MARKS = (0.25, 0.5, 1.0)  # per image, where the FROC is read

Measure = Callable[[Sequence["SeenPatient"]], float]


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion that is really there."""

    box: Box
    kind: Kind
    malignant: bool


@dataclass(frozen=True, slots=True)
class SeenView:
    """What a system said of one view, and what was there."""

    score: float | None  # of cancer; any growing function of it serves as well
    marked: Marked  # against the lesions of the kinds that the system marks
    kinds: tuple[Kind, ...]  # of each lesion in `marked.found`
    malignant: tuple[bool, ...]  # of each lesion in `marked.found`
    cancers: tuple[Kind, ...]  # kinds of all malignant lesions, marked or not
    lesions: int  # of any kind

    @property
    def surest(self) -> float:
        """Return the score of the surest mark, right or wrong."""
        return max((*self.marked.found, *self.marked.false), default=float("-inf"))


@dataclass(frozen=True, slots=True)
class SeenPatient:
    """What a system said of one patient, and what was there."""

    seed: int
    score: float | None
    views: tuple[SeenView, ...]

    @property
    def healthy(self) -> bool:
        """Tell whether no view shows any lesion."""
        return not any(view.lesions for view in self.views)


def examined(
    system: ViewByView, seeds: Sequence[int], pitch_mm: float, *, workers: int
) -> list[SeenPatient]:
    """Let a system read these patients; they are imaged ahead in other processes."""
    return [seen(system, patient) for patient in _imaged(seeds, pitch_mm, workers)]


def seen(system: ViewByView, patient: Case, exam: Exam | None = None) -> SeenPatient:
    """Let a system read one patient, and compare with the truth."""
    score, views = system.read_exam(exam or patient.exam, 0.0)
    return SeenPatient(
        seed=patient.seed,
        score=score,
        views=tuple(
            compared(
                view.cancer_score,
                view.findings,
                [Lesion(truth.box, truth.kind, truth.malignant) for truth in truths],
                system.reader.scope,
            )
            for view, truths in zip(views, patient.truths, strict=True)
        ),
    )


def compared(
    score: float | None, findings: Sequence[Finding], lesions: Sequence[Lesion], scope: Scope
) -> SeenView:
    """Compare what was said of a view with what is there."""
    asked = [lesion for lesion in lesions if lesion.kind in scope.marks]
    return SeenView(
        score=score,
        marked=marked(
            [(finding.box, finding.score) for finding in findings],
            [lesion.box for lesion in asked],
        ),
        kinds=tuple(lesion.kind for lesion in asked),
        malignant=tuple(lesion.malignant for lesion in asked),
        cancers=tuple(lesion.kind for lesion in lesions if lesion.malignant),
        lesions=len(lesions),
    )


def measured(
    patients: Sequence[SeenPatient], points: Mapping[str, float], on: str, scope: Scope
) -> list[Measurement]:
    """Return every number that a card states, with intervals over patients."""
    images = sum(len(patient.views) for patient in patients)

    def one(name: str, rule: str, measure: Measure) -> Measurement:
        low, high = interval(measure, patients)
        return Measurement(
            name=name,
            value=round(measure(patients), 4),
            low=round(low, 4),
            high=round(high, 4),
            on=on,
            studies=len(patients),
            images=images,
            rule=rule,
        )

    found = [one(name, rule, measure) for name, rule, measure in _rankings(scope)]
    if not scope.marks:
        return found
    for rate in FALSE_MARKS:
        name = f"sensitivity_at_{rate:g}_false_marks_per_image"
        found.append(one(name, RULE, partial(_sensitivity, rate=rate)))
    if len(scope.marks) > 1:
        found += [
            one(
                f"{kind}_sensitivity_at_1_false_marks_per_image",
                f"of each {kind}, all false marks counted: {RULE}",
                partial(_sensitivity, rate=1.0, kind=kind),
            )
            for kind in scope.marks
        ]
    for point, threshold in points.items():
        where = f"at operating point {point}: "
        found += [
            one(f"sensitivity_{point}", where + RULE, partial(_found, threshold=threshold)),
            one(
                f"cancer_sensitivity_{point}",
                f"{where}the same, of malignant lesions only",
                partial(_cancers_found, threshold=threshold),
            ),
            one(
                f"false_marks_per_image_{point}",
                where + RULE,
                partial(_false, threshold=threshold),
            ),
            one(
                f"quiet_healthy_exams_{point}",
                f"{where}part of the exams without any lesion that get no finding at all",
                partial(_quiet, threshold=threshold),
            ),
        ]
    return found


def _imaged(seeds: Sequence[int], pitch_mm: float, workers: int) -> Iterator[Case]:
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        # Exams are large: a few at a time are imaged ahead, not all.
        ahead = workers * 4
        for start in track(range(0, len(seeds), ahead), "Reading patients"):
            yield from pool.map(partial(case, pitch_mm=pitch_mm), seeds[start : start + ahead])


def _rankings(scope: Scope) -> Iterator[tuple[str, str, Measure]]:
    """Name what a system's order of views and exams can be asked for."""
    if not scope.judges:
        what = f"any {' or '.join(scope.marks)}"
        yield (
            "exam_auc_any_lesion",
            f"{what} in any view against the surest finding's score",
            _exam_lesion_auc,
        )
        yield (
            "image_auc_any_lesion",
            f"{what} in the view against the surest finding's score",
            _image_lesion_auc,
        )
        return
    what = "cancer" if set(scope.judges) == set(BOTH) else f"malignant {scope.judges[0]}"
    yield (
        "exam_auc",
        f"{what} in any view against the exam's cancer score",
        partial(_exam_auc, kinds=scope.judges),
    )
    yield (
        "image_auc",
        f"{what} in the view against the view's cancer score",
        partial(_image_auc, kinds=scope.judges),
    )
    if set(scope.judges) != set(BOTH):
        yield (
            "exam_auc_any_cancer",
            "cancer of any kind in any view, also of kinds that the system does not look for",
            partial(_exam_auc, kinds=BOTH),
        )


def _marks(patients: Sequence[SeenPatient], kind: Kind | None = None) -> list[Marked]:
    return [
        view.marked
        if kind is None
        else Marked(
            tuple(
                score
                for score, its in zip(view.marked.found, view.kinds, strict=True)
                if its is kind
            ),
            view.marked.false,
        )
        for patient in patients
        for view in patient.views
    ]


def _exam_auc(patients: Sequence[SeenPatient], kinds: Sequence[Kind]) -> float:
    return auc(
        [any(_cancer(view, kinds) for view in patient.views) for patient in patients],
        [_known(patient.score) for patient in patients],
    )


def _image_auc(patients: Sequence[SeenPatient], kinds: Sequence[Kind]) -> float:
    views = [view for patient in patients for view in patient.views]
    return auc([_cancer(view, kinds) for view in views], [_known(view.score) for view in views])


def _exam_lesion_auc(patients: Sequence[SeenPatient]) -> float:
    return auc(
        [any(view.kinds for view in patient.views) for patient in patients],
        [max(view.surest for view in patient.views) for patient in patients],
    )


def _image_lesion_auc(patients: Sequence[SeenPatient]) -> float:
    views = [view for patient in patients for view in patient.views]
    return auc([bool(view.kinds) for view in views], [view.surest for view in views])


def _cancer(view: SeenView, kinds: Sequence[Kind]) -> bool:
    return any(kind in kinds for kind in view.cancers)


def _known(score: float | None) -> float:
    if score is None:
        raise ValueError("a system that judges cancer gave a view no score")
    return score


def _sensitivity(patients: Sequence[SeenPatient], rate: float, kind: Kind | None = None) -> float:
    return sensitivity_at(_marks(patients, kind), rate)


def _found(patients: Sequence[SeenPatient], threshold: float) -> float:
    return at_threshold(_marks(patients), threshold)[0]


def _false(patients: Sequence[SeenPatient], threshold: float) -> float:
    return at_threshold(_marks(patients), threshold)[1]


def _cancers_found(patients: Sequence[SeenPatient], threshold: float) -> float:
    scores = [
        score
        for patient in patients
        for view in patient.views
        for score, malignant in zip(view.marked.found, view.malignant, strict=True)
        if malignant
    ]
    return sum(score >= threshold for score in scores) / len(scores) if scores else float("nan")


def _quiet(patients: Sequence[SeenPatient], threshold: float) -> float:
    healthy = [patient for patient in patients if patient.healthy]
    if not healthy:
        return float("nan")
    return sum(_false([patient], threshold) == 0 for patient in healthy) / len(healthy)
