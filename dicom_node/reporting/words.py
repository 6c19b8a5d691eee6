"""What a report says in words: what was looked for, what came out, and who saw it."""

from collections.abc import Iterable, Iterator, Sequence

from dicom_node.reporting.changes import Mark, Telling, changes, percent
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.places import pairs, place
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.reporting.tracking import Name
from dicom_node.reporting.unread import not_read
from inference import scores
from inference.findings import ExamFindings, Finding, Kind, Member

PLURALS = {Kind.MASS: "masses", Kind.CALCIFICATION: "calcifications"}


def impression(
    sources: Sequence[Source], exam: ExamFindings, maker: Maker, circumstances: Circumstances
) -> str:
    """Say in words what was read, what came out, and what it must not be used for."""
    sentences = (
        maker.research_statement,
        reading(sources, exam),
        *exam_score(exam, circumstances.given),
        *promised(sources, exam),
        *not_read(circumstances.unread),
        *circumstances.remarks,
        *revision(sources, exam, circumstances),
    )
    return " ".join(sentence for sentence in sentences if sentence)


def promised(sources: Sequence[Source], exam: ExamFindings) -> Iterator[str]:
    """Say what silence means, and where each finding lies and who saw it: it is always said."""
    yield from scope(exam)
    for source in sources:
        for lesion in source.lesions:
            seen = seen_by(lesion, exam) if several(exam) else ""
            if told := "; ".join(
                filter(None, (lesion.calcifications, place(lesion, source).words, seen))
            ):
                yield f"{lesion.name}: {told}."
    for pair in pairs(sources):
        yield pair.words


def scope(exam: ExamFindings) -> Iterator[str]:
    """Say what was looked for, and whether anybody judged cancer."""
    yield looked_for(exam)
    if exam.cancer_score is None:
        yield "Nobody judged cancer." if several(exam) else "The system does not judge cancer."


def revision(
    sources: Sequence[Source], exam: ExamFindings, circumstances: Circumstances
) -> Iterator[str]:
    """Say what a later round replaces and changes, and what was taken back before it."""
    if circumstances.change:
        yield circumstances.change
    yield from circumstances.recalled
    if circumstances.before is not None:
        found = [
            (Name(lesion.name, lesion.uid), lesion.finding)
            for source in sources
            for lesion in source.lesions
        ]
        now = telling(circumstances.round, exam, found, circumstances.unshown)
        yield changes(circumstances.before, now)


def telling(
    round_: int,
    exam: ExamFindings,
    found: Iterable[tuple[Name, Finding]],
    unshown: frozenset[str] = frozenset(),
) -> Telling:
    """Sum up what a round tells, to compare it with another."""
    return Telling(
        round=round_,
        reader=_who(exam),
        weights=exam.digest,
        views={view.sop_instance_uid: f"{view.side}{view.projection}" for view in exam.views},
        marks={
            str(name.uid): Mark(name.words, percent(one.score), percent(one.cancer_score))
            for name, one in found
        },
        score=percent(exam.cancer_score),
        unshown=unshown,
    )


def several(exam: ExamFindings) -> bool:
    """Say whether an exam was read by more than one."""
    return len(exam.members) > 1


def looked_for(exam: ExamFindings) -> str:
    """Say which kinds were looked for, and by whom where not by all."""
    if not exam.marks:
        who = "The systems score" if several(exam) else "The system scores"
        them = "they mark" if several(exam) else "it marks"
        return f"{who} views and the exam; {them} nothing."
    kinds = [
        PLURALS[kind] + _those(seekers(kind, exam), exam) for kind in Kind if kind in exam.marks
    ]
    only = "" if len(kinds) == len(Kind) else " only"
    return f"Looked for {' and '.join(kinds)}{only}."


def seekers(kind: Kind, exam: ExamFindings) -> tuple[Member, ...]:
    """Return who looked for a kind."""
    return tuple(member for member in exam.members if kind in member.marks)


def seen_by(lesion: Lesion, exam: ExamFindings) -> str:
    """Say how many of those who look for its kind marked a lesion, and how sure each is of it."""
    finding = lesion.finding
    scores = zip(finding.systems, finding.scores, strict=True)
    named = ", ".join(f"{name} {percent(score)}" for name, score in scores)
    asked = f"{len(seekers(finding.kind, exam))} that look for {PLURALS[finding.kind]}"
    return f"marked by {len(finding.systems)} of {asked} ({named})"


def _those(members: Sequence[Member], exam: ExamFindings) -> str:
    if len(members) == len(exam.members):
        return ""
    return f" ({', '.join(member.name for member in members)})"


def reading(sources: Sequence[Source], exam: ExamFindings) -> str:
    """Say who read which views, and how many findings there are."""
    views = ", ".join(_view(source) for source in sources)
    if not exam.marks:
        return f"{_who(exam)} read {views}."
    count = len(exam.findings)
    return f"{_who(exam)}: {count or 'no'} finding{'' if count == 1 else 's'} in {views}."


def _who(exam: ExamFindings) -> str:
    if not several(exam):
        return f"{exam.system} {exam.version} at operating point {exam.operating_point}"
    named = [
        f"{member.name} {member.version} at operating point {member.operating_point}"
        for member in exam.members
    ]
    return f"Agreement of {', '.join(named[:-1])} and {named[-1]}"


def _view(source: Source) -> str:
    score = source.view.cancer_score
    return source.name if score is None else f"{source.name} (score {percent(score)})"


def exam_score(exam: ExamFindings, given: float | None = None) -> Iterator[str]:
    """Say the score of the exam, where there is one, and what each of several gave it."""
    if exam.cancer_score is None:
        return
    told = [
        f"{member.name} {percent(member.cancer_score)}"
        for member in exam.members
        if member.cancer_score is not None
    ]
    members = f" ({', '.join(told)})" if several(exam) else ""
    yield f"Cancer score of the exam: {worst(exam, given)}{members}."
    yield from _decision(exam)


def _decision(exam: ExamFindings) -> Iterator[str]:
    """Say whether the exam reaches its operating point, and what was done to its scores here."""
    if exam.called_from is not None:
        which = "is called" if scores.called(exam) else "is not called"
        yield (
            f"At operating point {exam.operating_point} an exam is called from "
            f"{percent(exam.called_from)} on: this one {which}."
        )
    corrected = dict.fromkeys(one.corrected for one in exam.members if one.corrected)
    if corrected:
        yield f"Scores are corrected for this site: {'; '.join(corrected)}."


def worst(exam: ExamFindings, given: float | None) -> str:
    """Write the score of the exam, and what it was given where that is less."""
    score = percent(exam.cancer_score)
    if given is None:
        return score
    return f"{score}, the highest of its parts (as a whole it was given {percent(given)})"
