"""Files of results that everybody has are removed once, whoever does it."""

from collections.abc import Callable
from datetime import timedelta

from destinations import Destination, Posted

from dicom_node.ledger.ledger import now
from dicom_node.ledger.purges import record_purge, ripe


def test_of_two_listeners_one_removes_what_arrived_for_good(
    destination: Callable[..., Destination], posted: Callable[..., Posted]
) -> None:
    office = posted(destination().table)
    case_id, owing = office.case(objects=3), office.case(objects=3)
    office.deliver(case_id)
    node = office.node
    ((found, products),) = ripe(node.questions, now() + timedelta(seconds=1), 10)
    assert found == case_id != owing
    assert len(products) == 2, "a recall needs the smallest"
    assert record_purge(node.ledger, case_id, products)
    assert not record_purge(node.ledger, case_id, products)
    assert [event.what for event in node.questions.events()].count("purged") == 1
    assert ripe(node.questions, now() + timedelta(seconds=1), 10) == []
