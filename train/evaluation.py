"""Measure an opened bundle on patients it never saw, as the node would meet them."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from rich.progress import track

from inference.findings import Box, Finding, Kind, Mask
from inference.mammogram import Exam, Projection, Side
from inference.systems.views import BOTH, Scope, ViewByView
from train.data.lesson import Known, Truth
from train.data.phantom import Case, case
from train.data.real import opened
from train.data.sample import Sample
from train.errors import Refused
from train.metrics.dice import mask_dice
from train.metrics.froc import Marked, finds, marked

_GROUPED = ("density", "device")  # facts by which figures are told apart
STRATA = ("a cancer", "benign lesions only", "nothing")


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion that is really there."""

    box: Box
    kind: Kind
    malignant: bool | None  # None: nobody said
    mask: Mask | None = None  # where it is known pixel by pixel
    sort: str = ""  # as "vascular", where somebody said


@dataclass(frozen=True, slots=True)
class SeenView:
    """What a system said of one view, and what was there."""

    score: float | None  # of cancer; any growing function of it serves as well
    marked: Marked  # against the lesions of the kinds that the system marks
    kinds: tuple[Kind, ...]  # of each lesion in `marked.found`
    malignant: tuple[bool | None, ...]  # of each lesion in `marked.found`; None: nobody said
    cancers: tuple[Kind, ...]  # kinds of all malignant lesions, marked or not
    lesions: int  # of any kind
    overlaps: tuple[float, ...] = ()  # Dice of each found lesion whose mark has a mask
    told: bool | None = None  # whether it shows a cancer, where that is known without lesions
    outlined: bool = True  # all its lesions are known; else a mark may be true, and nobody says so
    groups: tuple[str, ...] = ()  # of whom figures are asked for apart, as "density 2"
    side: Side | None = None  # of which breast it is, where breasts are counted
    sorts: tuple[str, ...] = ()  # of each lesion in `marked.found`, as "vascular calcification"

    def shows_cancer(self, kinds: Sequence[Kind] = BOTH) -> bool:
        """Tell whether the view shows a cancer of these kinds; of which kind may be unknown."""
        return any(kind in kinds for kind in self.cancers) if self.told is None else self.told

    @property
    def surest(self) -> float:
        """Return the score of the surest mark, right or wrong."""
        return max((*self.marked.found, *self.marked.false), default=float("-inf"))


@dataclass(frozen=True, slots=True)
class SeenPatient:
    """What a system said of one patient, and what was there."""

    patient: str
    score: float | None
    views: tuple[SeenView, ...]
    weight: float = 1.0  # how many patients of the population it stands for

    @property
    def cancer(self) -> bool:
        """Tell whether any view shows a cancer, marked or not."""
        return any(view.shows_cancer() for view in self.views)

    @property
    def healthy(self) -> bool:
        """Tell whether no view shows any lesion."""
        return not self.cancer and not any(view.lesions for view in self.views)

    @property
    def outlined(self) -> bool:
        """Tell whether all lesions of all views are known."""
        return all(view.outlined for view in self.views)


def as_in(patients: Sequence[SeenPatient], *, cancers: float, benign: float) -> list[SeenPatient]:
    """Weigh patients so that they measure as a population with these parts of them.

    Each patient counts one over the chance to be among these, relative to the population
    (Sainz de Cea): an enriched set would make every false mark look rarer than it is.
    """
    occurs = (cancers, benign, 1 - cancers - benign)
    strata = [0 if patient.cancer else 2 if patient.healthy else 1 for patient in patients]
    counts = [strata.count(stratum) for stratum in range(3)]
    absent = [
        name
        for name, part, count in zip(STRATA, occurs, counts, strict=True)
        if part > 0 and not count
    ]
    if absent:
        raise Refused(f"none of these patients shows {' or '.join(absent)}: measure more of them")
    return [
        replace(patient, weight=len(patients) * occurs[stratum] / counts[stratum])
        for patient, stratum in zip(patients, strata, strict=True)
    ]


def examined(
    system: ViewByView, seeds: Sequence[int], pitch_mm: float, *, workers: int
) -> list[SeenPatient]:
    """Let a system read these patients; they are imaged ahead in other processes."""
    return [seen(system, patient) for patient in imaged(seeds, pitch_mm, workers)]


def seen(system: ViewByView, patient: Case, exam: Exam | None = None) -> SeenPatient:
    """Let a system read one patient, and compare with the truth."""
    score, views = system.read_exam(exam or patient.exam, 0.0)
    return SeenPatient(
        patient=str(patient.seed),
        score=score,
        views=tuple(
            replace(
                compared(
                    view.cancer_score,
                    view.findings,
                    [lesion_of(truth) for truth in truths],
                    system.reader.scope,
                ),
                groups=groups_of(view.projection, {"density": patient.density}),
            )
            for view, truths in zip(views, patient.truths, strict=True)
        ),
    )


def compared(
    score: float | None,
    findings: Sequence[Finding],
    lesions: Sequence[Lesion],
    scope: Scope,
    *,
    found_by: Callable[[Box, Box], bool] = finds,
    told: bool | None = None,
) -> SeenView:
    """Compare what was said of a view with what is there."""
    asked = [lesion for lesion in lesions if lesion.kind in scope.marks]
    return SeenView(
        score=score,
        marked=marked(
            [(finding.box, finding.score) for finding in findings],
            [lesion.box for lesion in asked],
            found_by=found_by,
        ),
        kinds=tuple(lesion.kind for lesion in asked),
        malignant=tuple(lesion.malignant for lesion in asked),
        cancers=tuple(lesion.kind for lesion in lesions if lesion.malignant),
        lesions=len(lesions),
        overlaps=tuple(_overlaps(findings, asked)),
        sorts=tuple(f"{lesion.sort} {lesion.kind}" if lesion.sort else "" for lesion in asked),
        told=told,
    )


def groups_of(projection: Projection | None, facts: Mapping[str, str]) -> tuple[str, ...]:
    """Name the groups that a view counts in: its projection, and what is known of the breast."""
    known = [f"{name} {facts[name].lower()}" for name in _GROUPED if facts.get(name)]
    return (*([] if projection is None else [str(projection)]), *known)


def examined_samples(
    system: ViewByView,
    samples: Sequence[Sample],
    spacing_mm: tuple[float, float] | None,
    found_by: Callable[[Box, Box], bool],
) -> list[SeenPatient]:
    """Let a system read images of a data set, a patient at a time, as the node would."""
    patients: dict[str, list[Sample]] = {}
    for sample in samples:
        patients.setdefault(sample.patient, []).append(sample)
    return [
        _seen_of(system, name, [(one, opened(one, spacing_mm)) for one in images], found_by)
        for name, images in track(patients.items(), "Reading patients")
    ]


def _seen_of(
    system: ViewByView,
    patient: str,
    images: Sequence[tuple[Sample, Known]],
    found_by: Callable[[Box, Box], bool],
) -> SeenPatient:
    exam = Exam(patient, tuple(one.view for _, one in images))
    score, views = system.read_exam(exam, 0.0)
    return SeenPatient(
        patient=patient,
        score=score,
        views=tuple(
            replace(
                compared(
                    view.cancer_score,
                    view.findings,
                    [lesion_of(truth) for truth in one.truths],
                    system.reader.scope,
                    found_by=found_by,
                    told=one.told,
                ),
                outlined=one.outlined,
                groups=groups_of(sample.projection, sample.facts),
                side=sample.side,
            )
            for view, (sample, one) in zip(views, images, strict=True)
        ),
    )


def lesion_of(truth: Truth) -> Lesion:
    """Return a lesion to be found."""
    return Lesion(truth.box, truth.kind, truth.malignant, truth.mask, truth.sort)


def _overlaps(findings: Sequence[Finding], lesions: Sequence[Lesion]) -> Iterator[float]:
    """Return how well the surest mark on each found lesion outlines it."""
    for lesion in lesions:
        marks = [finding for finding in findings if finds(finding.box, lesion.box)]
        surest = max(marks, key=lambda finding: finding.score, default=None)
        if surest is not None and surest.mask is not None and lesion.mask is not None:
            yield mask_dice(surest.mask, lesion.mask)


def imaged(seeds: Sequence[int], pitch_mm: float, workers: int) -> Iterator[Case]:
    """Image patients in other processes, some ahead of whoever reads them."""
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        # Exams are large: a few at a time are imaged ahead, not all.
        ahead = workers * 4
        for start in track(range(0, len(seeds), ahead), "Reading patients"):
            yield from pool.map(partial(case, pitch_mm=pitch_mm), seeds[start : start + ahead])
