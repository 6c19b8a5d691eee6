"""How long the ledger may be waited for.

A sender is answered within seconds, whatever the database does; a worker has more time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as CrowdedPool

PERSIST_SECONDS = 300.0
AGAIN_SECONDS = 1.0
# Internal is what PostgreSQL says of a transaction: it stood still for too long and was ended, or
# the server has become a standby, which takes no writes until somebody is promoted.
AWAY = (OperationalError, InterfaceError, InternalError, CrowdedPool)
_UNTIL: ContextVar[float | None] = ContextVar("until", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let all that the block asks of the ledger take no longer than this, in this thread."""
    until, outer = time.monotonic() + seconds, _UNTIL.get()
    token = _UNTIL.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _UNTIL.reset(token)


def somebody_waits() -> bool:
    """Say whether this thread works against a deadline."""
    return _UNTIL.get() is not None


def left(usual: float) -> float:
    """Say how many seconds one step may take: the usual time, or what is left of the deadline."""
    until = _UNTIL.get()
    return usual if until is None else max(0.01, min(usual, until - time.monotonic()))


def persist(work: Callable[[], None]) -> None:
    """Do something, and again while the database is away or in a knot: hours of work end in it.

    What was done without a word of it is not done twice: each try is a compare-and-swap.
    """
    until = time.monotonic() + PERSIST_SECONDS
    while True:
        try:
            return work()
        except AWAY:
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_SECONDS)
