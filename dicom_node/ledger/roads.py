"""Whether a destination can be reached: one row each, so that all processes learn from one.

A road is open while its peer answers. Where it does not, the road is closed; when its time has
come, whoever claims it first knocks, alone, and all others wait for what that one finds. The first
answer opens the road for everybody, and all that waited is due at once.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case, Delivery, Road
from dicom_node.life import TOLD, Receipt, State

Place = tuple[str, str]  # a destination's name, and the target where it is whoever sent
HELD = timedelta(seconds=30)  # for who calls first after a silence; a killed one holds up no longer


def claim_road(ledger: Ledger, road: str, probe: timedelta) -> bool:
    """Say whether a peer may be called now; where nobody knows if it answers, by one alone."""
    at = now()
    try:
        with ledger.writing() as session:
            row = session.get(Road, road)
            if row is None:
                session.add(Road(destination=road, failures=0, due_at=at + HELD, last_error=""))
                return True
            if at < row.due_at:
                return False
            if not row.failures and row.answered_at and at - probe < row.answered_at <= at:
                return True
            change = update(Road).where(Road.destination == road, Road.due_at == row.due_at)
            change = change.values(due_at=at + (probe if row.failures else HELD))
            return session.connection().execute(change).rowcount == 1
    except IntegrityError:  # another was first, on a road that nobody had gone before
        return False


def open_road(ledger: Ledger, road: str, places: Collection[Place]) -> None:
    """Write down that a peer answers; what waited for it waits no longer."""
    with ledger.writing() as session:
        row = _row(session, road)
        if row.failures:
            ledger.note(session, "destination back", road)
            _wake(session, places)
        row.failures, row.due_at, row.last_error, row.answered_at = 0, now(), "", now()


def close_road(ledger: Ledger, road: str, sentence: str, due_at: datetime) -> None:
    """Write down that a peer does not answer, and when somebody may knock again."""
    with ledger.writing() as session:
        row = _row(session, road)
        row.failures, row.due_at, row.last_error = row.failures + 1, due_at, sentence
        ledger.note(session, "destination unreachable", f"{road}: {sentence}")


def leave_road(ledger: Ledger, road: str) -> None:
    """Give a road back that was claimed, and whose peer was asked for nothing: others may go."""
    with ledger.writing() as session:
        change = update(Road).where(Road.destination == road, Road.failures == 0)
        session.execute(change.values(due_at=now()))


def _row(session: Session, road: str) -> Road:
    """Find a road, which another process may have forgotten since it was claimed."""
    row = session.get(Road, road)
    if row is None:
        row = Road(destination=road, failures=0, due_at=now(), last_error="")
        session.add(row)
    return row


def forget_roads(ledger: Ledger, known: Collection[str]) -> None:
    """Forget the closed roads to where nothing is owed and nobody goes any more."""
    with ledger.writing() as session:
        closed = select(Road).where(Road.failures > 0).order_by(Road.destination)
        for row in session.scalars(closed.with_for_update(skip_locked=True)).all():
            if row.destination not in known:
                ledger.note(session, "destination forgotten", f"{row.destination}: no road of ours")
                session.delete(row)


def wake_one(ledger: Ledger, places: Collection[Place]) -> None:
    """Let one case knock at a closed road whose time has come: the one that tried least."""
    with ledger.writing() as session:
        case = session.scalars(
            select(Case)
            .join(Delivery, Delivery.case_id == Case.id)
            .where(Delivery.receipt == Receipt.OWED, _at(places), _waits())
            .order_by(Delivery.attempts, Delivery.owed_since, Delivery.id)
            .limit(1)
        ).first()
        if case is not None and case.due_at > now():
            case.due_at, case.rung_at = now(), None


def waiting_elsewhere(questions: Questions, places: Collection[Place]) -> list[int]:
    """List the cases that are due and owe something to anybody who is not at these places."""
    with Session(questions.engine) as session:
        query = (
            select(Case.id, func.min(Delivery.owed_since))
            .join(Delivery, Delivery.case_id == Case.id)
            .where(Delivery.receipt == Receipt.OWED, Delivery.due_at <= now())
            .where(not_(_at(places)), _waits(), Case.due_at <= now())
            .group_by(Case.id)
            .order_by(func.min(Delivery.owed_since), Case.id)
        )
        return [case_id for case_id, _ in session.execute(query)]


def _wake(session: Session, places: Collection[Place]) -> None:
    owed = (Delivery.receipt == Receipt.OWED, _at(places))
    session.execute(update(Delivery).where(*owed).values(due_at=now()))
    cases = select(Delivery.case_id).where(*owed)
    session.execute(
        update(Case).where(Case.id.in_(cases), _waits()).values(due_at=now(), rung_at=None)
    )


def _waits() -> ColumnElement[bool]:
    told = and_(Case.state.in_(TOLD), Case.telling.is_not(None))
    return or_(Case.state == State.REPORTED, told)


def _at(places: Collection[Place]) -> ColumnElement[bool]:
    return or_(
        false(),
        *(
            and_(Delivery.destination == destination, Delivery.target == target)
            for destination, target in places
        ),
    )
