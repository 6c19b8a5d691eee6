"""When the newest cases passed the milestones of their way, as the audit trail has it.

A case passes each milestone once here, however often it went back: it is settled when it was so
for the last time, and analyzed, reported and delivered when it was for the first. What somebody
moved by hand counts for nothing, so that neither a retry nor the note of a recall looks like a
result.

The times are the clock's, since the trail is for people. Where somebody set the clock meanwhile, a
leg may be of any length; one that ends before it begins is left out.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Case, Event, Recall
from dicom_node.life import Ruling, State


class Milestone(StrEnum):
    """What a case passes on its way."""

    FIRST_IMAGE = "first image"
    LAST_IMAGE = "last image"
    SETTLED = "settled"
    ANALYZED = "analyzed"
    REPORTED = "reported"
    DELIVERED = "delivered"


class Leg(NamedTuple):
    """A part of a case's way, and the states of one that is on it; none: nobody waits for it."""

    name: str
    start: Milestone
    end: Milestone
    states: tuple[State, ...] = ()

    def seconds(self, passed: "Passed") -> float | None:
        """Return how long it took; None where it has not ended, or not begun."""
        start, end = passed.get(self.start), passed.get(self.end)
        if start is None or end is None or end < start:
            return None
        return (end - start).total_seconds()


LEGS: tuple[Leg, ...] = (
    Leg("receive", Milestone.FIRST_IMAGE, Milestone.LAST_IMAGE),
    Leg("settle", Milestone.LAST_IMAGE, Milestone.SETTLED, (State.RECEIVING,)),
    Leg("analyze", Milestone.SETTLED, Milestone.ANALYZED, (State.RECEIVED, State.ANALYZING)),
    Leg("report", Milestone.ANALYZED, Milestone.REPORTED, (State.ANALYZED, State.REPORTING)),
    Leg("deliver", Milestone.REPORTED, Milestone.DELIVERED, (State.REPORTED, State.DELIVERING)),
    Leg("whole", Milestone.LAST_IMAGE, Milestone.DELIVERED),
)

_FIRST = {
    (State.ANALYZING, State.ANALYZED): Milestone.ANALYZED,
    (State.REPORTING, State.REPORTED): Milestone.REPORTED,
    (State.DELIVERING, State.DELIVERED): Milestone.DELIVERED,
}

OPENED_SETTLED = ("round opened", State.RECEIVED)  # by hand, on images that were here already

Passed = dict[Milestone, datetime]


def newest_passed(engine: Engine, cases: int) -> list[Passed]:
    """Return what each of the newest cases has passed, and when; none that was taken back."""
    with Session(engine.execution_options(reads_only=True)) as session:
        recalled = select(Recall.case_id)
        newest = select(Case.id).where(Case.id.not_in(recalled)).order_by(Case.id.desc())
        return list(_passed(session, session.scalars(newest.limit(cases)).all()).values())


def waits_since(engine: Engine, leg: Leg) -> datetime | None:
    """Tell since when the oldest case that is on a leg is on it; None where none is.

    One that somebody holds waits for that person, and for no part of the node.
    """
    with Session(engine.execution_options(reads_only=True)) as session:
        oldest = session.scalar(
            select(func.min(Case.id))
            .where(Case.state.in_(leg.states), Case.ruling.is_distinct_from(Ruling.HELD))
            .where(Case.id.not_in(select(Recall.case_id)))
        )
        if oldest is None:
            return None
        return _passed(session, [oldest]).get(oldest, {}).get(leg.start)


def _passed(session: Session, cases: Sequence[int]) -> dict[int, Passed]:
    """Read the milestones of cases through the index on whose events they are.

    All kinds of events are grouped: asked for some kinds alone, SQLite would take the index on the
    kind, and walk through every move that was ever made.
    """
    kind = (Event.case_id, Event.what, Event.from_state, Event.to_state)
    rows = session.execute(
        select(*kind, func.min(Event.at), func.max(Event.at))
        .where(Event.case_id.in_(cases))
        .group_by(*kind)
    )
    passed: dict[int, Passed] = {case_id: {} for case_id in cases}
    for case_id, what, start, end, first, last in rows:
        assert case_id is not None, "asked for by the numbers of their cases"
        passed[case_id].update(_milestones(what, (start, end), first, last))
    return passed


def _milestones(
    what: str, move: tuple[str | None, str | None], first: datetime, last: datetime
) -> Iterable[tuple[Milestone, datetime]]:
    """Say which milestones events of one kind are, given the first and the last of them."""
    if what == "image received":
        yield Milestone.FIRST_IMAGE, first
        yield Milestone.LAST_IMAGE, last
    elif move == (State.RECEIVING, State.RECEIVED) or (what, move[1]) == OPENED_SETTLED:
        yield Milestone.SETTLED, last
    else:
        for known, milestone in _FIRST.items():
            if move == known:
                yield milestone, first
