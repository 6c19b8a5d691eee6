"""Where one has just found the database away, others need not find out for themselves.

Only who works against a deadline gives up at once: a sender can send again, a result cannot.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dicom_node.ledger.patience import somebody_waits

AWAY_SECONDS = 2.0


class Refuge:
    """Remembers for a moment that the database was away.

    `away` makes the error that says so, and `kind` are those that mean it. `least_seconds`: who has
    waited less has only met another writer, and so has who saw others come through.
    """

    def __init__(
        self,
        away: Callable[[], Exception],
        kind: type[Exception],
        least_seconds: float = 0.0,
    ) -> None:
        self._away = away
        self._kind = kind
        self._least_seconds = least_seconds
        self._until = 0.0
        self._reached = 0.0

    def remember(self) -> None:
        """Take the database to be away for a moment."""
        self._until = time.monotonic() + AWAY_SECONDS

    def give_way(self) -> None:
        """Raise at once, where it is away and somebody waits for an answer."""
        if time.monotonic() < self._until and somebody_waits():
            raise self._away()

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Try to reach the database, and remember that it could not be reached."""
        self.give_way()
        began = time.monotonic()
        try:
            yield
        except self._kind:
            if self._reached < began and time.monotonic() - began >= self._least_seconds:
                self.remember()
            raise
        self._reached = time.monotonic()
