"""Open the ledger's database, SQLite or PostgreSQL, with the promises that the node relies on."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

from dicom_node.ledger.chain import as_text


def open_engine(url: str) -> Engine:
    """Make an engine whose commits are durable and whose writers queue up instead of failing."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(
            parsed,
            json_serializer=as_text,
            pool_pre_ping=True,
            pool_size=5,
            connect_args={"connect_timeout": 5},
        )
    engine = create_engine(
        parsed, json_serializer=as_text, connect_args={"timeout": 30, "isolation_level": None}
    )
    event.listen(engine, "connect", _promise)
    event.listen(engine, "begin", _begin)
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
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first could not be promoted later."""
    mode = "DEFERRED" if connection.get_execution_options().get("reads_only") else "IMMEDIATE"
    connection.exec_driver_sql(f"BEGIN {mode}")
