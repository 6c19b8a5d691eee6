"""Who goes first where several cases wait: whatever is more urgent than the one that was rung for.

A queue gives its rings out in the order in which they came. So whoever is rung for a case asks here
before it takes that one. What goes before it has a ring of its own, and that finds nothing to do.
"""

from collections.abc import Collection

from sqlalchemy import Engine, select

from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Case
from dicom_node.life import State


def goes_before(
    engine: Engine, case_id: int, waiting: State, tried: Collection[int] = ()
) -> int | None:
    """Name the most urgent case that waits for the same step, if it is more urgent than this one.

    `tried`: those that were taken up for it already, and may have to wait for something.
    """
    own = select(Case.priority).where(Case.id == case_id).scalar_subquery()
    more_urgent = (
        select(Case.id)
        .where(Case.state == waiting, Case.due_at <= now(), Case.priority > own)
        .where(Case.id.not_in(tried))
        .order_by(Case.priority.desc(), Case.id)
        .limit(1)
    )
    with engine.execution_options(reads_only=True).connect() as connection:
        return connection.scalar(more_urgent)
