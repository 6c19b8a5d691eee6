"""Who came and went, written into the ledger by a thread of its own.

A sender that was let in does not wait for a commit, and several of them share one. An image does
wait: its row names the association that brought it. While the ledger is away nobody is held up, and
what happened meanwhile is written when it is back.
"""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.ledger.arrivals import Coming, Going, write_visits
from dicom_node.ledger.ledger import Ledger
from dicom_node.receiving.wire import Ended

MOST_AT_ONCE = 100
PATIENCE_SECONDS = 3.0  # of an image, for the row of its association
RETRY_SECONDS = 1.0
LAST_SECONDS = 5.0


@dataclass
class Visit:
    """One association, on its way into the ledger."""

    coming: Coming
    row: int | None = None
    was_tried: threading.Event = field(default_factory=threading.Event)
    ended: Ended | None = None


class Visits:
    """The associations of one listener."""

    def __init__(self, ledger: Ledger, listener: str) -> None:
        self._ledger = ledger
        self._listener = listener
        self._now: dict[Hashable, Visit] = {}
        self._unwritten: list[Visit] = []
        self._change = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._write, name="visits", daemon=True)
        self._thread.start()

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
        visit.was_tried.wait(PATIENCE_SECONDS)
        return visit.row

    def finish(self) -> None:
        """Write what there is left to write."""
        with self._change:
            self._is_over = True
            self._change.notify()
        self._thread.join(LAST_SECONDS)

    def _write(self) -> None:
        while True:
            with self._change:
                while not self._unwritten and not self._is_over:
                    self._change.wait()
                if not self._unwritten:
                    return
                some = [(one, one.ended) for one in self._unwritten[:MOST_AT_ONCE]]
            if self._written(some):
                with self._change:
                    done = {id(one) for one, ended in some if one.ended is ended}
                    self._unwritten = [one for one in self._unwritten if id(one) not in done]
            else:
                with self._change:
                    if not self._is_over:
                        self._change.wait(RETRY_SECONDS)
                    else:
                        return

    def _written(self, some: list[tuple[Visit, Ended | None]]) -> bool:
        """Write some of them in one transaction, and say whether that went well."""
        visits = [
            (one.coming, one.row, Going(ended.how, ended.why) if ended else None)
            for one, ended in some
        ]
        try:
            rows = write_visits(self._ledger, visits)
        except SQLAlchemyError:
            rows = []
        for (one, _), row in zip(some, rows, strict=False):
            one.row = row
        for one, _ in some:
            one.was_tried.set()
        return bool(rows)
