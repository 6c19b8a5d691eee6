"""A notice is delivered as a result is, and its case stays at its end."""

from collections.abc import Callable

import pytest
from destinations import Destination, Posted
from ledger_book import Book
from sqlalchemy import update

from dicom_node.delivering.deliver import deliver
from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger.tables import Case, Delivery, Product
from dicom_node.life import DELIVER, Receipt, State
from dicom_node.tending import try_again

Destinations = Callable[..., Destination]
Makes = Callable[..., Posted]


def ended(posted: Posted, state: State = State.DECLINED) -> int:
    """Take a case that owes an object, and let it be the notice of how it ended."""
    case_id = posted.case(objects=1)
    with posted.node.ledger.writing() as session:
        values = {"state": state, "telling": state, "notice_written": True, "reason": "S02: none"}
        session.execute(update(Case).where(Case.id == case_id).values(**values))
        session.execute(update(Product).where(Product.case_id == case_id).values(kind="notice"))
    return case_id


def standing(posted: Posted, case_id: int) -> tuple[State, State | None, str]:
    case = posted.node.questions.case(case_id)
    assert case is not None
    return case.state, case.telling, case.reason


@pytest.mark.parametrize("state", [State.DECLINED, State.FAILED])
def test_a_notice_arrives_and_the_case_stays_where_it_ended(
    state: State, destination: Destinations, posted: Makes
) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = ended(office, state)
    deliver(office.office, case_id)
    assert len(pacs.came) == 1
    assert standing(office, case_id) == (state, None, "S02: none")
    assert office.node.ledger.sweep() == []


def test_a_notice_waits_for_a_destination_that_is_away(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination(running=False)
    office = posted(pacs.table)
    case_id = ended(office)
    with pytest.raises(Busy):
        deliver(office.office, case_id)
    assert standing(office, case_id) == (State.DECLINED, State.DECLINED, "S02: none")
    pacs.start()
    (said,) = (one.sentence for one in try_again(office.node, str(case_id)))
    assert said == f"case {case_id} stays DECLINED; its notice is sent again"
    deliver(office.office, case_id)
    assert len(pacs.came) == 1
    assert standing(office, case_id)[1] is None


def test_a_notice_that_is_refused_changes_nothing_until_somebody_asks_again(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination(answers=[0xC000])
    office = posted(pacs.table)
    case_id = ended(office)
    deliver(office.office, case_id)
    assert standing(office, case_id) == (State.DECLINED, None, "S02: none")
    (debt,) = office.node.questions.debts_of(case_id)
    assert debt.delivery.receipt == Receipt.REFUSED
    pacs.answers[:] = [0]
    assert "sent again" in next(iter(try_again(office.node, str(case_id)))).sentence
    assert office.node.ledger.sweep() == [(case_id, DELIVER)]
    deliver(office.office, case_id)
    (debt,) = office.node.questions.debts_of(case_id)
    assert debt.delivery.receipt == Receipt.DELIVERED


def test_a_case_that_has_nobody_to_tell_is_left_alone_by_a_retry(posted: Makes) -> None:
    office = posted()
    case_id = ended(office)
    with office.node.ledger.writing() as session:
        session.get_one(Case, case_id).telling = None
    before = office.node.questions.events(case_id=case_id)
    (said,) = try_again(office.node, str(case_id))
    assert not said.again
    assert len(office.node.questions.events(case_id=case_id)) == len(before), "nothing was done"


def test_a_refused_notice_of_a_round_that_gave_way_is_not_owed_again(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination(answers=[0xC000]).table)
    book = Book(office.node.engine)
    case_id = ended(office, State.FAILED)
    deliver(office.office, case_id)
    with office.node.ledger.writing() as session:  # where else it would have come from
        office.node.ledger.note(
            session,
            "moved",
            case=session.get_one(Case, case_id),
            start=State.ANALYZING,
            end=State.FAILED,
        )
        study = session.get_one(Case, case_id).study_uid
    book.arrive(study)
    (said,) = (one.sentence for one in try_again(office.node, str(case_id)))
    assert said == f"case {case_id} gave way to round 2: retry that one"
    (debt,) = office.node.questions.debts_of(case_id)
    assert debt.delivery.receipt == Receipt.REFUSED


def test_a_notice_that_is_not_written_yet_is_not_taken_for_one_that_is_told(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = ended(office)
    with office.node.ledger.writing() as session:
        session.get_one(Case, case_id).notice_written = False
    with pytest.raises(NotYourTurn, match="not written yet"):
        deliver(office.office, case_id)
    assert standing(office, case_id)[1] == State.DECLINED


def test_a_refused_notice_does_not_fail_the_report_that_replaces_it(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = office.case(objects=2)
    (first, _) = office.node.questions.products_of(case_id)
    with office.node.ledger.writing() as session:
        session.execute(update(Product).where(Product.id == first.id).values(kind="notice"))
        session.execute(
            update(Delivery).where(Delivery.product_id == first.id).values(receipt=Receipt.REFUSED)
        )
    deliver(office.office, case_id)
    assert standing(office, case_id)[0] == State.DELIVERED
