"""What comes in: associations and images, and the round that each image belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Integer, bindparam, insert, select, update
from sqlalchemy import case as either
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlalchemy.orm import Session

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.patience import within
from dicom_node.ledger.tables import Association, Case, Instance
from dicom_node.life import Priority, Ruling, State

# Each association and each image asks these: they are built once, and make no objects.
_OPEN = insert(Association)
_CLOSE = update(Association).where(Association.id == bindparam("number"))
_CLOSE = _CLOSE.values(closed_at=bindparam("at"))
_WRITTEN = select(Association.id).where(
    *(getattr(Association, one) == bindparam(one) for one in ("listener", "caller", "opened_at"))
)
_IS_OPEN = select(Association.closed_at.is_(None)).where(Association.id == bindparam("number"))
_KNOWN = (
    select(
        Instance.path,
        Instance.digest,
        Instance.study_uid,
        Instance.generation,
        Instance.purged_at.is_(None),
    )
    .where(Instance.sop_uid == bindparam("sop_uid"))
    .order_by(Instance.generation.desc())
    .limit(1)
)
_LAST_ROUND = (
    select(Case.id, Case.study_uid, Case.round, Case.state, Case.ruling)
    .where(Case.study_uid == bindparam("study_uid"))
    .order_by(Case.round.desc())
    .limit(1)
    .with_for_update()
)
_PRIORITY = bindparam("priority", type_=Integer)
_HIGHER = either((Case.priority < _PRIORITY, _PRIORITY), else_=Case.priority)
_TOUCH = update(Case).where(Case.id == bindparam("case_id"))
_TOUCH = _TOUCH.values(last_image_at=bindparam("at"), priority=_HIGHER)
_KEEP = insert(Instance).inline()

AFTER_DISCARDED = "held: the round before was discarded, and another image of the study came"
SENDER_SECONDS = 2.0  # for what is written down of a sender: its images are not to wait


@dataclass(frozen=True, slots=True)
class Arrival:
    """One image as it came in, lying in the spool's incoming folder."""

    association_id: int | None
    caller: str
    address: str
    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    view: str
    size_bytes: int
    digest: str
    generation: int = 0  # so often it had come and was purged before
    priority: Priority = Priority.MEDIUM  # its sender's: the round takes the highest it meets


_OF_AN_IMAGE = tuple(one.name for one in fields(Arrival) if one.name != "priority")


class Known(NamedTuple):
    """An image that came before, as far as one that comes again has to know of it."""

    path: str
    digest: str
    study_uid: str
    generation: int
    is_kept: bool  # not purged since


class Round(NamedTuple):
    """As much of a case as an image has to know of it."""

    id: int
    study_uid: str
    number: int
    state: State
    ruling: Ruling | None = None


@dataclass(frozen=True, slots=True)
class Coming:
    """Who was let in, where."""

    listener: str
    caller: str
    called: str
    address: str
    opened_at: datetime = field(default_factory=by_the_clock)


@dataclass(frozen=True, slots=True)
class Going:
    """How a sender went, and why where it was not its own will."""

    how: str
    why: str = ""


def write_visits(
    ledger: Ledger,
    visits: Sequence[tuple[Coming, int | None, Going | None]],
    *,
    in_doubt: bool = False,
) -> list[int]:
    """Write down in one transaction who came, if they have no row yet, and who went; name rows.

    `in_doubt`: they may stand there already, where the answer to a commit was lost.
    """
    with within(SENDER_SECONDS), ledger.writing() as session:
        return [_visit(ledger, session, *visit, in_doubt=in_doubt) for visit in visits]


def _visit(
    ledger: Ledger,
    session: Session,
    coming: Coming,
    number: int | None,
    going: Going | None,
    *,
    in_doubt: bool,
) -> int:
    who, connection = (coming.caller, coming.address), session.connection()
    row = {one.name: getattr(coming, one.name) for one in fields(coming)}
    if number is None and in_doubt:
        number = connection.scalar(_WRITTEN, row)
    if number is None:
        key = connection.execute(_OPEN, row).inserted_primary_key
        assert key is not None
        number = int(key[0])
        ledger.note(session, "association accepted", details=_named(number, who))
    is_written = in_doubt and connection.scalar(_IS_OPEN, {"number": number}) is False
    if going is not None and not is_written:
        _close(ledger, session, number, who, going)
    return number


def _close(
    ledger: Ledger, session: Session, number: int, who: tuple[str, str], going: Going
) -> None:
    end = {"number": number, "at": by_the_clock()}
    if session.connection().execute(_CLOSE, end).rowcount != 1:
        raise NoResultFound(f"association {number} is not in the ledger")
    ledger.note(session, f"association {going.how}", going.why, details=_named(number, who))


def _named(number: int, who: tuple[str, str]) -> dict[str, Any]:
    return {"caller": who[0], "address": who[1], "association": number}


def close_left_open(ledger: Ledger, listener: str, *, alone: bool = False) -> None:
    """Close what an earlier run of this listener left open: those senders are gone.

    One that is `alone` on its machine closes what lies open in an embedded ledger, whoever left it:
    a container has another host name each time, and somebody may have changed the port.
    """
    with ledger.writing() as session:
        left_open = select(Association).where(Association.closed_at.is_(None))
        if not alone or ledger.engine.dialect.name != "sqlite":
            left_open = left_open.where(Association.listener == listener)
        for row in session.scalars(left_open.order_by(Association.id)).all():
            lost = Going("lost", "the listener ended before it did")
            _close(ledger, session, row.id, (row.caller, row.address), lost)


def known_image(ledger: Ledger, sop_uid: str) -> Known | None:
    """Return what is known of an image that came before, and may be purged."""
    with ledger.engine.execution_options(reads_only=True).connect() as connection:
        row = connection.execute(_KNOWN, {"sop_uid": sop_uid}).one_or_none()
        return None if row is None else Known(*row)


def keep_row(ledger: Ledger, session: Session, arrival: Arrival, path: str) -> Round:
    """Add one image to the open round of its study, or open the next round."""
    at = now()
    case = _open_round(ledger, session, arrival.study_uid, arrival.priority)
    connection = session.connection()
    connection.execute(_TOUCH, {"case_id": case.id, "at": at, "priority": int(arrival.priority)})
    row = {"case_id": case.id, "path": path, "received_at": by_the_clock()}
    row |= {one: getattr(arrival, one) for one in _OF_AN_IMAGE}
    connection.execute(_KEEP, row)
    details = {"sop_uid": arrival.sop_uid, "view": arrival.view, "caller": arrival.caller}
    again = "it was kept before and removed, and came again" if arrival.generation else ""
    ledger.note(session, "image received", again, case=case, details=details)
    return case


def _open_round(ledger: Ledger, session: Session, study_uid: str, priority: Priority) -> Round:
    """Find the round that still takes images, or open one; two images at once open the same."""
    last = _last_round(ledger, session, study_uid)
    if last is not None and last.state == State.RECEIVING:
        return last
    try:
        with session.begin_nested():
            return _next_round(ledger, session, study_uid, last, priority)
    except IntegrityError:  # another image of the study opened it just now
        last = _last_round(ledger, session, study_uid)
        if last is not None and last.state == State.RECEIVING:
            return last
        return _next_round(ledger, session, study_uid, last, priority)


def _last_round(ledger: Ledger, session: Session, study_uid: str) -> Round | None:
    """Find the last round of a study, and have it take images again where it still may.

    A late image joins a round that nobody holds yet; once a round is being read it is what it
    is, and the next one supersedes it.
    """
    row = session.connection().execute(_LAST_ROUND, {"study_uid": study_uid}).one_or_none()
    if row is None:
        return None
    last = Round(*row)
    if last.state == State.RECEIVED:
        ledger.moving(session, last.id, State.RECEIVED, State.RECEIVING, "a late image came in")
        return last._replace(state=State.RECEIVING)
    return last


def _next_round(
    ledger: Ledger, session: Session, study_uid: str, last: Round | None, priority: Priority
) -> Round:
    at = now()
    held = AFTER_DISCARDED if last is not None and last.ruling is Ruling.DISCARDED else ""
    case = Case(
        study_uid=study_uid,
        round=1 if last is None else last.number + 1,
        state=State.RECEIVING,
        priority=int(priority),
        ruling=Ruling.HELD if held else None,
        reason=held,
        opened_at=by_the_clock(),
        moved_at=at,
        last_image_at=at,
        due_at=at,
        attempts=0,
    )
    session.add(case)
    session.flush()
    sentence = f"round {case.round}"
    if priority is not Priority.MEDIUM:
        sentence += f", of {priority.name.lower()} priority"
    ledger.note(session, "round opened", sentence, case=case, end=State.RECEIVING)
    if held:
        ledger.note(session, "held", held, case=case)
    return Round(case.id, study_uid, case.round, State.RECEIVING)
