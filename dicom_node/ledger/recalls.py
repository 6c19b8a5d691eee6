"""Taking a result back: one transaction, so that nothing is half recalled."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.removals import missing_in
from dicom_node.ledger.tables import Case, Delivery, Recall
from dicom_node.life import AT_THE_END, PARKED, Receipt, State

UNPAID = (Receipt.OWED, *PARKED)
RECALLABLE = {*AT_THE_END, State.REPORTED}


def recall_case(
    ledger: Ledger,
    recall: Recall,
    notes: Sequence[Delivery],
    receipts: Mapping[int, Receipt],
) -> int:
    """Void a case, withdraw what it still owes, and owe the notes; count what was withdrawn.

    `receipts` says for which deliveries the notes were written: a note must name what a
    destination has, and the deliverer may have been quicker.
    """
    with ledger.writing() as session:
        case = session.scalars(
            select(Case).where(Case.id == recall.case_id).with_for_update()
        ).one()
        _can_be_recalled(session, case)
        owed = select(Delivery).where(Delivery.case_id == case.id).order_by(Delivery.id)
        rows = session.scalars(owed.with_for_update()).all()
        if {row.id: row.receipt for row in rows} != dict(receipts):
            raise Busy(f"case {case.id} is being delivered just now: recall it in a moment")
        withdrawn = [row for row in rows if row.receipt in UNPAID]
        for row in withdrawn:
            row.receipt, row.last_error = Receipt.WAIVED, f"recalled: {recall.reason}"
        session.add(recall)
        session.add_all(notes)
        sentence = f"recalled by {recall.recalled_by}: {recall.reason}"
        details = {"code": recall.code, "withdrawn": len(withdrawn), "notes": len(notes)}
        ledger.note(session, "recalled", sentence, case=case, details=details)
        if notes and case.state != State.REPORTED:
            ledger.moving(session, case.id, case.state, State.REPORTED, sentence, forgive=True)
        elif case.state == State.REPORTED:  # it has waited for a destination: not any more
            case.due_at = now()
        return len(withdrawn)


def _can_be_recalled(session: Session, case: Case) -> None:
    former = session.scalars(select(Recall).where(Recall.case_id == case.id)).first()
    if former is not None:
        raise NotYourTurn(said_before(former))
    if case.state not in RECALLABLE:
        raise Busy(f"case {case.id} is {case.state}: recall its result when it is out")


def said_before(recall: Recall) -> str:
    """Say that a case was recalled before."""
    at = recall.recalled_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"case {recall.case_id} was recalled already, at {at} by {recall.recalled_by}: "
        f"{recall.reason}"
    )


def read_again(ledger: Ledger, case_id: int) -> Case:
    """Open the next round of a study whose last result was recalled, on the images that are here.

    A round of its own gives its objects UIDs of their own: an archive that has rejected the old
    ones would reject them again. Later rounds that were DECLINED read nothing, and may have been so
    because this result stood then.
    """
    with ledger.writing() as session:
        case = session.get_one(Case, case_id)
        last, *others = session.scalars(
            select(Case)
            .where(Case.study_uid == case.study_uid, Case.round >= case.round)
            .order_by(Case.round.desc())
            .with_for_update()
        ).all()
        for one in (last, *others):
            if one.id != case_id and one.state != State.DECLINED:
                raise NotYourTurn(f"case {case_id} gave way to round {one.round}: retry that one")
        if gone := missing_in(session, case.study_uid, last.id):
            raise NotYourTurn(f"case {case_id} cannot be read again: {gone}")
        return opened_by_hand(ledger, session, last, "read again by hand, after a recall")


def opened_by_hand(ledger: Ledger, session: Session, last: Case, why: str) -> Case:
    """Open the round after a study's last one, to be read with the images that are here."""
    at = now()
    overtaken = f"another round of case {last.id}'s study was opened just now"  # no row after that
    opened = Case(
        study_uid=last.study_uid,
        round=last.round + 1,
        state=State.RECEIVED,
        priority=last.priority,
        reason="",
        opened_at=by_the_clock(),
        moved_at=at,
        last_image_at=last.last_image_at,
        due_at=at,
        attempts=0,
    )
    session.add(opened)
    try:
        session.flush()
    except IntegrityError as rival:
        raise NotYourTurn(overtaken) from rival
    sentence = f"round {opened.round}: {why}"
    ledger.note(session, "round opened", sentence, case=opened, end=State.RECEIVED)
    return opened
