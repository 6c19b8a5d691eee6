"""What one destination is shown of an exam, and what it has to be told beside it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dicom_node.reporting.changes import percent
from dicom_node.reporting.profile import Profile
from inference import scores
from inference.findings import ExamFindings, Finding, ViewFindings

SIDES = {"L": "left", "R": "right"}
CUT = "Shown are the "


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An exam as a destination gets it; the remarks stand in every text beside it."""

    exam: ExamFindings
    remarks: tuple[str, ...] = ()
    given: float | None = None  # what the exam was given, where its score says more than that


def of_a_cut(remarks: Sequence[str]) -> tuple[str, ...]:
    """Return the remark that marks were left out: whoever sees marks alone needs no other."""
    return tuple(remark for remark in remarks if remark.startswith(CUT))


def shown(exam: ExamFindings, profile: Profile) -> Shown:
    """Show an exam the way a destination wants it."""
    whole, remarks = consistent(exam) if profile.scores == "maximum" else (exam, ())
    given = exam.cancer_score if percent(exam.cancer_score) != percent(whole.cancer_score) else None
    if not profile.max_marks or len(exam.findings) <= profile.max_marks:
        return Shown(whole, remarks, given)
    cut = replace(whole, views=tuple(_worst(whole, profile.max_marks)))
    return Shown(cut, (*remarks, _of_the_cut(whole, profile.max_marks)), given)


def consistent(exam: ExamFindings) -> tuple[ExamFindings, tuple[str, ...]]:
    """Let no score be less than one below it, and say each breast's.

    What the bundle itself said of the exam is told with it, since that is the number whose worth
    was measured.
    """
    raised, breasts = scores.consistent(exam)
    remarks = (
        f"Cancer score of the {SIDES[side]} breast: {percent(breasts[side])}."
        for side in sorted(breasts)
    )
    return raised, tuple(remarks)


def _of_the_cut(exam: ExamFindings, count: int) -> str:
    """Say which findings are shown, and of how many."""
    judged = [found.cancer_score is not None for found in exam.findings]
    by = "most suspicious" if any(judged) else "surest"
    last = "; those without a cancer score come last" if any(judged) and not all(judged) else ""
    return f"{CUT}{count} {by} of {len(judged)} findings{last}."


def _rank(found: Finding) -> tuple[bool, float, float]:
    """Put likely cancers first, then what is surely a lesion: of those, many are sure."""
    return found.cancer_score is None, -(found.cancer_score or 0.0), -found.score


def _worst(exam: ExamFindings, count: int) -> Iterator[ViewFindings]:
    """Leave the most suspicious findings of the exam, each in its view and in its order."""
    places = [
        (_rank(found), number, place)
        for number, view in enumerate(exam.views)
        for place, found in enumerate(view.findings)
    ]
    kept = {(number, place) for _, number, place in sorted(places)[:count]}
    for number, view in enumerate(exam.views):
        findings = (found for place, found in enumerate(view.findings) if (number, place) in kept)
        yield replace(view, findings=tuple(findings))
