"""A workstation gets what is new, and what it does not take fails no case."""

from collections.abc import Callable

from destinations import Destination, Posted
from sqlalchemy import update

from dicom_node.delivering.deliver import deliver
from dicom_node.ledger.tables import Case, Product
from dicom_node.life import Receipt, State

Destinations = Callable[..., Destination]
Makes = Callable[..., Posted]


def test_what_a_workstation_refuses_fails_no_case(destination: Destinations, posted: Makes) -> None:
    archive, screen = destination("ARCHIVE"), destination("SCREEN", answers=[0xC000])
    office = posted(archive.table, {**screen.table, "role": "workstation"})
    case_id = office.case()
    deliver(office.office, case_id)
    case = office.node.questions.case(case_id)
    assert case is not None
    assert case.state == State.DELIVERED
    receipts = {
        debt.delivery.destination: debt.delivery.receipt
        for debt in office.node.questions.debts_of(case_id)
    }
    assert receipts == {"archive": Receipt.DELIVERED, "screen": Receipt.WAIVED}


def test_a_workstation_is_not_sent_a_round_that_a_later_one_has_replaced(
    destination: Destinations, posted: Makes
) -> None:
    archive, screen = destination("ARCHIVE"), destination("SCREEN")
    office = posted(archive.table, {**screen.table, "role": "workstation"})
    first, second = office.case(objects=1), office.case(objects=1)
    with office.node.ledger.writing() as session:
        study = session.get_one(Case, first).study_uid
        values = {"study_uid": study, "round": 2}
        session.execute(update(Case).where(Case.id == second).values(**values))
        session.execute(update(Product).values(kind="cad_sr"))
    deliver(office.office, first)
    deliver(office.office, second)
    assert len(archive.came) == 2
    assert len(screen.came) == 1
    (debt, _) = sorted(
        (debt for debt in office.node.questions.debts_of(first)),
        key=lambda debt: debt.delivery.destination != "screen",
    )
    assert (debt.delivery.receipt, debt.delivery.last_error) == (
        Receipt.WAIVED,
        "round 2 replaces it",
    )
