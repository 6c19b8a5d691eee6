"""Open the ledger's database, SQLite or PostgreSQL, with the promises that the node relies on."""

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from dicom_node.ledger.chain import as_text
from dicom_node.ledger.patience import left
from dicom_node.ledger.refuge import Refuge

LOCK_SECONDS = 20.0  # who writes next to whom; a sender waits less, see `patience`
LONG_LOCK_SECONDS = 1.5  # no writer of the node takes so long


def open_engine(url: str, *, patient: bool = False) -> Engine:
    """Make an engine whose commits are durable and whose writers queue up instead of failing.

    A `patient` one is for migrations and for questions about everything: they may take hours.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        from dicom_node.ledger.postgres import open_postgres

        return open_postgres(parsed, patient=patient)
    engine = create_engine(
        parsed,
        json_serializer=as_text,
        connect_args={"timeout": LOCK_SECONDS, "isolation_level": None},
        poolclass=NullPool if patient else None,
    )
    refuge = Refuge(_locked, OperationalError, LONG_LOCK_SECONDS)
    event.listen(engine, "connect", _promise)
    event.listen(engine, "begin", lambda connection: _begin(connection, refuge))
    return engine


def shown(url: URL) -> str:
    """Write a database's address without its password, wherever that may stand in it."""
    return url.set(query={}).render_as_string(hide_password=True)


def without_secrets(url: URL, words: str) -> str:
    """Take the password out of what a driver says."""
    for secret in (url.password, url.query.get("password")):
        words = words.replace(str(secret), "***") if secret else words
    return words


def _promise(connection: Any, record: object) -> None:  # noqa: ANN401 - whatever the driver gives
    """Survive a power cut (FULL), let readers read while one writes (WAL)."""
    del record
    for pragma in (_wait(), "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _locked() -> OperationalError:
    return OperationalError("BEGIN IMMEDIATE", (), sqlite3.OperationalError("locked just now"))


def _wait() -> str:
    return f"busy_timeout = {int(left(LOCK_SECONDS) * 1000)}"


def _begin(connection: Connection, refuge: Refuge) -> None:
    """Take the write lock at once: a transaction that reads first could not be promoted later."""
    connection.exec_driver_sql(f"PRAGMA {_wait()}")
    if connection.get_execution_options().get("reads_only"):
        connection.exec_driver_sql("BEGIN DEFERRED")
    else:
        with refuge.trying():
            connection.exec_driver_sql("BEGIN IMMEDIATE")
