"""Who came and went, written into the ledger by a thread of its own.

A sender that was let in does not wait for a commit, and several of them share one. An image does
wait, and hurries it: its row names the association that brought it. While the ledger is away nobody
is held up, and what happened meanwhile is written when it is back. A row that cannot be written
holds up no other.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

from dicom_node.errors import told
from dicom_node.ledger.arrivals import Coming, Going, write_visits
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.patience import AWAY
from dicom_node.logs import log
from dicom_node.receiving.wire import Ended

MOST_AT_ONCE = 100
GATHER_SECONDS = 0.02  # who comes and goes meanwhile shares a commit
MOST_UNWRITTEN = 10_000  # while the ledger is away; who comes then is asked to come later
PATIENCE_SECONDS = 3.0  # of an image, for the row of its association
RETRY_SECONDS = 1.0
LAST_SECONDS = 5.0
STRIKES = 3  # a row that others were written around so often is given up

logger = log("receiving")


@dataclass(eq=False)
class Visit:
    """One association, on its way into the ledger."""

    coming: Coming
    row: int | None = None
    was_tried: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None
    strikes: int = 0


class Visits:
    """The associations of one listener."""

    def __init__(self, ledger: Ledger, listener: str) -> None:
        self._ledger = ledger
        self._listener = listener
        self._now: dict[Hashable, Visit] = {}
        self._unwritten: list[Visit] = []
        self._change = threading.Condition()
        self._is_over = False
        self._is_waited_for = False
        self._at_once = MOST_AT_ONCE
        self._others_were_written = False
        self._is_in_doubt = False  # whether the last ones stand in the ledger after all
        self._thread = threading.Thread(target=self._write, name="visits", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Say whether too many came while the ledger is away for one more to be remembered."""
        return len(self._unwritten) >= MOST_UNWRITTEN

    def came(self, guest: Hashable, caller: str, called: str, address: str) -> None:
        """Take note of an association."""
        visit = Visit(Coming(self._listener, caller, called, address))
        with self._change:
            self._now[guest] = visit
            self._unwritten.append(visit)
            self._change.notify()

    def went(self, guest: Hashable, ended: Ended) -> bool:
        """Take note of its end; False where there was none."""
        with self._change:
            visit = self._now.pop(guest, None)
            if visit is None:
                return False
            visit.ended = ended
            if visit not in self._unwritten:
                self._unwritten.append(visit)
            self._change.notify()
        return True

    def row_of(self, guest: Hashable) -> int | None:
        """Name the row of an association; None where the ledger is away."""
        visit = self._now.get(guest)
        if visit is None:
            return None
        if not visit.was_tried.is_set():
            with self._change:
                self._is_waited_for = True
                self._change.notify()
            visit.was_tried.wait(PATIENCE_SECONDS)
        return visit.row

    def finish(self) -> None:
        """Write what there is left to write."""
        with self._change:
            self._is_over = True
            self._change.notify()
        self._thread.join(LAST_SECONDS)

    def _write(self) -> None:
        while some := self._next():
            visits = [
                (one.coming, one.row, Going(ended.how, ended.why) if ended else None)
                for one, ended in some
            ]
            try:
                rows = write_visits(self._ledger, visits, in_doubt=self._is_in_doubt)
            except AWAY:
                self._is_in_doubt = True
                self._put_off()
            except Exception as fault:  # noqa: BLE001 - whatever it is, the others are not to wait
                self._single_out([one for one, _ in some], fault)
            else:
                self._is_in_doubt = False
                self._done(some, rows)

    def _next(self) -> list[tuple[Visit, Ended | None]]:
        """Wait for some that are to be written; none: it is over."""
        with self._change:
            while not self._unwritten and not self._is_over:
                self._change.wait()
            self._change.wait_for(self._is_urgent, GATHER_SECONDS)
            self._is_waited_for = False
            return [(one, one.ended) for one in self._unwritten[: self._at_once]]

    def _is_urgent(self) -> bool:
        """Say whether to write at once, whoever comes in the next moment."""
        are_enough = len(self._unwritten) >= self._at_once
        return self._is_waited_for or self._is_over or are_enough

    def _done(self, some: list[tuple[Visit, Ended | None]], rows: list[int]) -> None:
        for (one, _), row in zip(some, rows, strict=True):
            one.row = row
            one.was_tried.set()
        with self._change:
            done = {id(one) for one, ended in some if one.ended is ended}
            self._unwritten = [one for one in self._unwritten if id(one) not in done]
            self._at_once = min(MOST_AT_ONCE, 2 * self._at_once)
            self._others_were_written = True

    def _put_off(self) -> None:
        """Come again when the ledger may be back; no sender is to wait for it."""
        with self._change:
            for one in self._unwritten:
                one.was_tried.set()
            self._pause()

    def _single_out(self, some: list[Visit], fault: Exception) -> None:
        """Write them one by one; the one that cannot be written goes behind the others.

        It is given up in the end, and not because of a ledger that takes nothing from anybody.
        """
        with self._change:
            if len(some) > 1:
                self._at_once = 1
                return
            (one,) = some
            one.was_tried.set()
            one.strikes += self._others_were_written
            self._others_were_written = False
            self._unwritten.remove(one)
            if one.strikes < STRIKES and not self._is_over:
                self._unwritten.append(one)
                self._pause()
                return
        logger.error("an association could not be written down", why=told(fault))

    def _pause(self) -> None:
        """Wait a little; in the end there is no time for that, and what is left is given up."""
        if self._is_over:
            self._unwritten.clear()
        else:
            self._change.wait(RETRY_SECONDS)
