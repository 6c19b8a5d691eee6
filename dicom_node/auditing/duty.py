"""What a process records of itself: that it began, with which settings, and that it ended."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Event
from dicom_node.settings.file import Settings

DIGITS = 16


@contextmanager
def on_duty(ledger: Ledger, settings: Settings, what: str, version: str) -> Iterator[None]:
    """Record that a process works, and how its settings differ from those before."""
    keys = key_digests(settings)
    digest = _digest(keys)
    with ledger.writing() as session:
        before = _last(session)
        if before is None or before.get("digest") != digest:
            changed = changed_keys(before.get("keys", {}) if before else {}, keys)
            sentence = ", ".join(changed) if before is not None else "seen for the first time"
            details = {"digest": digest, "keys": keys}
            ledger.note(session, "settings changed", sentence, details=details)
        ledger.note(session, "started", what, details={"version": version, "settings": digest})
    try:
        yield
    finally:
        with suppress(SQLAlchemyError):  # a database that is away keeps nobody from stopping
            ledger.record("stopped", what)


def key_digests(settings: Settings) -> dict[str, str]:
    """Digest each value; of a secret only whether there is one, or it could be guessed."""
    return {key: _digest(value) for key, value in sorted(_leaves(settings.model_dump(mode="json")))}


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
