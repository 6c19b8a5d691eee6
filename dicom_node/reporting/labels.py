"""The words beside a mark, wherever one is drawn."""

from collections.abc import Sequence

from dicom_node.reporting import changes
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.reporting.words import several, worst
from inference.findings import ExamFindings

MARKING = "AI RESULT - research use only, not for diagnosis"


def label(lesion: Lesion, exam: ExamFindings) -> tuple[str, ...]:
    """Say which lesion it is, its scores, and who saw it."""
    return lesion.name, scores(lesion), finders(lesion, exam)


def scores(lesion: Lesion) -> str:
    """Say how certain a lesion is, and how likely it is malignant where that was judged."""
    finding = lesion.finding
    judged = "" if finding.cancer_score is None else f", cancer {percent(finding.cancer_score)}"
    return f"lesion {percent(finding.score)}{judged}"


def finders(lesion: Lesion, exam: ExamFindings) -> str:
    """Name the system, or those of several that saw the lesion with what each gave it."""
    if not several(exam):
        return f"{exam.system} {exam.version}"
    pairs = zip(lesion.finding.systems, lesion.finding.scores, strict=True)
    return ", ".join(f"{name} {percent(score)}" for name, score in pairs)


def outcome(exam: ExamFindings, given: float | None = None) -> str:
    """Say in one line what came out."""
    count = len(exam.findings)
    findings = f"{count or 'No'} finding{'' if count == 1 else 's'}" if exam.marks else "No marks"
    if exam.cancer_score is None:
        return findings
    return f"{findings}; cancer score of the exam {worst(exam, given)}"


def ranked(sources: Sequence[Source]) -> list[tuple[Lesion, Source]]:
    """List the lesions of an exam, the surest first."""
    found = [(lesion, source) for source in sources for lesion in source.lesions]
    return sorted(found, key=lambda pair: -pair[0].finding.score)


def percent(score: float) -> str:
    """Write a score as all objects do."""
    return changes.percent(score)
