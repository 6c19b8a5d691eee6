"""Keeping the trail long enough, and no longer: an audited purge that leaves the rest verifiable.

The last event that goes and its hash stand in a signed checkpoint; the chain goes on from there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from dicom_node.auditing.checkpoints import last_checkpoint, signed
from dicom_node.auditing.signing import Signer
from dicom_node.errors import Misconfigured
from dicom_node.ledger.chain import end_of, hold_the_end
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.tables import Case, Event
from dicom_node.life import AT_THE_END
from dicom_node.settings.audit import SHORTEST_YEARS

YEAR: Final = timedelta(days=365.25)
_TRIGGERS: Final = {
    "sqlite": (
        "DROP TRIGGER events_no_delete",
        """CREATE TRIGGER events_no_delete BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit trail is not rewritten'); END""",
    ),
    "postgresql": (
        "ALTER TABLE events DISABLE TRIGGER events_no_change",
        "ALTER TABLE events ENABLE TRIGGER events_no_change",
    ),
}


@dataclass(frozen=True, slots=True)
class Purge:
    """What may go: events up to one, counted; 0 is nothing."""

    before: datetime
    through: int
    events: int
    head: str


def purge(ledger: Ledger, signer: Signer, years: float, *, dry_run: bool) -> Purge:
    """Delete events that are older than so many years, and sign what went."""
    if not years >= SHORTEST_YEARS:
        raise Misconfigured([f"the trail is kept for {SHORTEST_YEARS} years at the least"])
    before = now() - years * YEAR
    with ledger.writing() as session:
        found = _old(session, before)
        if dry_run or not found.events:
            return found
        _sign(session, signer, found)
        try:
            _delete(session.connection(), found.through)
        except ProgrammingError as refused:
            who = "only the owner of its tables may purge the ledger: run this as the owner"
            raise Misconfigured([who]) from refused
        about = {"through": found.through, "head": found.head, "events": found.events}
        about |= {"before": before.isoformat(timespec="seconds"), "years": years}
        ledger.note(session, "trail purged", f"{found.events} events are gone", details=about)
    return found


def _old(session: Session, before: datetime) -> Purge:
    """Find the last of the old events: whatever comes before the first one that has to stay.

    An event whose case is still under way has to stay, however old, and so has the newest one.
    """
    ended = select(Case.id).where(Case.state.in_(AT_THE_END))
    stays = select(func.min(Event.id)).where(
        (Event.at >= before) | (Event.case_id.is_not(None) & Event.case_id.not_in(ended))
    )
    first = session.scalar(stays) or session.scalar(select(func.max(Event.id))) or 0
    last = session.execute(
        select(Event.id, Event.hash).where(Event.id < first).order_by(Event.id.desc()).limit(1)
    ).first()
    if last is None:
        return Purge(before, 0, 0, "")
    count = session.scalar(select(func.count()).where(Event.id <= last.id)) or 0
    return Purge(before, last.id, count, last.hash)


def _delete(connection: Connection, through: int) -> None:
    """Open the lock that only an owner can open, and close it behind."""
    opening, closing = _TRIGGERS[connection.dialect.name]
    connection.execute(text(opening))
    connection.execute(delete(Event).where(Event.id <= through))
    connection.execute(text(closing))


def _sign(session: Session, signer: Signer, goes: Purge) -> None:
    """Sign how far the trail has come, what of it goes, and from which hash it goes on."""
    hold_the_end(session.connection())
    number, head = end_of(session.connection())
    last = last_checkpoint(session)
    since = last.event_id if last is not None else 0
    counted = session.scalar(select(func.count()).where(Event.id > since)) or 0
    events = counted + (last.events if last is not None else 0)
    session.add(signed(signer, last, number, head, events, (goes.through, goes.head)))
