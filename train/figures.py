"""The figures that a card states: each with its interval, and counted as its rule says."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from inference.bundle import Measurement, OperatingPoint
from inference.findings import Kind
from inference.scores import Breast
from inference.systems.views import Scope
from train.evaluation import SeenPatient
from train.metrics.auc import auc, standardized_partial_auc
from train.metrics.bootstrap import interval, widened
from train.metrics.froc import OVERLAP_RULE, RULE, Marked, at_threshold, sensitivity_at
from train.metrics.operating import at_specificity
from train.metrics.probabilistic import probabilistic_f1
from train.rankings import Cases, Patients, Ranking, rankings, views_of

Measure = Callable[[Patients], float]


@dataclass(frozen=True, slots=True)
class Counting:
    """By which rule marks were compared with lesions, and where the FROC is read."""

    rule: str = RULE
    false_marks: tuple[float, ...] = (0.25, 0.5, 1.0)  # per image
    breasts: Breast | None = None  # how views make a breast, where labels are of breasts


# What is told of each group apart.
_OF_GROUPS = ("image_auc", "image_auc_any_lesion", "sensitivity_at_1_false_marks_per_image")

USUAL = Counting()
# As data sets are measured in publications.
PUBLISHED = Counting(OVERLAP_RULE, (0.25, 0.5, 1.0, 2.0, 4.0))
# Screening is read where few women without a cancer are called; the rest of the curve is of no use.
_MOST_CALLED = 0.2
# Of radiologists in screening in the United States (BCSC 2009, as Shen quotes it).
_RADIOLOGISTS = 0.908
_FEWEST = 10  # lesions of a sort that is told apart


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    rule: str
    needs: str  # what must be there for it to have a value
    measure: Measure
    cases: Callable[[Patients], Cases] | None = None  # of a ranking
    part: bool = True  # of a whole: from 0 to 1

    def rests(self, patients: Patients) -> int:
        """Count the patients that it rests on; of a ranking, those of the rarer kind."""
        if self.cases is None:
            return sum(not math.isnan(self.measure([patient])) for patient in patients)
        shown = [set(self.cases([patient])[0]) for patient in patients]
        return min(sum(kind in of_one for of_one in shown) for kind in (True, False))


def measured(
    patients: Patients,
    points: Mapping[str, float],
    on: str,
    scope: Scope,
    counting: Counting = USUAL,
) -> list[Measurement]:
    """Return every number that a card states, with intervals over patients.

    A figure that has no value on these patients is left out; `unmeasured` says why.
    """
    found = list(_values(_figures(points, scope, counting), patients, on))
    # An exam's score is of all its views, so that views alone are told apart.
    asked = [one for one in _figures({}, scope, counting) if one.name in _OF_GROUPS]
    for group, some in grouped(patients).items():
        found += [one.model_copy(update={"subgroup": group}) for one in _values(asked, some, on)]
    for sort in sorts(patients):
        of_sort = _values([_of_sort(sort, counting)], patients, on)
        found += [one.model_copy(update={"subgroup": sort}) for one in of_sort]
    return found


def published(patients: Patients, breast: Breast) -> Counting:
    """Say how images of a data set are counted.

    Where no image has all its lesions marked, what is told of it was told of its breast: a cancer
    that another view shows counts for this one, so that breasts are counted too.
    """
    if any(view.outlined for patient in patients for view in patient.views):
        return PUBLISHED
    return replace(PUBLISHED, breasts=breast)


def grouped(patients: Patients) -> dict[str, list[SeenPatient]]:
    """Return each group's views, by patient; a group of all views is none."""
    names = {name for patient in patients for view in patient.views for name in view.groups}
    found: dict[str, list[SeenPatient]] = {}
    for name in sorted(names):
        some = [
            replace(patient, views=tuple(view for view in patient.views if name in view.groups))
            for patient in patients
        ]
        if any(len(one.views) < len(all_.views) for one, all_ in zip(some, patients, strict=True)):
            found[name] = [one for one in some if one.views]
    return found


def sorts(patients: Patients) -> list[str]:
    """Name the sorts of lesions that are told apart: of a few lesions nothing is to be said."""
    counts = Counter(
        sort for view, _ in views_of(patients) if view.outlined for sort in view.sorts if sort
    )
    return sorted(sort for sort, times in counts.items() if times >= _FEWEST)


def _of_sort(sort: str, counting: Counting) -> _Figure:
    """Measure one sort of lesion against all false marks, which have none (Cao, table 4)."""
    return _Figure(
        "sensitivity_at_1_false_marks_per_image",
        f"of each {sort}, all false marks counted: {counting.rule}",
        f"a {sort}",
        partial(_sensitivity, rate=1.0, sort=sort),
    )


def _values(figures: Iterable[_Figure], patients: Patients, on: str) -> Iterator[Measurement]:
    images = sum(len(patient.views) for patient in patients)
    for figure in figures:
        value = figure.measure(patients)
        if math.isnan(value):
            continue
        low, high = interval(figure.measure, patients)
        if figure.part:
            low, high = widened(value, low, high, figure.rests(patients))
        yield Measurement(
            name=figure.name,
            value=round(value, 4),
            low=round(low, 4),
            high=round(high, 4),
            on=on,
            studies=len(patients),
            images=images,
            rule=figure.rule,
        )


def unmeasured(
    patients: Patients,
    points: Mapping[str, float],
    scope: Scope,
    counting: Counting = USUAL,
) -> dict[str, str]:
    """Return the figures without a value on these patients, each with what it would need."""
    return {
        figure.name: figure.needs
        for figure in _figures(points, scope, counting)
        if math.isnan(figure.measure(patients))
    }


def marking(points: Mapping[str, OperatingPoint]) -> dict[str, float]:
    """Return the thresholds that were chosen on marks; those chosen on exams say what they are."""
    return {name: one.finding_score for name, one in points.items() if one.exam_score is None}


def marks(patients: Patients, kind: Kind | None = None, sort: str = "") -> list[Marked]:
    """Return how each view was marked; of one kind or sort of lesion only, with all false marks.

    A view in which some lesions may not be marked has no part: nobody knows which marks are false.
    """
    return [
        Marked(
            tuple(
                score
                for at, score in enumerate(view.marked.found)
                if kind in {None, view.kinds[at]} and (not sort or view.sorts[at] == sort)
            ),
            view.marked.false,
            patient.weight,
        )
        for patient in patients
        for view in patient.views
        if view.outlined
    ]


def _figures(points: Mapping[str, float], scope: Scope, counting: Counting) -> Iterator[_Figure]:
    for ranking in rankings(scope, counting.breasts):
        area = partial(_area, cases=ranking.cases)
        yield _Figure(ranking.name, ranking.rule, ranking.needs, area, ranking.cases)
        if ranking.name == "exam_auc":
            yield from _in_screening(ranking)
        if ranking.name == "breast_auc":
            yield from _of_breasts(ranking)
    if not scope.marks:
        return
    lesion = f"a {' or '.join(scope.marks)}"
    for rate in counting.false_marks:
        name = f"sensitivity_at_{rate:g}_false_marks_per_image"
        yield _Figure(name, counting.rule, lesion, partial(_sensitivity, rate=rate))
    if len(scope.marks) > 1:
        for kind in scope.marks:
            yield _Figure(
                f"{kind}_sensitivity_at_1_false_marks_per_image",
                f"of each {kind}, all false marks counted: {counting.rule}",
                f"a {kind}",
                partial(_sensitivity, rate=1.0, kind=kind),
            )
    yield _Figure(
        "mask_dice",
        "mean over found lesions of 2 |A and B| / (|A| + |B|), the surest mark's mask against the "
        "lesion's",
        "a mark with an outline on a lesion",
        mask_dice,
    )
    for point, threshold in points.items():
        yield from _at_point(point, threshold, lesion, counting.rule)


def _in_screening(ranking: Ranking) -> Iterator[_Figure]:
    """Measure the part of the curve that screening reads, and what radiologists are held to."""
    yield _Figure(
        "exam_partial_auc",
        f"{ranking.rule}, where at most {_MOST_CALLED:.0%} of the others are called; 0.5 by "
        "chance, 1 at best (McClish 1989)",
        ranking.needs,
        partial(_partial_area, cases=ranking.cases),
        ranking.cases,
    )
    yield _Figure(
        f"exam_sensitivity_at_specificity_{_RADIOLOGISTS:g}",
        f"{ranking.rule}: the most that is found while {_RADIOLOGISTS:.1%} of the others, as with "
        "radiologists (BCSC 2009), are not called",
        ranking.needs,
        partial(_beside_radiologists, cases=ranking.cases),
        ranking.cases,
    )


def _of_breasts(ranking: Ranking) -> Iterator[_Figure]:
    yield _Figure(
        "breast_probabilistic_f1",
        f"F1 of {ranking.rule}, which counts as so much of a yes (RSNA 2022)",
        "a breast with a cancer",
        partial(_probabilistic, cases=ranking.cases),
    )


def _at_point(point: str, threshold: float, lesion: str, rule: str) -> Iterator[_Figure]:
    where = f"at operating point {point}: "
    yield _Figure(
        f"sensitivity_{point}", where + rule, lesion, partial(_found, threshold=threshold)
    )
    yield _Figure(
        f"cancer_sensitivity_{point}",
        f"{where}the same, of malignant lesions only",
        f"{lesion} that is malignant",
        partial(_cancers_found, threshold=threshold),
    )
    yield _Figure(
        f"false_marks_per_image_{point}",
        where + rule,
        "a view",
        partial(_false, threshold=threshold),
        part=False,
    )
    yield _Figure(
        f"quiet_healthy_exams_{point}",
        f"{where}part of the exams without any lesion that get no finding at all",
        "an exam without any lesion",
        partial(_quiet, threshold=threshold),
    )


def _area(patients: Patients, cases: Callable[[Patients], Cases]) -> float:
    return auc(*cases(patients))


def _partial_area(patients: Patients, cases: Callable[[Patients], Cases]) -> float:
    truth, scores, weights = cases(patients)
    return standardized_partial_auc(truth, scores, _MOST_CALLED, weights)


def _beside_radiologists(patients: Patients, cases: Callable[[Patients], Cases]) -> float:
    truth, scores, weights = cases(patients)
    if len(set(truth)) < 2:  # noqa: PLR2004 - with and without
        return float("nan")
    return at_specificity(truth, scores, _RADIOLOGISTS, weights).point.sensitivity


def _probabilistic(patients: Patients, cases: Callable[[Patients], Cases]) -> float:
    return probabilistic_f1(*cases(patients))


def _sensitivity(
    patients: Patients, rate: float, kind: Kind | None = None, sort: str = ""
) -> float:
    return sensitivity_at(marks(patients, kind, sort), rate)


def mask_dice(patients: Patients) -> float:
    """Return how well found lesions are outlined, in the mean over them."""
    return _mean([(each, weight) for view, weight in views_of(patients) for each in view.overlaps])


def _found(patients: Patients, threshold: float) -> float:
    return at_threshold(marks(patients), threshold)[0]


def _false(patients: Patients, threshold: float) -> float:
    return at_threshold(marks(patients), threshold)[1]


def _cancers_found(patients: Patients, threshold: float) -> float:
    return _mean(
        [
            (float(score >= threshold), weight)
            for view, weight in views_of(patients)
            if view.outlined
            for score, malignant in zip(view.marked.found, view.malignant, strict=True)
            if malignant
        ]
    )


def _quiet(patients: Patients, threshold: float) -> float:
    return _mean(
        [
            (float(_false([patient], threshold) == 0), patient.weight)
            for patient in patients
            if patient.healthy and patient.outlined
        ]
    )


def _mean(weighed: Sequence[tuple[float, float]]) -> float:
    whole = sum(weight for _, weight in weighed)
    return sum(value * weight for value, weight in weighed) / whole if whole else float("nan")
