"""What a person may say of a round that is not read yet."""

from datetime import timedelta

import pytest
from ledger_book import STUDY, Book

from dicom_node.errors import NotYourTurn
from dicom_node.ledger import steering
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Case
from dicom_node.life import ANALYZE, Ruling, State
from dicom_node.receiving.settle import settle
from dicom_node.settings.receiving import Receiving
from dicom_node.wiring import Node

RULES = Receiving(grace_seconds=0, quiet_seconds=0.001, cap_seconds=0.001)
BY = "ada@desk"


def settled(book: Book) -> list[int]:
    return settle(book.ledger, book.questions, RULES)


def aged(book: Book, case_id: int) -> None:
    """Let the last image of a case have come long ago."""
    with book.ledger.writing() as session:
        case = session.get_one(Case, case_id)
        case.last_image_at -= timedelta(hours=1)
        case.moved_at -= timedelta(hours=1)


def found(book: Book, case_id: int) -> Case:
    case = book.questions.case(case_id)
    assert case is not None
    return case


def test_a_study_is_read_now_whatever_is_missing(book: Book) -> None:
    case_id = book.arrive(view="LCC")
    assert steering.settle_now(book.ledger, case_id, BY) == case_id
    assert book.state(case_id) == State.RECEIVED
    assert found(book, case_id).reason == "settled by ada@desk: more images are not waited for"
    assert book.ledger.sweep() == [(case_id, ANALYZE)]
    with pytest.raises(NotYourTurn, match="RECEIVED already"):
        steering.settle_now(book.ledger, case_id, BY)


@pytest.mark.parametrize("state", [State.RECEIVING, State.RECEIVED])
def test_what_is_held_takes_images_and_is_not_read_before_it_is_released(
    book: Book, state: State
) -> None:
    case_id = book.case_at(state)
    steering.hold(book.ledger, case_id, BY)
    assert book.arrive(view="RCC") == case_id
    aged(book, case_id)
    assert settled(book) == [], "not even at the cap"
    assert book.ledger.sweep() == []
    assert [one.id for one in book.questions.held()] == [case_id]
    assert found(book, case_id).reason == "held by ada@desk"
    assert book.last_event(case_id).what == "image received"
    with pytest.raises(NotYourTurn, match="held already; held by ada@desk"):
        steering.hold(book.ledger, case_id, BY)
    steering.release(book.ledger, case_id, BY)
    assert settled(book) == [case_id]
    assert book.questions.held() == []
    with pytest.raises(NotYourTurn, match="nobody holds it"):
        steering.release(book.ledger, case_id, BY)


def test_what_is_held_goes_nowhere_whoever_looked_before(book: Book) -> None:
    case_id = book.arrive()
    aged(book, case_id)
    seen = book.questions.arriving()
    steering.hold(book.ledger, case_id, BY)
    with pytest.raises(NotYourTurn):  # as a sweep would that has looked before somebody held it
        book.ledger.move(
            case_id,
            State.RECEIVING,
            State.RECEIVED,
            last_image_at=seen[0].case.last_image_at,
        )
    assert steering.settle_now(book.ledger, case_id, BY) == case_id
    assert found(book, case_id).ruling is Ruling.RELEASED


@pytest.mark.parametrize("state", [State.RECEIVING, State.RECEIVED])
def test_what_is_discarded_is_declined_and_nobody_is_told(book: Book, state: State) -> None:
    ledger = Ledger(book.engine, "test:2", tells=frozenset({State.DECLINED}))
    case_id = book.case_at(state)
    steering.discard(ledger, case_id, BY)
    case = found(book, case_id)
    assert (case.state, case.reason, case.telling) == (
        State.DECLINED,
        "discarded by ada@desk",
        None,
    )
    assert ledger.sweep() == []
    (_, last) = book.moves(case_id)[-1]
    assert last == State.DECLINED


def test_what_comes_behind_a_discarded_round_is_held(book: Book) -> None:
    first = book.arrive()
    steering.discard(book.ledger, first, BY)
    second = book.arrive(view="RCC")
    assert second != first
    assert found(book, second).ruling is Ruling.HELD
    assert "was discarded" in found(book, second).reason
    aged(book, second)
    assert settled(book) == []
    with pytest.raises(NotYourTurn, match=f"case {second} is the study's newest"):
        steering.settle_now(book.ledger, first, BY)
    assert steering.settle_now(book.ledger, second, BY) == second
    assert book.state(second) == State.RECEIVED


def test_a_discarded_study_can_be_read_after_all(book: Book) -> None:
    first = book.arrive()
    steering.discard(book.ledger, first, BY)
    second = steering.settle_now(book.ledger, first, BY)
    case = found(book, second)
    assert (case.study_uid, case.round, case.state) == (STUDY, 2, State.RECEIVED)
    assert [image.case_id for image in book.questions.images_of(case)] == [first]
    assert book.ledger.sweep() == [(second, ANALYZE)]


@pytest.mark.parametrize("state", sorted(set(State) - {State.RECEIVING, State.RECEIVED}))
def test_what_somebody_has_taken_is_past_steering(node: Node, state: State) -> None:
    book = Book(node.engine)
    case_id = book.case_at(state)
    for wish in (steering.settle_now, steering.hold, steering.discard):
        with pytest.raises(NotYourTurn, match=f"is {state}: it (has ended|is being worked on)"):
            wish(book.ledger, case_id, BY)
    assert book.state(case_id) == state
