"""Tell the trail to others: to a file when somebody asks, to a collector all the time.

The trail itself is the spool. The ledger keeps how far a collector was told, and moves on only when
it has taken what was sent: while it is away nothing is lost, and what it may not have got is sent
again, with the same number and hash.
"""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicom_node.auditing import syslog
from dicom_node.auditing.checkpoints import told_of
from dicom_node.auditing.messages import Source, message
from dicom_node.errors import Busy, told
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.tables import Checkpoint, Collector, Event
from dicom_node.logs import log
from dicom_node.settings.file import Settings

BATCH: Final = 200
EVERY_SECONDS: Final = 2.0
AGAIN_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 15.0
AUDIT, CHECKPOINT = "DICOM+RFC3881", "CHECKPOINT"

logger = log("auditing")


def source_of(settings: Settings) -> Source:
    """Say who tells."""
    return Source(settings.receiving.ae_title, settings.audit.site)


def export(ledger: Ledger, settings: Settings, out: Path, after: int, study_uid: str) -> int:
    """Write audit messages to a file, one a line, and record that somebody took them."""
    source, count, last = source_of(settings), 0, after
    with out.open("wb") as file:
        while events := _events_after(ledger, last, study_uid):
            for event in events:
                file.write(message(event, source) + b"\n")
            last = events[-1].id
            count += len(events)
    about = {"after": after, "through": last, "study_uid": study_uid}
    ledger.record("trail exported", f"{count} messages", **about)
    return count


@contextmanager
def telling_collector(ledger: Ledger, settings: Settings) -> Iterator[None]:
    """Tell the collector, if there is one, in a thread of its own while the block runs."""
    if not settings.audit.syslog.host:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_keep_telling, args=(ledger, settings, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(PATIENCE_SECONDS)


def _keep_telling(ledger: Ledger, settings: Settings, stop: threading.Event) -> None:
    wait = 0.0
    while not stop.wait(wait):
        wait = EVERY_SECONDS
        try:
            while tell_collector(ledger, settings) == BATCH and not stop.is_set():
                pass
        except Busy as trouble:
            logger.warning("audit messages wait", why=str(trouble))
            wait = AGAIN_SECONDS
        except SQLAlchemyError as trouble:
            logger.warning("the ledger cannot be reached", why=type(trouble).__name__)
        except Exception as fault:  # noqa: BLE001 - a row that somebody spoilt is to be seen here
            logger.error("audit messages wait", why=told(fault))
            wait = AGAIN_SECONDS


def tell_collector(ledger: Ledger, settings: Settings) -> int:
    """Send what the collector does not have, move on, and count the events; Busy if it is away."""
    wanted = settings.audit.syslog
    name = f"{wanted.host}:{wanted.port}"
    with Session(ledger.engine.execution_options(reads_only=True)) as session:
        known = session.get(Collector, name)
        event_id, checkpoint_id = (known.event_id, known.checkpoint_id) if known else (0, 0)
        if event_id > (session.scalar(select(func.max(Event.id))) or 0):
            # It was told what is gone: an end was cut off. What took its place is told, too.
            event_id = 0
        if checkpoint_id > (session.scalar(select(func.max(Checkpoint.id))) or 0):
            checkpoint_id = 0
        newer = select(Checkpoint).where(Checkpoint.id > checkpoint_id).order_by(Checkpoint.id)
        checkpoints = session.scalars(newer.limit(BATCH)).all()
    events = _events_after(ledger, event_id)
    if not (events or checkpoints):
        return 0
    try:
        with syslog.Collector(wanted) as collector:
            collector.send(_lines(events, checkpoints, source_of(settings)))
    except Busy as trouble:
        _remember(ledger, name, event_id, checkpoint_id, str(trouble))
        raise
    last_event = events[-1].id if events else event_id
    last_checkpoint = checkpoints[-1].id if checkpoints else checkpoint_id
    _remember(ledger, name, last_event, last_checkpoint)
    return len(events)


def _events_after(ledger: Ledger, number: int, study_uid: str = "") -> Sequence[Event]:
    query = select(Event).where(Event.id > number).order_by(Event.id).limit(BATCH)
    if study_uid:
        query = query.where(Event.study_uid == study_uid)
    with Session(ledger.engine.execution_options(reads_only=True)) as session:
        return session.scalars(query).all()


def _lines(
    events: Sequence[Event], checkpoints: Sequence[Checkpoint], source: Source
) -> Iterator[bytes]:
    host = socket.gethostname()
    for event in events:
        process = event.actor.rpartition(":")[2] or "-"
        yield syslog.line(message(event, source), event.at, host, process, AUDIT)
    for one in checkpoints:
        yield syslog.line(json.dumps(told_of(one)).encode(), one.at, host, "-", CHECKPOINT)


def _remember(
    ledger: Ledger, name: str, event_id: int, checkpoint_id: int, trouble: str = ""
) -> None:
    """Keep how far the collector was told."""
    with ledger.writing() as session:
        row = session.get(Collector, name)
        if row is None:
            row = Collector(name=name)
            session.add(row)
        row.event_id, row.checkpoint_id, row.last_error = event_id, checkpoint_id, trouble
        if not trouble:
            row.told_at = now()
