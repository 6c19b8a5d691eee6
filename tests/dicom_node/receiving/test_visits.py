"""Who came and went stands in the ledger, also when it was away meanwhile."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from senders import until
from sqlalchemy.exc import DataError, OperationalError

from dicom_node.ledger.ledger import Ledger
from dicom_node.receiving import visits
from dicom_node.receiving.visits import Visits
from dicom_node.receiving.wire import Ended
from dicom_node.wiring import Node


@pytest.fixture
def written(node: Node) -> Callable[[], list[str]]:
    """List what the trail says of associations."""
    return lambda: [
        event.what
        for event in node.questions.last_events(100)
        if event.what.startswith("association ")
    ]


def test_who_came_and_went_is_written_in_this_order(
    node: Node, written: Callable[[], list[str]]
) -> None:
    keeper = Visits(node.ledger, "127.0.0.1:104")
    keeper.came("one", "MG1", "FOURVIEWS", "10.0.0.9")
    assert isinstance(keeper.row_of("one"), int)
    assert keeper.went("one", Ended("released"))
    assert not keeper.went("one", Ended("released"))
    assert keeper.row_of("one") is None
    keeper.finish()
    assert written() == ["association accepted", "association released"]


def test_a_hundred_at_once_are_all_written(node: Node) -> None:
    keeper = Visits(node.ledger, "127.0.0.1:104")

    def visit(number: int) -> None:
        keeper.came(number, "MG1", "FOURVIEWS", "10.0.0.9")
        if number % 2:
            keeper.row_of(number)
        keeper.went(number, Ended("lost", "the connection broke"))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(100)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    keeper.finish()
    said = node.questions.last_events(1000)
    assert sum(one.what == "association accepted" for one in said) == 100
    assert sum(one.what == "association lost" for one in said) == 100


@pytest.mark.parametrize(
    "fault", [ValueError("no such thing"), DataError("", {}, Exception())], ids=["ours", "its"]
)
def test_a_row_that_can_never_be_written_holds_up_no_other(
    node: Node,
    written: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    write = visits.write_visits

    def unless_it_is_among_them(
        ledger: Ledger, some: Sequence[Any], *, in_doubt: bool
    ) -> list[int]:
        if any(coming.caller == "NEVER" for coming, _, _ in some):
            raise fault
        return write(ledger, some, in_doubt=in_doubt)

    monkeypatch.setattr(visits, "write_visits", unless_it_is_among_them)
    monkeypatch.setattr(visits, "RETRY_SECONDS", 0.05)
    keeper = Visits(node.ledger, "127.0.0.1:104")
    keeper.came("never", "NEVER", "FOURVIEWS", "10.0.0.9")
    for number in range(20):
        keeper.came(number, "MG1", "FOURVIEWS", "10.0.0.9")
        assert isinstance(keeper.row_of(number), int)
        keeper.went(number, Ended("released"))
    assert keeper.row_of("never") is None
    keeper.finish()
    assert written().count("association accepted") == 20
    assert written().count("association released") == 20
    assert keeper._unwritten == []


def test_what_happened_while_the_ledger_was_away_is_written_when_it_is_back(
    node: Node, written: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = visits.write_visits
    away = threading.Event()
    away.set()

    def maybe(*given: object, in_doubt: bool) -> list[int]:
        if away.is_set():
            raise OperationalError("", {}, Exception())
        return write(*given, in_doubt=in_doubt)  # type: ignore[arg-type]

    monkeypatch.setattr(visits, "write_visits", maybe)
    monkeypatch.setattr(visits, "RETRY_SECONDS", 0.05)
    keeper = Visits(node.ledger, "127.0.0.1:104")
    keeper.came("one", "MG1", "FOURVIEWS", "10.0.0.9")
    assert keeper.row_of("one") is None
    keeper.went("one", Ended("aborted", "by the sender"))
    away.clear()
    until(lambda: len(written()) == 2)
    keeper.finish()
    assert written() == ["association accepted", "association aborted"]
