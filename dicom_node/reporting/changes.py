"""What a round changes, in sentences: views added, findings new, gone or scored anew, and by whom.

It compares what was told then and now: a difference that no reader of both could see is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding as a reader of the report sees it."""

    name: str
    certainty: str  # "91.3 %"
    cancer: str  # empty where nobody judged it


@dataclass(frozen=True, slots=True)
class Telling:
    """What one round told."""

    round: int  # which the next one calls by its number
    reader: str  # "shared_trunk 1.2.0 at operating point balanced"
    weights: str
    views: Mapping[str, str]  # by SOP instance UID: "LCC"
    marks: Mapping[str, Mark]  # by tracking UID
    score: str  # of the exam; empty where nobody judged it
    unshown: frozenset[str] = frozenset()  # found too, but not among the marks that were shown


def decimals(share: float) -> int:
    """Say how exactly a score is written: where cancers are rare, scores lie below one percent."""
    return 2 if 0 < 100 * share < 1 else 1


def percent(share: float | None) -> str:
    """Write a score as reports do."""
    return "" if share is None else f"{100 * share:.{decimals(share)}f} %"


def changes(before: Telling, now: Telling) -> str:
    """Say what a round changes about an earlier one."""
    clauses = (
        *_views(before, now),
        *_marks(before, now),
        *_exam_score(before, now),
        *_reader(before, now),
    )
    return f"Since round {before.round}: {'; '.join(clauses)}."


def _views(before: Telling, now: Telling) -> Iterator[str]:
    added = [name for uid, name in now.views.items() if uid not in before.views]
    gone = [name for uid, name in before.views.items() if uid not in now.views]
    replaced = [name for name in added if name in gone]
    if fresh := [name for name in added if name not in replaced]:
        yield f"{listed(fresh)} added"
    if replaced:
        yield f"{listed(replaced)} read from a newer image"
    if left := [name for name in gone if name not in replaced]:
        yield f"{listed(left)} not read any more"


def _marks(before: Telling, now: Telling) -> Iterator[str]:
    fresh = {uid: mark.name for uid, mark in now.marks.items() if uid not in before.marks}
    lost = {uid: mark.name for uid, mark in before.marks.items() if uid not in now.marks}
    new = [name for uid, name in fresh.items() if uid not in before.unshown]
    gone = [name for uid, name in lost.items() if uid not in now.unshown]
    chosen = [name for uid, name in fresh.items() if uid in before.unshown]
    dropped = [name for uid, name in lost.items() if uid in now.unshown]
    other = [
        _difference(before.marks[uid], mark)
        for uid, mark in now.marks.items()
        if uid in before.marks and before.marks[uid] != mark
    ]
    for names, what in (
        (new, "new"),
        (gone, "gone"),
        (chosen, "shown that was found before, but not shown"),
        (dropped, "found again, but not shown any more"),
        (other, "with another score"),
    ):
        if names:
            yield f"{_findings(len(names))} {what} ({', '.join(names)})"
    if not (fresh or lost or other):
        yield "no finding changed"


def _difference(before: Mark, now: Mark) -> str:
    parts = [
        _was_and_is(what, former, latter)
        for what, former, latter in (
            ("certainty", before.certainty, now.certainty),
            ("probability of cancer", before.cancer, now.cancer),
        )
        if former != latter
    ]
    return f"{now.name}: {' and '.join(parts)}"


def _exam_score(before: Telling, now: Telling) -> Iterator[str]:
    if before.score != now.score:
        yield _was_and_is("cancer score of the exam", before.score, now.score)


def _was_and_is(what: str, former: str, latter: str) -> str:
    return f"{what} was {former or 'not judged'}, is {latter or 'not judged'}"


def _reader(before: Telling, now: Telling) -> Iterator[str]:
    if before.reader != now.reader:
        yield f"round {before.round} was read by {before.reader}"
    elif before.weights != now.weights:
        yield f"round {before.round} was read with other weights of the same version"


def _findings(count: int) -> str:
    return f"{count} finding{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Name several, as a sentence does."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
