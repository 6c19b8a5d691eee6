"""What destinations have promised to keep: storage commitment (PS3.4, annex J), as rows.

An object that was taken is WANTED to be committed; it is ASKED for under a transaction, and again
while no answer comes. What a destination does not have after all is sent again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.roads import Place
from dicom_node.ledger.tables import Case, Commitment, Delivery, Product
from dicom_node.life import TOLD, Commit, Receipt, State

OPEN = (Commit.WANTED, Commit.ASKED)
NOT_THERE = 0x0112  # no such object instance
PASSING = {0x0110, 0x0131, 0x0213}  # processing failure, transaction known, resource limitation
RESEND_MOST = 3
BATCH = 500


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a destination at once, under one transaction."""

    transaction_uid: str
    objects: tuple[tuple[str, str], ...]  # SOP class and instance


def places_due(questions: Questions) -> list[tuple[Place, int]]:
    """List who is to be asked now, each with one of the cases that it is about."""
    with Session(questions.engine) as session:
        rows = session.execute(
            select(Delivery.destination, Delivery.target, Delivery.case_id)
            .where(Delivery.commitment.in_(OPEN), Delivery.commit_due_at <= now())
            .order_by(Delivery.commit_due_at)
        ).all()
    return list({(name, target): case_id for name, target, case_id in reversed(rows)}.items())


def places_open(questions: Questions) -> list[Place]:
    """List who has not said of everything yet whether it is kept."""
    with Session(questions.engine) as session:
        rows = session.execute(
            select(Delivery.destination, Delivery.target)
            .where(Delivery.commitment.in_(OPEN))
            .distinct()
        )
        return [(name, target) for name, target in rows]


def request(
    ledger: Ledger, place: Place, waits: Sequence[float], give_up_hours: float
) -> Request | None:
    """Take up what is due at a place, as one transaction; give up what was asked for in vain."""
    at = now()
    with ledger.writing() as session:
        rows = session.execute(
            select(Delivery, Product)
            .join(Product, Delivery.product_id == Product.id)
            .where(Delivery.destination == place[0], Delivery.target == place[1])
            .where(
                or_(
                    Delivery.commitment == Commit.WANTED,  # those that came since go along
                    and_(Delivery.commitment == Commit.ASKED, Delivery.commit_due_at <= at),
                )
            )
            .order_by(Delivery.id)
            .limit(BATCH)
            .with_for_update(of=Delivery)
        ).all()
        asked = []
        for row, product in rows:
            if at - row.owed_since > timedelta(hours=give_up_hours):
                sentence = f"storage commitment was never answered in {give_up_hours:g} hours"
                _park(ledger, session, row, product, sentence)
                continue
            wait = waits[min(row.commit_attempts, len(waits) - 1)]
            row.commitment, row.commit_due_at = Commit.ASKED, at + timedelta(seconds=wait)
            row.commit_attempts += 1
            asked.append((product.sop_class_uid, product.sop_uid))
        if not asked:
            return None
        made = Request(str(generate_uid(prefix=None)), tuple(asked))
        session.add(
            Commitment(
                transaction_uid=made.transaction_uid,
                destination=place[0],
                target=place[1],
                asked_at=at,
            )
        )
        details = {"transaction": made.transaction_uid, "objects": len(asked)}
        sentence = f"{place[0]} is asked to commit {len(asked)} objects"
        ledger.note(session, "commitment asked", sentence, details=details)
        return made


def ask_no_more(ledger: Ledger, place: Place) -> None:
    """Forget what a destination was to be asked for that is not asked any more."""
    with ledger.writing() as session:
        change = (
            update(Delivery)
            .where(Delivery.destination == place[0], Delivery.target == place[1])
            .where(Delivery.commitment.in_(OPEN))
            .values(commitment=None, commit_due_at=None)
        )
        if session.connection().execute(change).rowcount:  # else another was first
            ledger.note(session, "commitment waived", f"{place[0]} is not asked for it any more")


def ask_again(ledger: Ledger, case_id: int) -> int:
    """Ask once more for what was parked, with all its time and tries again; say for how much.

    The administrator says that the cause is mended.
    """
    with ledger.writing() as session:
        change = (
            update(Delivery)
            .where(Delivery.case_id == case_id, Delivery.commitment == Commit.REFUSED)
            .values(commitment=Commit.WANTED, commit_due_at=now(), owed_since=now())
            .values(commit_attempts=0, resent=0)
        )
        count = session.connection().execute(change).rowcount
        if count:
            sentence = f"a promise to keep {count} of its objects is asked for once more"
            ledger.note(session, "owed again", sentence, case=session.get_one(Case, case_id))
        return count


def not_asked(
    ledger: Ledger, asked: Request, sentence: str, due_at: datetime | None = None
) -> None:
    """Write down that a request did not get through; it is made again, at its time or sooner."""
    uids = select(Product.id).where(Product.sop_uid.in_([uid for _, uid in asked.objects]))
    with ledger.writing() as session:
        made = _transaction(session, asked.transaction_uid)
        assert made is not None
        change = (
            update(Delivery)
            .where(Delivery.destination == made.destination, Delivery.target == made.target)
            .where(Delivery.product_id.in_(uids), Delivery.commitment == Commit.ASKED)
        )
        session.execute(change.values(last_error=sentence))
        if due_at is not None:
            session.execute(change.values(commit_due_at=due_at))
        ledger.note(session, "commitment not asked", f"{made.destination}: {sentence}")


def record_answer(
    ledger: Ledger, told: Dataset, destinations: Collection[str] | None = None
) -> bool:
    """Write down what a destination has committed, and what not; False for an unknown request.

    An answer may come late, after the same was asked again: it counts as well. One that is brought
    a second time does not send again what was sent again since it was asked for. Where it is known
    which destinations answer, a request to any other is unknown.
    """
    present = [str(one.ReferencedSOPInstanceUID) for one in told.get("ReferencedSOPSequence") or []]
    failed = {
        str(one.ReferencedSOPInstanceUID): int(one.get("FailureReason", 0x0110))
        for one in told.get("FailedSOPSequence") or []
    }
    with ledger.writing() as session:
        made = _transaction(session, str(told.get("TransactionUID", "")))
        if made is None or (destinations is not None and made.destination not in destinations):
            return False
        made.answered_at = now()
        for row, product, case in _rows(session, made, [*present, *failed]):
            if row.commitment == Commit.COMMITTED:
                continue
            if product.sop_uid in failed:
                if made.asked_at >= row.owed_since:
                    _failed(ledger, session, row, product, case, failed[product.sop_uid])
            else:
                row.commitment, row.commit_due_at = Commit.COMMITTED, None
                ledger.note(
                    session,
                    "committed",
                    f"{row.destination} keeps the {product.kind}",
                    case=case,
                    details={"sop_uid": product.sop_uid, "transaction": made.transaction_uid},
                )
        return True


def _failed(
    ledger: Ledger, session: Session, row: Delivery, product: Product, case: Case, reason: int
) -> None:
    """Send again what is not there, ask again where time helps, and park the rest."""
    said = f"does not commit the {product.kind} (reason {reason:04X})"
    if reason == NOT_THERE and row.resent < RESEND_MOST:
        row.receipt, row.due_at, row.owed_since = Receipt.OWED, now(), now()
        row.commitment, row.commit_due_at = None, None
        row.resent += 1
        _send_again(ledger, session, case)
    elif reason in PASSING:
        if row.commitment in OPEN:  # what was given up stays given up
            row.commitment = Commit.ASKED  # and due when it would have been asked again
    else:
        _park(ledger, session, row, product, said)
        return
    row.last_error = said
    details = {"sop_uid": product.sop_uid}
    ledger.note(session, "not committed", f"{row.destination}: {said}", case=case, details=details)


def _send_again(ledger: Ledger, session: Session, case: Case) -> None:
    if case.state == State.DELIVERED:
        sentence = "a destination has lost what it took"
        ledger.moving(session, case.id, case.state, State.REPORTED, sentence, forgive=True)
    elif case.state in TOLD and case.telling is None:
        case.telling, case.notice_written = case.state, True
    case.due_at, case.rung_at = now(), None


def _park(ledger: Ledger, session: Session, row: Delivery, product: Product, said: str) -> None:
    row.commitment, row.commit_due_at, row.last_error = Commit.REFUSED, None, said
    case = session.get_one(Case, row.case_id)
    details = {"sop_uid": product.sop_uid}
    ledger.note(
        session, "commitment failed", f"{row.destination}: {said}", case=case, details=details
    )


def _transaction(session: Session, uid: str) -> Commitment | None:
    return session.scalars(select(Commitment).where(Commitment.transaction_uid == uid)).first()


def _rows(
    session: Session, made: Commitment, uids: Iterable[str]
) -> list[tuple[Delivery, Product, Case]]:
    rows = session.execute(
        select(Delivery, Product, Case)
        .join(Product, Delivery.product_id == Product.id)
        .join(Case, Delivery.case_id == Case.id)
        .where(Delivery.destination == made.destination, Delivery.target == made.target)
        .where(Delivery.commitment.is_not(None), Product.sop_uid.in_(list(uids)))
        .order_by(Delivery.id)
        .with_for_update(of=Delivery)  # the same may be brought twice at once
    ).all()
    return [(row, product, case) for row, product, case in rows]
