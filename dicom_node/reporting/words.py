"""What a report says in words: what was looked for, what came out, and who saw it."""

from collections.abc import Iterator, Sequence

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Source
from inference.findings import ExamFindings, Kind

LOOKED_FOR: dict[frozenset[Kind], str] = {
    frozenset(Kind): "Looked for masses and calcifications.",
    frozenset({Kind.MASS}): "Looked for masses only.",
    frozenset({Kind.CALCIFICATION}): "Looked for calcifications only.",
    frozenset(): "The system scores views and the exam; it marks nothing.",
}
NOT_JUDGED = "The system does not judge cancer."


def impression(
    sources: Sequence[Source], exam: ExamFindings, maker: Maker, circumstances: Circumstances
) -> str:
    """Say in words what was read, what came out, and what it must not be used for."""
    sentences = (
        maker.research_statement,
        _read(sources, exam),
        *scope(exam),
        *_score(exam),
        circumstances.change,
    )
    return " ".join(sentence for sentence in sentences if sentence)


def scope(exam: ExamFindings) -> Iterator[str]:
    """Say what no finding and no score stands for."""
    yield LOOKED_FOR[frozenset(exam.marks)]
    if exam.cancer_score is None:
        yield NOT_JUDGED


def _read(sources: Sequence[Source], exam: ExamFindings) -> str:
    views = ", ".join(_view(source) for source in sources)
    who = f"{exam.system} {exam.version} at operating point {exam.operating_point}"
    if not exam.marks:
        return f"{who} read {views}."
    count = len(exam.findings)
    return f"{who}: {count or 'no'} finding{'' if count == 1 else 's'} in {views}."


def _view(source: Source) -> str:
    score = source.view.cancer_score
    return source.name if score is None else f"{source.name} ({100 * score:.1f} %)"


def _score(exam: ExamFindings) -> Iterator[str]:
    if exam.cancer_score is not None:
        yield f"Cancer score of the exam: {100 * exam.cancer_score:.1f} %."
