"""How long the ledger may be waited for.

A sender is answered within seconds, whatever the database does; a worker has more time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
