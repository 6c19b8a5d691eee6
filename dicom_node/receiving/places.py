"""How many may be connected, and how many of them from one address.

A connection that has not yet asked for an association has a place of its own kind, so that silent
ones keep nobody out: where these are taken, the oldest of the address with most of them goes. Of
the places of associations a quarter is always left to other addresses.
"""

import threading
from collections import Counter
from typing import Protocol

HALF_OPEN = 400


class Guest(Protocol):
    """A connection, as far as its place goes."""

    @property
    def address(self) -> str:
        """Say where it comes from."""

    def push_out(self, why: str) -> None:
        """Close it."""


class Places:
    """The places of one process."""

    def __init__(self, associations: int, half_open: int = HALF_OPEN) -> None:
        self._most = associations
        self._most_of_one = associations - associations // 4
        self._most_half_open = half_open
        self._half_open: dict[Guest, None] = {}  # in the order in which they came
        self._seated: dict[Guest, None] = {}
        self._half_open_of = Counter[str]()
        self._seated_of = Counter[str]()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count all who are connected."""
        return len(self._half_open) + len(self._seated)

    def everybody(self) -> list[Guest]:
        """List all who are connected."""
        with self._lock:
            return [*self._half_open, *self._seated]

    def enter(self, guest: Guest) -> None:
        """Give a new connection a place, if need be that of an older one."""
        with self._lock:
            oldest = None
            if len(self._half_open) >= self._most_half_open:
                crowded = self._half_open_of.most_common(1)[0][0]
                oldest = next(one for one in self._half_open if one.address == crowded)
                self._drop(oldest)
            self._half_open[guest] = None
            self._half_open_of[guest.address] += 1
        if oldest is not None:
            oldest.push_out(f"{self._most_half_open} newer connections are without an association")

    def sit(self, guest: Guest) -> str | None:
        """Give an association its place, or say why there is none."""
        with self._lock:
            if len(self._seated) >= self._most:
                return f"{len(self._seated)} senders are connected already"
            if self._seated_of[guest.address] >= self._most_of_one:
                return f"{self._most_of_one} senders are connected from this address already"
            self._drop(guest)
            self._seated[guest] = None
            self._seated_of[guest.address] += 1
        return None

    def leave(self, guest: Guest) -> None:
        """Take back whichever place a connection had."""
        with self._lock:
            self._drop(guest)

    def _drop(self, guest: Guest) -> None:
        for places, count in (
            (self._half_open, self._half_open_of),
            (self._seated, self._seated_of),
        ):
            if guest in places:
                del places[guest]
                count[guest.address] -= 1
                if not count[guest.address]:
                    del count[guest.address]
