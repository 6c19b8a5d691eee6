"""What one destination is shown of an exam, and what it has to be told beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dicom_node.reporting.profile import Profile
from inference.findings import ExamFindings, ViewFindings


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An exam as a destination gets it; the remarks stand in every text beside it."""

    exam: ExamFindings
    remarks: tuple[str, ...] = ()


def shown(exam: ExamFindings, profile: Profile) -> Shown:
    """Show an exam the way a destination wants it."""
    marks = len(exam.findings)
    if not profile.max_marks or marks <= profile.max_marks:
        return Shown(exam)
    cut = replace(exam, views=tuple(_surest(exam, profile.max_marks)))
    return Shown(cut, (f"Shown are the {profile.max_marks} surest of {marks} findings.",))


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
