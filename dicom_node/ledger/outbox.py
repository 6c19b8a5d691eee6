"""What is owed to whom: one row per object and destination."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.tables import Case, Delivery, Product, Road
from dicom_node.life import Commit, Receipt


def record_receipt(
    ledger: Ledger, delivery_id: int, status: int, commit_at: datetime | None = None
) -> None:
    """Write down that a destination has an object, and from when on it is asked to keep it."""
    with ledger.writing() as session:
        row, product, case = _owed(session, delivery_id)
        if row.receipt == Receipt.DELIVERED:  # by another, while this process stood still
            return
        row.receipt, row.status, row.delivered_at, row.last_error = (
            Receipt.DELIVERED,
            status,
            by_the_clock(),
            "",
        )
        row.attempts += 1
        if commit_at is not None:
            row.commitment, row.commit_due_at = Commit.WANTED, commit_at
            row.commit_attempts = 0
            row.owed_since = now()  # from here on it is the commitment that is owed
        ledger.note(
            session,
            "delivered again" if row.resent else "delivered",
            f"{row.destination} has the {product.kind}",
            case=case,
            details={"sop_uid": product.sop_uid, "status": f"{status:04X}"},
        )


def record_refusal(ledger: Ledger, delivery_id: int, status: int | None, sentence: str) -> None:
    """Write down that a destination will not take an object, so that nobody asks again."""
    with ledger.writing() as session:
        row = _parked(ledger, session, delivery_id, Receipt.REFUSED, sentence)
        if row is not None:
            row.status = status
            row.attempts += 1


def record_loss(ledger: Ledger, delivery_id: int, sentence: str) -> None:
    """Write down that an object cannot be sent, since its file is lost, so that nobody tries."""
    with ledger.writing() as session:
        _parked(ledger, session, delivery_id, Receipt.LOST, sentence)


def record_waiver(ledger: Ledger, delivery_id: int, sentence: str) -> None:
    """Write down that nobody waits for an object any more."""
    with ledger.writing() as session:
        row, _, case = _owed(session, delivery_id)
        if row.receipt != Receipt.OWED:
            return
        row.receipt, row.last_error = Receipt.WAIVED, sentence
        ledger.note(session, "waived", f"{row.destination}: {sentence}", case=case)


def record_delay(
    ledger: Ledger, delivery_id: int, status: int | None, sentence: str, due_at: datetime
) -> None:
    """Write down that an object could not be delivered this time."""
    with ledger.writing() as session:
        row, _, case = _owed(session, delivery_id)
        if row.receipt != Receipt.OWED:
            return
        row.status, row.last_error, row.due_at = status, sentence, due_at
        row.attempts += 1
        ledger.note(session, "delayed", f"{row.destination}: {sentence}", case=case)


def owe_again(ledger: Ledger, case_id: int) -> None:
    """Owe once more what was refused or lost of a case."""
    with ledger.writing() as session:
        ledger.owe_again(session, session.get_one(Case, case_id))


def hurry(ledger: Ledger, case_id: int, roads: Collection[str]) -> None:
    """Do not wait for the back-off of what this case still owes, nor for these roads."""
    with ledger.writing() as session:  # the case first, as all do that hold several rows
        case = session.get_one(Case, case_id, with_for_update=True)
        case.due_at = now()
        session.execute(
            update(Delivery)
            .where(Delivery.case_id == case_id, Delivery.receipt == Receipt.OWED)
            .values(due_at=now())
        )
        session.execute(update(Road).where(Road.destination.in_(roads)).values(due_at=now()))
        ledger.note(session, "hurried", "nothing waits for its time any more", case=case)


def _parked(
    ledger: Ledger, session: Session, delivery_id: int, receipt: Receipt, sentence: str
) -> Delivery | None:
    """Put aside what is still owed, and say why; None where another has written of it since."""
    row, product, case = _owed(session, delivery_id)
    if row.receipt != Receipt.OWED:
        return None
    row.receipt, row.last_error = receipt, sentence
    about = {"sop_uid": product.sop_uid}
    said = f"{row.destination}: {sentence}"
    ledger.note(session, receipt.lower(), said, case=case, details=about)
    return row


def _owed(session: Session, delivery_id: int) -> tuple[Delivery, Product, Case]:
    """Find what is owed, and keep others from it until this is written down.

    A process that stood still beyond its lease may come with its answer after another one did.
    """
    row = session.execute(
        select(Delivery, Product, Case)
        .join(Product, Delivery.product_id == Product.id)
        .join(Case, Delivery.case_id == Case.id)
        .where(Delivery.id == delivery_id)
        .with_for_update(of=Delivery)
    ).one()
    return row[0], row[1], row[2]
