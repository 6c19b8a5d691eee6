"""Measure an opened bundle on patients it never saw, as the node would meet them."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

from rich.progress import track

from inference.analyzer import System
from inference.bundle import Measurement
from inference.mammogram import Exam
from train.data.phantom import Case, case
from train.metrics.auc import auc
from train.metrics.bootstrap import interval
from train.metrics.froc import RULE, Marked, at_threshold, marked, sensitivity_at

FALSE_MARKS = (0.25, 0.5, 1.0)  # per image, where the FROC is read


@dataclass(frozen=True, slots=True)
class SeenView:
    """What a system said of one view, and what was there."""

    score: float
    marked: Marked
    malignant: tuple[bool, ...]  # of each lesion in `marked.found`

    @property
    def cancer(self) -> bool:
        """Tell whether the view shows a cancer."""
        return any(self.malignant)


@dataclass(frozen=True, slots=True)
class SeenPatient:
    """What a system said of one patient, and what was there."""

    seed: int
    score: float
    views: tuple[SeenView, ...]

    @property
    def cancer(self) -> bool:
        """Tell whether any view shows a cancer."""
        return any(view.cancer for view in self.views)

    @property
    def healthy(self) -> bool:
        """Tell whether no view shows any lesion."""
        return not any(view.marked.found for view in self.views)


def examined(
    system: System, seeds: Sequence[int], pitch_mm: float, *, workers: int
) -> list[SeenPatient]:
    """Let a system read these patients; they are imaged ahead in other processes."""
    return [seen(system, patient) for patient in _imaged(seeds, pitch_mm, workers)]


def seen(system: System, patient: Case, exam: Exam | None = None) -> SeenPatient:
    """Let a system read one patient, and compare with the truth."""
    score, views = system.read_exam(exam or patient.exam, 0.0)
    return SeenPatient(
        seed=patient.seed,
        score=score,
        views=tuple(
            SeenView(
                score=float("nan") if view.cancer_score is None else view.cancer_score,
                marked=marked(
                    [(finding.box, finding.score) for finding in view.findings],
                    [truth.box for truth in truths],
                ),
                malignant=tuple(truth.malignant for truth in truths),
            )
            for view, truths in zip(views, patient.truths, strict=True)
        ),
    )


def measured(
    patients: Sequence[SeenPatient], points: Mapping[str, float], on: str
) -> list[Measurement]:
    """Return every number that a card states, with intervals over patients."""
    images = sum(len(patient.views) for patient in patients)

    def one(name: str, rule: str, measure: Callable[[Sequence[SeenPatient]], float]) -> Measurement:
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

    found = [
        one("exam_auc", "cancer in any view against the exam's cancer score", _exam_auc),
        one("image_auc", "cancer in the view against the view's cancer score", _image_auc),
    ]
    for rate in FALSE_MARKS:
        name = f"sensitivity_at_{rate:g}_false_marks_per_image"
        found.append(one(name, RULE, partial(_sensitivity, rate=rate)))
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


def _marks(patients: Sequence[SeenPatient]) -> list[Marked]:
    return [view.marked for patient in patients for view in patient.views]


def _exam_auc(patients: Sequence[SeenPatient]) -> float:
    return auc([patient.cancer for patient in patients], [patient.score for patient in patients])


def _image_auc(patients: Sequence[SeenPatient]) -> float:
    views = [view for patient in patients for view in patient.views]
    return auc([view.cancer for view in views], [view.score for view in views])


def _sensitivity(patients: Sequence[SeenPatient], rate: float) -> float:
    return sensitivity_at(_marks(patients), rate)


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
