"""What one destination is shown of an exam, and what it has to be told beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dicom_node.reporting.profile import Profile
from inference.findings import ExamFindings, ViewFindings

SIDES = {"L": "left", "R": "right"}
CUT = "Shown are the "


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An exam as a destination gets it; the remarks stand in every text beside it."""

    exam: ExamFindings
    remarks: tuple[str, ...] = ()


def of_a_cut(remarks: Sequence[str]) -> tuple[str, ...]:
    """Return the remark that marks were left out: whoever sees marks alone needs no other."""
    return tuple(remark for remark in remarks if remark.startswith(CUT))


def shown(exam: ExamFindings, profile: Profile) -> Shown:
    """Show an exam the way a destination wants it."""
    exam, remarks = consistent(exam) if profile.scores == "maximum" else (exam, ())
    marks = len(exam.findings)
    if not profile.max_marks or marks <= profile.max_marks:
        return Shown(exam, remarks)
    cut = replace(exam, views=tuple(_surest(exam, profile.max_marks)))
    return Shown(cut, (*remarks, f"{CUT}{profile.max_marks} surest of {marks} findings."))


def consistent(exam: ExamFindings) -> tuple[ExamFindings, tuple[str, ...]]:
    """Let no score be less than one below it: of a finding, its view, its breast, the exam.

    Each is the highest that is said of it or of a part of it; what the bundle itself said of the
    exam is told beside it, since that is the number whose worth was measured.
    """
    if exam.cancer_score is None:
        return exam, ()
    views = tuple(_raised(view) for view in exam.views)
    breasts: dict[str, float] = {}
    for view in views:
        if view.cancer_score is not None:
            breasts[view.side] = max(breasts.get(view.side, 0.0), view.cancer_score)
    highest = max((exam.cancer_score, *breasts.values()))
    remarks = [
        f"Cancer score of the {SIDES[side]} breast: {_percent(breasts[side])}."
        for side in sorted(breasts)
    ]
    if highest > exam.cancer_score:
        remarks.append(
            "Each score is the highest of its parts; the exam as a whole was given "
            f"{_percent(exam.cancer_score)}."
        )
    return replace(exam, views=views, cancer_score=highest), tuple(remarks)


def _raised(view: ViewFindings) -> ViewFindings:
    if view.cancer_score is None:
        return view
    found = [one.cancer_score for one in view.findings if one.cancer_score is not None]
    return replace(view, cancer_score=max([view.cancer_score, *found]))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _surest(exam: ExamFindings, count: int) -> Iterator[ViewFindings]:
    """Leave the surest findings of the exam, each in its view and in its order."""
    places = [
        (-found.score, number, place)
        for number, view in enumerate(exam.views)
        for place, found in enumerate(view.findings)
    ]
    kept = {(number, place) for _, number, place in sorted(places)[:count]}
    for number, view in enumerate(exam.views):
        findings = (found for place, found in enumerate(view.findings) if (number, place) in kept)
        yield replace(view, findings=tuple(findings))
