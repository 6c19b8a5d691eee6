"""Which files of results are no longer needed here, and that they were removed.

An object may go once everybody has it who wanted it, and, where a destination is asked to keep it,
once that one has promised to. The smallest object that each destination has stays: a recall needs
its header.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case, Delivery, Product
from dicom_node.life import Commit, Receipt, State

SETTLED = (Receipt.DELIVERED, Receipt.WAIVED)
UNSETTLED = Delivery.receipt.not_in(SETTLED) | (
    Delivery.commitment.is_not(None) & (Delivery.commitment != Commit.COMMITTED)
)


def ripe(questions: Questions, before: datetime, most: int) -> list[tuple[int, list[Product]]]:
    """List cases that were delivered whole and long ago, each with the objects that may go."""
    unsettled = exists().where(Delivery.case_id == Case.id, UNSETTLED)
    with Session(questions.engine, expire_on_commit=False) as session:
        cases = session.scalars(
            select(Case.id)
            .where(Case.state == State.DELIVERED, Case.moved_at < before)
            .where(exists().where(Product.case_id == Case.id, Product.purged_at.is_(None)))
            .where(~unsettled, Case.purged_at.is_(None))
            .limit(most)
        ).all()
        return [(case_id, _may_go(session, case_id)) for case_id in cases]


def _may_go(session: Session, case_id: int) -> list[Product]:
    products = session.scalars(select(Product).where(Product.case_id == case_id)).all()
    owners: dict[str, list[Product]] = {}
    for row in session.scalars(select(Delivery).where(Delivery.case_id == case_id)):
        owners.setdefault(row.destination, []).append(session.get_one(Product, row.product_id))
    stay = {min(held, key=lambda one: (one.size_bytes, one.id)).id for held in owners.values()}
    return [one for one in products if one.purged_at is None and one.id not in stay]


def record_purge(ledger: Ledger, case_id: int, products: Sequence[Product]) -> bool:
    """Write down what is removed, before it is: a file that stays behind harms nobody.

    False: another listener was first, or the case was recalled just now.
    """
    with ledger.writing() as session:
        case = session.get_one(Case, case_id, with_for_update=True)
        if case.purged_at is not None or case.state != State.DELIVERED:
            return False
        case.purged_at = now()
        for one in products:
            session.get_one(Product, one.id).purged_at = now()
        sentence = f"{len(products)} objects removed: everybody has what they wanted"
        details = {"sop_uids": [one.sop_uid for one in products]}
        ledger.note(session, "purged", sentence, case=case, details=details)
        return True
