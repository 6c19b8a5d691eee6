"""The chain of the audit trail: each event's hash covers its content and the hash before it.

    hash = SHA-256( hash of the event before, a line feed, content )

`content` is a JSON array without blanks, ASCII alone: id, at, actor, what, study_uid, case_id,
from_state, to_state, sentence, details. The time is UTC as `2026-01-31 23:59:59.000001`, and the
details are the text that the database holds, to the letter. The first event follows GENESIS.

Events are linked at the end of their transaction, under a lock that only the commit is left to
follow: who waits for it holds up nobody who has to write something else first.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.orm import Session, SessionTransaction

from dicom_node.ledger.tables import Event

GENESIS: Final = "0" * 64
LOCK: Final = 0x46565F415544  # any number, as long as nobody else locks it
NOTES: Final = "notes"
PATIENCE_MS: Final = 5000

_LAST = select(Event.id, Event.hash).order_by(Event.id.desc()).limit(1)
_APPEND = insert(Event)
_COLUMNS = [column.key for column in Event.__table__.columns]
_encoded = json.JSONEncoder(separators=(",", ":")).encode
_TIME: Final = {
    "sqlite": "at",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
}


class Link(NamedTuple):
    """An event as the chain sees it."""

    id: int
    at: str
    actor: str
    what: str
    study_uid: str | None
    case_id: int | None
    from_state: str | None
    to_state: str | None
    sentence: str
    details: str


def link_hash(before: str, link: Iterable[object]) -> str:
    """Return the hash of an event that follows the one with the hash `before`."""
    return hashlib.sha256(f"{before}\n{_encoded(tuple(link))}".encode("ascii")).hexdigest()


def as_text(value: Any) -> str:  # noqa: ANN401 - JSON
    """Write JSON the one way in which the ledger keeps it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def moment_text(at: datetime) -> str:
    """Write a time as the chain does."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def links_query(dialect: str, where: str = "") -> str:
    """Ask for events as links and hashes, in the order of the chain."""
    details = "details" if dialect == "sqlite" else "details::text"
    return (
        f"SELECT id, {_TIME[dialect]}, actor, what, study_uid, case_id, from_state, to_state, "  # noqa: S608 - our own words
        f"sentence, {details}, hash FROM events {where} ORDER BY id"
    )


class Writing(Session):
    """A transaction that writes; its events are linked when all else is done."""


def pending(session: Session, line: Event) -> None:
    """Keep an event for the end of its transaction, or of the savepoint that may be undone."""
    session.info.setdefault(NOTES, []).append((session.get_nested_transaction(), line))


@event.listens_for(Writing, "after_soft_rollback")
def _forget(session: Session, undone: SessionTransaction) -> None:
    """Take back the events of what was undone."""
    notes = session.info.get(NOTES, [])
    notes[:] = [(point, line) for point, line in notes if not _within(point, undone)]


def _within(point: SessionTransaction | None, undone: SessionTransaction) -> bool:
    while point is not None and point is not undone:
        point = point.parent
    return point is undone


def link_all(session: Session) -> None:
    """Write the events of a transaction behind the last one of the chain."""
    notes = session.info.pop(NOTES, [])
    session.flush()
    if not notes:
        return
    connection = session.connection()
    hold_the_end(connection)
    number, last = end_of(connection)
    rows = []
    for number, (_, line) in enumerate(notes, start=number + 1):  # noqa: B020 - counts on
        last = link_hash(last, _link(number, line))
        rows.append(_row(number, line, last))
    connection.execute(_APPEND, rows)


def hold_the_end(connection: Connection) -> None:
    """Let nobody else append until this transaction ends; SQLite has one writer as it is.

    A process that is cut off between here and its commit must not hold up the others: the server
    ends its transaction soon.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "SELECT set_config('idle_in_transaction_session_timeout', :patience, true), "
                "set_config('lock_timeout', :patience, true), pg_advisory_xact_lock(:lock)"
            ),
            {"patience": str(PATIENCE_MS), "lock": LOCK},
        )


def end_of(connection: Connection) -> tuple[int, str]:
    """Return number and hash of the last event."""
    last = connection.execute(_LAST).first()
    return (last.id, last.hash) if last is not None else (0, GENESIS)


def _link(number: int, line: Event) -> Link:
    return Link(
        number,
        moment_text(line.at),
        line.actor,
        line.what,
        line.study_uid,
        line.case_id,
        line.from_state,
        line.to_state,
        line.sentence,
        as_text(line.details),
    )


def _row(number: int, line: Event, hash_: str) -> dict[str, Any]:
    return {key: getattr(line, key) for key in _COLUMNS} | {"id": number, "hash": hash_}
