"""Checkpoints: how far the audit trail had come, signed, in the ledger and outside of it.

Whoever can rewrite the database can also compute its hashes anew, cut off its end or put an older
copy in its place. What was signed cannot be made again without the key, and what lies outside of
the database is not rewritten with it.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dicom_node.auditing.signing import Signer
from dicom_node.ledger.chain import GENESIS, moment_text
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Checkpoint, Event
from dicom_node.owner import give_to_owner
from dicom_node.settings.audit import Audit
from dicom_node.settings.file import Settings

FILE: Final = "audit-checkpoints.jsonl"
TITLE: Final = "fourviews checkpoint 1"
QUIET: Final = timedelta(seconds=2)
FIELDS: Final = (
    "id",
    "at",
    "event_id",
    "events",
    "head",
    "purged_id",
    "purged_head",
    "previous",
    "key",
)
AS_MANY: Final = 1000


def signed_text(told: Mapping[str, Any]) -> str:
    """Write what is signed: the fields of a checkpoint as a JSON array."""
    return json.dumps([TITLE, *(told[field] for field in FIELDS)], separators=(",", ":"))


def digest_of(told: Mapping[str, Any]) -> str:
    """Return what the next checkpoint says of this one."""
    return hashlib.sha256(f"{signed_text(told)}\n{told['signature']}".encode()).hexdigest()


def told_of(row: Checkpoint) -> dict[str, Any]:
    """Tell a checkpoint as it lies outside of the ledger."""
    fields = {field: getattr(row, field) for field in FIELDS}
    return fields | {"at": moment_text(row.at), "signature": row.signature}


def checkpoints_path(settings: Settings) -> Path:
    """Say in which file the checkpoints lie outside of the database."""
    folder = settings.audit.checkpoints
    return (folder.expanduser() if folder else settings.data) / FILE


def sign_on(
    ledger: Ledger,
    signer: Signer,
    audit: Audit,
    known: Checkpoint | None = None,
    *,
    at_once: bool = False,
) -> Checkpoint | None:
    """Sign how far the trail has come, if it is time.

    The next checkpoint follows the last one that is `known`, also where that is gone.
    """
    try:
        with ledger.writing() as session:
            last = last_checkpoint(session)
            if known is not None and (last is None or last.id < known.id):
                last = known
            row = _next(session, last, signer, audit, at_once=at_once)
            if row is not None:
                session.add(row)
    except IntegrityError:  # another process signed the same just now
        return None
    return row


def _next(
    session: Session, last: Checkpoint | None, signer: Signer, audit: Audit, *, at_once: bool
) -> Checkpoint | None:
    newest = session.execute(
        select(Event.id, Event.hash, Event.at).order_by(Event.id.desc()).limit(1)
    ).first()
    if newest is None or (last is not None and (last.event_id, last.head) == newest[:2]):
        return None
    since = last.event_id if last is not None and last.event_id <= newest.id else 0
    if not at_once and not _is_due(session, since, newest.id, newest.at, audit):
        return None
    counted = session.scalar(select(func.count()).where(Event.id > since))
    return signed(
        signer,
        last,
        newest.id,
        newest.hash,
        (last.events if last and since else 0) + (counted or 0),
    )


def _is_due(session: Session, since: int, newest: int, newest_at: datetime, audit: Audit) -> bool:
    """Wait until there is enough, or it has been waiting for long, or nothing more seems to come.

    A clock that was set back is no reason to wait.
    """
    at = by_the_clock()
    oldest = session.scalar(select(Event.at).where(Event.id > since).order_by(Event.id).limit(1))
    assert oldest is not None
    waited, quiet = at - oldest, at - newest_at
    return (
        newest - since >= audit.checkpoint_events
        or not timedelta() <= waited < timedelta(seconds=audit.checkpoint_seconds)
        or not timedelta() <= quiet < QUIET
    )


def signed(
    signer: Signer,
    last: Checkpoint | None,
    event_id: int,
    head: str,
    events: int,
    purged: tuple[int, str] | None = None,
) -> Checkpoint:
    """Sign the next checkpoint; what was purged before stays purged."""
    carried = (last.purged_id, last.purged_head) if last is not None else (0, GENESIS)
    purged_id, purged_head = purged or carried
    row = Checkpoint(
        id=last.id + 1 if last is not None else 1,
        at=by_the_clock(),
        event_id=event_id,
        events=events,
        head=head,
        purged_id=purged_id,
        purged_head=purged_head,
        previous=digest_of(told_of(last)) if last is not None else "",
        key=signer.public.fingerprint,
        signature="",
    )
    row.signature = signer.sign(signed_text(told_of(row)))
    return row


def last_checkpoint(session: Session) -> Checkpoint | None:
    """Return the newest checkpoint of the ledger."""
    return session.scalars(select(Checkpoint).order_by(Checkpoint.id.desc()).limit(1)).first()


def is_broken(session: Session) -> bool:
    """Say whether the last checkpoint signed something else than what is there now."""
    last = last_checkpoint(session)
    if last is None or last.event_id <= last.purged_id:
        return False
    return session.scalar(select(Event.hash).where(Event.id == last.event_id)) != last.head


def copy_out(ledger: Ledger, path: Path) -> bool:
    """Append to the file what it has not; say whether the ledger is no older than the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = int((last_line(path) or {"id": 0})["id"])
    with Session(ledger.engine.execution_options(reads_only=True)) as session:
        newest = session.scalar(select(func.max(Checkpoint.id))) or 0
        if newest == known:
            return True
        query = select(Checkpoint).where(Checkpoint.id > known).order_by(Checkpoint.id)
        rows = session.scalars(query.limit(AS_MANY)).all()
    if rows:
        _append(path, "".join(json.dumps(told_of(row)) + "\n" for row in rows))
    return newest > known


def _append(path: Path, lines: str) -> None:
    """Add whole lines, durably; half a line that a power cut left is ended first."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            lines = lines if file.read(1) == b"\n" else "\n" + lines
        else:
            give_to_owner(file.fileno(), of=path.parent)
        file.write(lines.encode())
        file.flush()
        os.fsync(file.fileno())


def last_line(path: Path) -> dict[str, Any] | None:
    """Return the last checkpoint of a file, without reading it all."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 16 << 10), os.SEEK_END)
        lines = file.read().splitlines()
    return next((told for line in reversed(lines) if (told := _told(line)) is not None), None)


def lines_of(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Read a file of checkpoints: each line's number and what it says, None where it is none."""
    if not path.exists():
        return
    with path.open("rb") as file:
        torn: tuple[int, bytes] | None = None
        for number, line in enumerate(file, start=1):
            if torn is not None and not line.startswith(torn[1]):
                yield torn[0], None
            torn, told = None, _told(line)
            if told is not None:
                yield number, told
            else:  # a power cut leaves half a line; the whole one stands behind it
                torn = number, line.rstrip(b"\n")
        if torn is not None:
            yield torn[0], None


def _told(line: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(told, dict) and set(told) == {*FIELDS, "signature"}
    return told if whole and isinstance(told["id"], int) else None
