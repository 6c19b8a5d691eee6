"""Two times: what the clock says, for people; and a steady one, in which the ledger waits.

Somebody sets a clock, and an hour or a year is gone: a lease would run out at once, or never, and
so would every waiting time. The steady time stands still for nobody. It began with the clock when
this machine's first process of the node was started since the machine itself was, and has gone on
with the machine's monotonic clock; all processes of the machine read the same beginning in the
ledger, also those that are started after the clock was set.

Several machines share a PostgreSQL, and begin by its clock. A machine that starts while that one is
far from its own goes by the one that fits to what the ledger knows of; a steady time a year from
its neighbors' would let its cases wait a year for them.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from dicom_node.ledger.tables import Beginning, Case

FAR_APART = timedelta(hours=1)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def by_the_clock() -> datetime:
    """Tell the time as people have it; it may jump."""
    return datetime.now(UTC)


class _Steady:
    """The steady time of this process."""

    def __init__(self) -> None:
        self.zero = by_the_clock() - _since_boot()

    def __call__(self) -> datetime:
        return self.zero + _since_boot()


def _since_boot() -> timedelta:
    return timedelta(seconds=time.monotonic())


steady = _Steady()


def keep_time(engine: Engine) -> None:
    """Let this process have the steady time of all processes of this machine."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else ""
    if boot:
        steady.zero = _beginning(engine, boot)


def _beginning(engine: Engine, boot: str) -> datetime:
    """Read when this machine's monotonic clock stood at zero, or write it down as the first."""
    known = select(Beginning.zero_at).where(Beginning.boot == boot)
    with engine.execution_options(reads_only=True).connect() as connection:
        there = connection.scalar(known)
        if there is not None:
            return there
    try:
        with engine.begin() as connection:
            zero = _latest(connection) - _since_boot()
            connection.execute(insert(Beginning).values(boot=boot, zero_at=zero))
            return zero
    except IntegrityError:  # another process was first
        with engine.begin() as connection:
            return connection.scalars(known).one()


def _latest(connection: Connection) -> datetime:
    """Tell the time; never an earlier one than the ledger knows of: the clock was set back then."""
    clocks = [by_the_clock()]
    if connection.dialect.name == "postgresql":  # one clock for several machines
        clocks.append(connection.execute(text("SELECT clock_timestamp()")).scalar_one())
    columns = (Case.last_image_at, Case.moved_at, Beginning.zero_at)
    moments = [connection.scalar(select(func.max(one))) for one in columns]
    return _likely(clocks, [one for one in moments if one is not None])


def _likely(clocks: Sequence[datetime], moments: Sequence[datetime]) -> datetime:
    """Choose among clocks, the last of which several machines share, given moments that were.

    A clock that is behind these is wrong; of others that are far apart the later one was set ahead.
    """
    known = max(moments, default=min(clocks))
    possible = [one for one in clocks if one > known - FAR_APART] or [known]
    likely = possible[-1] if possible[-1] - min(possible) < FAR_APART else min(possible)
    return max(likely, known)
