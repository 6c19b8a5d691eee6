"""What a process records of itself: that it began, with which settings, and that it ended.

The values of the settings are kept once for each change, with stars for secrets: a result names
them by their digest, and what it was made with can be read years later.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Event
from dicom_node.settings.file import Settings

DIGITS = 16
RESULTS = "results_digest"  # how results name these settings: `Settings.digest`


@contextmanager
def on_duty(ledger: Ledger, settings: Settings, what: str, version: str) -> Iterator[None]:
    """Record that a process works, and how its settings differ from those before."""
    with ledger.writing() as session:
        digest = note_settings(ledger, session, settings)
        ledger.note(session, "started", what, details={"version": version, "settings": digest})
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # a database that is away keeps nobody from stopping
            ledger.record("stopped", what)


def note_settings(ledger: Ledger, session: Session, settings: Settings, sentence: str = "") -> str:
    """Keep the settings where they are not those before, and return how the trail names them."""
    keys = key_digests(settings)
    digest = _digest(keys)
    before = _last(session)
    if before is None or before.get("digest") != digest or before.get(RESULTS) != settings.digest:
        details = {"digest": digest, "keys": keys, RESULTS: settings.digest}
        details["values"] = values_of(settings)
        said = sentence or _what_changed(before, keys)
        ledger.note(session, "settings changed", said, details=details)
    return digest


def _what_changed(before: Mapping[str, Any] | None, keys: Mapping[str, str]) -> str:
    if before is None:
        return "seen for the first time"
    changed = changed_keys(before.get("keys", {}), keys)
    return ", ".join(changed) or "none; the trail keeps their values from now on"


def values_of(settings: Settings) -> dict[str, Any]:
    """List each value by its key; a secret is stars, or nothing where there is none."""
    return dict(sorted(_leaves(settings.model_dump(mode="json"))))


def values_kept(engine: Engine, digest: str) -> dict[str, Any] | None:
    """Return the settings that results name by this digest, as the trail keeps them."""
    events = select(Event.details).where(Event.what == "settings changed").order_by(Event.id.desc())
    with Session(engine.execution_options(reads_only=True)) as session:
        kept = (one for one in session.scalars(events) if one.get(RESULTS) == digest)
        return next((one["values"] for one in kept), None)


def key_digests(settings: Settings) -> dict[str, str]:
    """Digest each value; of a secret only whether there is one, or it could be guessed."""
    return {key: _digest(value) for key, value in values_of(settings).items()}


def changed_keys(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """List the keys that differ."""
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _last(session: Session) -> dict[str, Any] | None:
    return session.scalars(
        select(Event.details)
        .where(Event.what == "settings changed")
        .order_by(Event.id.desc())
        .limit(1)
    ).first()
