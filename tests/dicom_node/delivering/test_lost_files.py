"""An object that can no longer be read is told of, tried no more, and holds up no other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from destinations import Destination, Posted

from dicom_node.errors import Busy, Lost
from dicom_node.ledger.outbox import hurry
from dicom_node.ledger.questions import CAD_SR, NOTICE_OF
from dicom_node.ledger.tables import Case, Product
from dicom_node.life import Receipt, State
from dicom_node.tending import try_again
from dicom_node.watching.story import standing, story

DELIVERED = Receipt.DELIVERED
Destinations = Callable[..., Destination]
Makes = Callable[..., Posted]


def receipts(posted: Posted, case_id: int) -> list[Receipt]:
    return [row.receipt for row in posted.rows(case_id)]


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2] + b"\0\1")


@pytest.mark.parametrize(
    ("lose", "what"),
    [(Path.unlink, "is gone from the spool"), (change, "is not what was written any more")],
    ids=["gone", "changed"],
)
def test_an_object_whose_file_is_lost_is_never_sent_and_holds_up_no_other(
    destination: Destinations, posted: Makes, lose: Callable[[Path], None], what: str
) -> None:
    pacs = destination()
    office = posted(pacs.table)
    other, case_id, whole = office.case(objects=1), office.case(objects=2), office.case(objects=1)
    for one in (other, case_id):
        product = office.node.questions.products_of(one)[0]
        lose(office.node.spool.path(product.path))
    for one in (other, case_id):
        with pytest.raises(Lost):
            office.deliver(one)
    office.deliver(whole)
    assert office.state(whole) == State.DELIVERED, "at once: the peer answers"
    assert receipts(office, case_id) == [Receipt.LOST, DELIVERED]
    assert len(pacs.came) == 2
    case = office.node.questions.case(case_id)
    assert case is not None
    sentence = f"the file of the kind_0 {what}; it is made again by `dicom-node retry {case_id}`"
    assert (case.state, case.reason) == (State.FAILED, f"Lost: pacs: {sentence}")
    assert office.node.ledger.sweep() == [], "nobody tries for ever"
    told = standing(office.node.questions, 5)
    assert told["lost"] == {"pacs": {"objects": 2, "why": sentence}}
    assert told["parked"] == {}
    events = story(office.node.questions, case, office.node.settings)["events"]
    assert any(sentence in one["event"] for one in events)


def test_a_disk_that_is_away_has_lost_nothing(destination: Destinations, posted: Makes) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = office.case()
    cases = office.node.spool.folder / "cases"
    cases.rename(cases.with_name("away"))
    with pytest.raises(Busy, match="2 objects still owed to pacs"):
        office.deliver(case_id)
    assert office.rows(case_id)[0].last_error.startswith("FileNotFoundError: No such file")
    cases.with_name("away").rename(cases)
    hurry(office.node.ledger, case_id, [])
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED


def test_a_notice_whose_file_is_lost_is_told_of_and_its_case_stays_where_it_ended(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case(objects=1)
    (product,) = office.node.questions.products_of(case_id)
    with office.node.ledger.writing() as session:
        case = session.get_one(Case, case_id)
        case.state = case.telling = State.DECLINED
        case.notice_written = True
        session.get_one(Product, product.id).kind = NOTICE_OF[CAD_SR]
    path = office.node.spool.path(product.path)
    path.rename(path.with_name("kept"))
    office.deliver(case_id)
    assert office.state(case_id) == State.DECLINED
    (row,) = office.rows(case_id)
    again = f"put it back, then `dicom-node retry {case_id}`"
    assert row.last_error == f"the file of the notice is gone from the spool; {again}"
    (tried,) = try_again(office.node, str(case_id))
    assert not tried.again
    assert "is lost and cannot be made a second time: put its file back" in tried.sentence
    path.with_name("kept").rename(path)
    (tried,) = try_again(office.node, str(case_id))
    assert tried.again
    office.deliver(case_id)
    assert receipts(office, case_id) == [DELIVERED]
