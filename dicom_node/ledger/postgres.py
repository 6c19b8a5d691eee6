"""PostgreSQL as the node talks to it: nothing is waited for without an end.

What the server limits, it is told; what no server says any more, the client has to notice. A
proxy that swallows every word, or a machine without power, is silent for ever.
"""

import math
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from dicom_node.ledger.chain import as_text
from dicom_node.ledger.patience import left
from dicom_node.ledger.refuge import Refuge

CONNECT_SECONDS = 2.0
SILENCE_SECONDS = 4.0
LONG_SECONDS = 3600.0
POOL_SECONDS = 1.5
POOL: dict[str, Any] = {
    "pool_size": 5,
    "max_overflow": 5,
    "pool_timeout": POOL_SECONDS,
    "pool_pre_ping": True,
}
ON_THE_SERVER = {
    "statement_timeout": "10s",
    "lock_timeout": "2500ms",
    "idle_in_transaction_session_timeout": "60s",
    "synchronous_commit": "on",  # whatever the server's own is: Success stands on it
}
ON_THE_WIRE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 8000,
}


class Away(psycopg.OperationalError):
    """Say that somebody else found the database away a moment ago."""

    def __init__(self) -> None:
        super().__init__("the database did not answer just now")


class Impatient(psycopg.Connection[Any]):
    """A connection that is closed by who has waited too long for its answer."""

    silence_seconds = SILENCE_SECONDS
    refuge = Refuge(Away, psycopg.OperationalError)

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for an answer, but not for ever."""
        try:
            self.refuge.give_way()
            return super().wait(gen, interval, timeout or left(self.silence_seconds))
        except Away:  # whoever asks meanwhile makes it no longer
            self.pgconn.finish()
            raise
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.refuge.remember()
                self.pgconn.finish()  # an answer that comes now would be taken for another's
            raise


class Patient(Impatient):
    """The same for migrations and for questions about everything."""

    silence_seconds = LONG_SECONDS


def open_postgres(url: URL, *, patient: bool) -> Engine:
    """Make an engine; a `patient` one is for what may take its time."""
    limits = {} if patient else ON_THE_SERVER
    given = url.query.get("options", "")
    options = [str(given), *(f"-c {name}={value}" for name, value in limits.items())]
    engine = create_engine(
        url,
        json_serializer=as_text,
        isolation_level="READ COMMITTED",  # whatever the server's own is
        connect_args={**ON_THE_WIRE, "options": " ".join(filter(None, options))},
        **({"poolclass": NullPool} if patient else POOL),
    )
    refuge = Refuge(Away, psycopg.OperationalError)

    class Ours(Patient if patient else Impatient):  # type: ignore[misc]
        """One that finds refuge where the others of its pool do."""

    Ours.refuge = refuge

    def connect(_: Dialect, __: object, words: list[Any], named: dict[str, Any]) -> object:
        seconds = math.ceil(left(CONNECT_SECONDS))
        with refuge.trying():
            return Ours.connect(*words, **{**named, "connect_timeout": seconds})

    event.listen(engine, "do_connect", connect)
    return engine
