"""Which leases have run out: those that were seen unrenewed for as long as a lease lasts.

Nobody's clock is asked. A sweep remembers which lease it saw, and how long it has stood still by
its own monotonic clock; so neither a clock that was set, nor another machine's, takes a case from
a holder that lives or leaves it with one that does not.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Case
from dicom_node.life import TOLD, WAITING

MOST_AT_ONCE = 1000  # of a kind, in one sweep


@dataclass(slots=True)
class Standing:
    """One lease as it was seen last, and for how long it has been seen so."""

    lease: str | None
    until: datetime | None
    seconds: float


class Watch:
    """What a sweep remembers of leases."""

    def __init__(self, lease_seconds: float) -> None:
        self.lease_seconds = lease_seconds
        self.seen: dict[int, Standing] = {}
        self._last = time.monotonic()

    def lost(self, held: Iterable[Case]) -> list[Case]:
        """Look at all cases that are held, and return those whose holder is silent.

        A gap between two looks counts a little only: while the database was away for the sweep, it
        was away for the holders too.
        """
        at = time.monotonic()
        passed = min(at - self._last, self.lease_seconds / 4)
        self._last = at
        seen, silent = {}, []
        for case in held:
            before = self.seen.get(case.id)
            if before is None or (before.lease, before.until) != (case.lease, case.lease_until):
                before = Standing(case.lease, case.lease_until, -passed)
            seen[case.id] = Standing(before.lease, before.until, before.seconds + passed)
            if seen[case.id].seconds >= self.lease_seconds:
                silent.append(case)
        self.seen = seen
        return silent


def rung(session: Session, at: datetime, again: timedelta) -> Sequence[Case]:
    """List what is due, but each only once a while: a long queue is no reason to ring more.

    Of each kind only so many: senders wait while these rows are written.
    """
    waiting = [Case.state == state for state in WAITING]
    tells = and_(Case.state.in_(TOLD), Case.telling.is_not(None))
    found = list[Case]()
    for kind in (*waiting, tells):
        due = (
            select(Case)
            .where(kind, Case.due_at <= at)
            .where(or_(Case.rung_at.is_(None), Case.rung_at < at - again))
            .order_by(Case.priority.desc(), Case.id)
            .limit(MOST_AT_ONCE)
            .with_for_update(skip_locked=True)  # another sweep rings for it, or somebody takes it
        )
        found += session.scalars(due)
    for case in found:
        case.rung_at = at
    return found
