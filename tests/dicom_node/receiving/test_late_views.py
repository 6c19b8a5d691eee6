"""What becomes of images that come when a study has a result, or soon will have one."""

from datetime import timedelta

import pytest
from ledger_book import Book

from dicom_node.ledger import steering
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Case, Recall
from dicom_node.life import ANALYZE, DELIVER, REPORT, Ruling, State
from dicom_node.receiving.settle import settle
from dicom_node.settings.receiving import Receiving
from dicom_node.wiring import Node


@pytest.fixture
def book(node: Node) -> Book:
    """Open a ledger that tells of what was declined."""
    book = Book(node.engine)
    book.ledger = Ledger(node.engine, "test:1", tells=frozenset({State.DECLINED}))
    return book


def looked(book: Book, policy: str, *, later: bool = True) -> list[int]:
    """Settle what there is, with each image of long ago."""
    if later:
        with book.ledger.writing() as session:
            for arriving in book.questions.arriving():
                session.get_one(Case, arriving.case.id).last_image_at -= timedelta(hours=1)
    return settle(book.ledger, book.questions, Receiving.model_validate({"late_views": policy}))


def found(book: Book, case_id: int) -> Case:
    case = book.questions.case(case_id)
    assert case is not None
    return case


def test_a_late_view_is_read_unless_somebody_says_otherwise(book: Book) -> None:
    assert Receiving().late_views == "reprocess"
    book.case_at(State.DELIVERED)
    late = book.arrive()
    assert looked(book, "reprocess") == [late]


@pytest.mark.parametrize("state", [State.REPORTED, State.DELIVERING, State.DELIVERED])
def test_what_is_ignored_is_kept_and_the_former_result_stands(book: Book, state: State) -> None:
    first = book.case_at(state)
    late = book.arrive(view="RCC")
    assert looked(book, "ignore", later=False) == []
    assert book.state(late) == State.RECEIVING, "more of them may come"
    assert looked(book, "ignore") == []
    case = found(book, late)
    assert (case.state, case.telling) == (State.DECLINED, None)
    assert case.reason == steering.IGNORED_LATE
    assert book.state(first) == state
    assert len(book.questions.images_of(case)) == 2
    another = book.arrive(view="LMLO")
    assert (found(book, another).round, found(book, another).ruling) == (3, None)
    looked(book, "ignore")
    assert book.state(another) == State.DECLINED
    read = steering.settle_now(book.ledger, another, "ada@desk")
    assert (found(book, read).round, book.state(read)) == (4, State.RECEIVED)


def test_who_would_ignore_waits_for_the_result_that_is_to_stand(book: Book) -> None:
    first = book.case_at(State.RECEIVED)
    with book.ledger.turn(first, ANALYZE):
        late = book.arrive()
        looked(book, "ignore")
        assert book.state(late) == State.RECEIVING
    looked(book, "ignore")
    assert book.state(late) == State.RECEIVING
    with book.ledger.turn(first, REPORT):
        pass
    looked(book, "ignore")
    assert book.state(late) == State.DECLINED
    with book.ledger.turn(first, DELIVER):
        pass


@pytest.mark.parametrize("policy", ["ignore", "hold"])
@pytest.mark.parametrize("state", [State.DECLINED, State.FAILED, State.DELIVERED])
def test_where_no_result_stands_a_late_view_is_read(book: Book, policy: str, state: State) -> None:
    first = book.case_at(state)
    if state == State.DELIVERED:
        with book.ledger.writing() as session:
            recall = {"case_id": first, "code": "113037", "reason": "", "recalled_by": "ada"}
            session.add(Recall(**recall, recalled_at=found(book, first).opened_at))
    late = book.arrive()
    assert looked(book, policy) == [late]


@pytest.mark.parametrize("state", [State.ANALYZING, State.DELIVERED])
def test_what_is_held_waits_for_a_person_who_is_heard_once(book: Book, state: State) -> None:
    book.case_at(state)
    late = book.arrive()
    assert looked(book, "hold", later=False) == []
    assert (book.state(late), found(book, late).ruling) == (State.RECEIVING, Ruling.HELD)
    assert found(book, late).reason == steering.HELD_LATE
    assert looked(book, "hold") == []
    steering.release(book.ledger, late, "ada@desk")
    assert looked(book, "hold") == [late]


def test_a_late_view_that_is_held_may_be_discarded(book: Book) -> None:
    first = book.case_at(State.DELIVERED)
    late = book.arrive()
    looked(book, "hold")
    steering.discard(book.ledger, late, "ada@desk")
    assert (book.state(first), book.state(late)) == (State.DELIVERED, State.DECLINED)
    assert found(book, late).telling is None
