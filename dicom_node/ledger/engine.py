"""Open the ledger's database, SQLite or PostgreSQL, with the promises that the node relies on."""

import sqlite3
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from dicom_node.ledger.chain import as_text
from dicom_node.ledger.patience import left
from dicom_node.ledger.refuge import Refuge
from dicom_node.logs import log
from dicom_node.owner import give_to_owner

LOCK_SECONDS = 20.0  # who writes next to whom; a sender waits less, see `patience`
LONG_LOCK_SECONDS = 1.5  # no writer of the node takes so long
TELL_SECONDS = 10.0
GONE = (
    "a file of the ledger was taken away or replaced: put it back; or stop every process of the "
    "node, remove ledger.sqlite-shm where it is left over, and restore the ledger or start again"
)
QUEUE = "queue"

logger = log("ledger")


class Queue:
    """Where the threads that want to write stand in line.

    SQLite has none: who waits looks again ten times a second, and whoever comes just then goes
    first. Among eight busy senders one would wait until it is refused.
    """

    def __init__(self) -> None:
        self._line = deque[threading.Lock]()  # the first of them writes
        self._change = threading.Lock()

    def enter(self, seconds: float) -> bool:
        """Wait for one's turn; False: it did not come in time."""
        called = threading.Lock()
        with self._change:
            self._line.append(called)
            if len(self._line) == 1:
                return True
            called.acquire()
        if called.acquire(timeout=seconds):
            return True
        with self._change:
            if self._line[0] is called:  # just now
                return True
            self._line.remove(called)
        return False

    def leave(self) -> None:
        """Let the next one write."""
        with self._change:
            self._line.popleft()
            if self._line:
                self._line[0].release()


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
    queue = Queue()
    file = _OneFile(Path(parsed.database or ":memory:"))
    event.listen(engine, "do_connect", lambda *_: file.is_expected())
    event.listen(engine, "connect", _promise)
    event.listen(engine, "connect", file.remember)
    event.listen(engine, "begin", file.is_still_there)
    event.listen(engine, "begin", lambda connection: _begin(connection, refuge, queue))
    event.listen(engine, "commit", file.is_still_there)
    event.listen(engine, "checkin", lambda _, record: _end(record.info))
    return engine


_Identity = tuple[int, int] | None


class _OneFile:
    """The ledger's file, and its logs, by what they are and not by their names.

    SQLite goes on in files that were removed or replaced, and says nothing: what it commits there
    is lost. Here whoever begins or commits looks whether all are still in their place. With its
    file gone the ledger goes on once that is back. With a log gone nothing is written any more:
    whoever opened another one beside those who have the old one would spoil the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._logs = [path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm")]
        self._first: _Identity = None
        self._log_is_gone = False
        self._told_at = -TELL_SECONDS

    def is_expected(self) -> None:
        """Open no other file than the first time; SQLite would make one where there is none."""
        is_another = self._first is not None and _identity(self._path) != self._first
        if is_another or self._log_is_gone or self._has_lost_its_log():
            self._tell()
            raise sqlite3.OperationalError(GONE)

    def _has_lost_its_log(self) -> bool:
        """See an index without a log; the log is made before it and removed after it."""
        log, index = self._logs
        return all(index.exists() and not log.exists() for _ in range(2))  # not while one closes

    def remember(self, connection: sqlite3.Connection, record: Any) -> None:  # noqa: ANN401
        """Take note of what a new connection works in; a first look opens the logs."""
        connection.execute("PRAGMA schema_version").close()
        if self._first is None:
            give_to_owner(self._path, *self._logs)
        self._first = self._first or _identity(self._path)
        record.info["files"] = self._files()

    def is_still_there(self, connection: Connection) -> None:
        """Refuse to work in a file that has lost its name; bring what a lost log holds to it."""
        now, then = self._files(), connection.info["files"]
        if now == then:
            return
        self._tell()
        if now[0] == then[0]:
            self._log_is_gone = True
            raw = connection.connection.dbapi_connection
            assert isinstance(raw, sqlite3.Connection)
            with suppress(sqlite3.Error):  # whoever is next tries again
                raw.rollback()
                raw.execute("PRAGMA wal_checkpoint(FULL)").close()
        raise OperationalError("BEGIN", (), sqlite3.OperationalError(GONE))

    def _files(self) -> list[_Identity]:
        return [_identity(path) for path in (self._path, *self._logs)]

    def _tell(self) -> None:
        """Say it loudly, and not each second."""
        if time.monotonic() - self._told_at > TELL_SECONDS:
            self._told_at = time.monotonic()
            logger.error("the ledger was touched", why=GONE)


def _identity(path: Path) -> _Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


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


def _begin(connection: Connection, refuge: Refuge, queue: Queue) -> None:
    """Take the write lock at once: a transaction that reads first could not be promoted later."""
    if connection.get_execution_options().get("reads_only"):
        connection.exec_driver_sql(f"PRAGMA {_wait()}")
        connection.exec_driver_sql("BEGIN DEFERRED")
        return
    with refuge.trying():
        if QUEUE not in connection.info:
            if not queue.enter(left(LOCK_SECONDS)):
                raise _locked()
            connection.info[QUEUE] = queue
        connection.exec_driver_sql(f"PRAGMA {_wait()}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _end(info: dict[str, Any]) -> None:
    """Let the next one write, where this one did."""
    if QUEUE in info:
        info.pop(QUEUE).leave()
