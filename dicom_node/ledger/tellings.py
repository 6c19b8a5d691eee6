"""Telling how a case ended that has no result: a turn that leaves the case where it is at rest.

DECLINED and FAILED are ends. What the radiologist is told of them is written and sent in turns of
its own, TELLING, from which there is one way only: back to the end that is told of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dicom_node.errors import Busy, NotYourTurn, is_ours, told
from dicom_node.ledger.ledger import (
    FAULT_AGAIN,
    FULL_AGAIN,
    STRIKES,
    Ledger,
    Turn,
    now,
    passes,
)
from dicom_node.ledger.patience import persist
from dicom_node.ledger.tables import Case, Delivery
from dicom_node.ledger.unnumbered import unnumbered
from dicom_node.life import TOLD, Receipt, State


@contextmanager
def telling(ledger: Ledger, case_id: int) -> Iterator[Turn]:
    """Hold a case that has ended while the block writes its notice, or sends it.

    A notice that cannot be made is given up, with a line in the trail: the case keeps its end.
    """
    turn, end, reason = _begin(ledger, case_id)
    stop = ledger.keep_lease(turn)
    try:
        yield turn
    except Busy as trouble:
        _rest(ledger, turn, end, reason, due_at=trouble.due_at)
        raise
    except Exception as fault:
        if passes(fault):
            _rest(ledger, turn, end, reason, due_at=now() + FULL_AGAIN)
            raise Busy(told(fault)) from fault
        if not is_ours(fault) and turn.attempt < STRIKES:
            due_at = now() + FAULT_AGAIN
            _rest(ledger, turn, end, reason, due_at=due_at, forgive=False)
            raise Busy(told(fault), due_at) from fault
        turn.rows.clear()
        turn.remark = f"nobody can be told: {told(fault)}"
        _rest(ledger, turn, end, reason, gives_up=True)
        raise
    else:
        _rest(ledger, turn, end, reason)
    finally:
        stop.set()


def _begin(ledger: Ledger, case_id: int) -> tuple[Turn, State, str]:
    with ledger.writing() as session:
        case = session.get_one(Case, case_id)
        if case.telling is None:
            raise NotYourTurn(f"there is nothing to tell of case {case_id}")
        end, reason = case.telling, case.reason
        return ledger.begin(session, case_id, end, State.TELLING, reason), end, reason


def _rest(  # noqa: PLR0913 - how it can come to rest
    ledger: Ledger,
    turn: Turn,
    end: State,
    reason: str,
    *,
    due_at: datetime | None = None,
    gives_up: bool = False,
    forgive: bool = True,
) -> None:
    """Come to rest again; what was left is owed from now on, and with nothing owed it is told."""

    def rest() -> None:
        with ledger.writing() as session:
            ledger.moving(
                session,
                turn.case_id,
                State.TELLING,
                end,
                reason,
                lease=turn.lease,
                due_at=due_at,
                details=turn.details,
                forgive=forgive,
            )
            session.add_all(unnumbered(turn.rows))
            session.flush()
            case = session.get_one(Case, turn.case_id)
            if turn.remark:
                ledger.note(session, "telling", turn.remark, case=case)
            case.notice_written = _owes(session, turn.case_id)
            if gives_up or not (due_at or case.notice_written):
                case.telling = None

    persist(rest)


def _owes(session: Session, case_id: int) -> bool:
    owed = select(func.count()).where(Delivery.case_id == case_id, Delivery.receipt == Receipt.OWED)
    return bool(session.scalar(owed))


def tell_again(ledger: Ledger, case_id: int) -> bool:
    """Take up a notice that is owed, and say whether there is one."""
    with ledger.writing() as session:
        case = session.get_one(Case, case_id)
        if case.state not in TOLD or not _owes(session, case_id):
            return False
        case.telling, case.notice_written = case.state, True
        return True
