"""Images find the round they belong to, however many come at once."""

import threading
from collections.abc import Callable

import pytest
from ledger_book import Book, visit
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dicom_node.ledger.arrivals import close_left_open, known_image
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import now
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.tables import Association, Case, Event, Instance, Product
from dicom_node.life import State

STUDY = "2.25.100"
SENDERS = 8


def at_once(*work: Callable[[], object]) -> list[BaseException]:
    """Do several things in threads that start together, and return what went wrong."""
    start = threading.Barrier(len(work))
    wrong: list[BaseException] = []

    def begin(one: Callable[[], object]) -> None:
        start.wait()
        try:
            one()
        except Exception as fault:  # noqa: BLE001 - the test looks at it
            wrong.append(fault)

    threads = [threading.Thread(target=begin, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_the_first_image_opens_a_round_and_the_others_join_it(book: Book) -> None:
    cases = {book.arrive(view=view) for view in ("LCC", "RCC", "LMLO", "RMLO")}
    assert len(cases) == 1
    case = book.questions.case(cases.pop())
    assert case is not None
    assert (case.study_uid, case.round, case.state) == (STUDY, 1, State.RECEIVING)
    (arriving,) = book.questions.arriving()
    assert arriving.views == {"LCC", "RCC", "LMLO", "RMLO"}


def test_another_study_is_another_case(book: Book) -> None:
    assert book.arrive("2.25.1") != book.arrive("2.25.2")


def test_a_late_image_joins_a_round_that_nobody_holds(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    assert book.arrive() == case_id
    assert book.state(case_id) == State.RECEIVING
    assert book.moves(case_id)[-1] == ("RECEIVED", "RECEIVING")
    assert book.count(Case) == 1


@pytest.mark.parametrize("state", [one for one in State if not one.startswith("RECEIV")])
def test_a_late_image_opens_the_next_round_once_the_first_was_read(
    book: Book, state: State
) -> None:
    first = book.case_at(state)
    second = book.arrive(view="RMLO")
    assert book.arrive(view="LMLO") == second != first
    assert book.state(first) == state
    case = book.questions.case(second)
    assert case is not None
    assert (case.round, case.state) == (2, State.RECEIVING)
    assert [image.view for image in book.questions.images_of(case)] == ["LCC", "RMLO", "LMLO"]
    former = book.questions.case(first)
    assert former is not None
    assert [image.view for image in book.questions.images_of(former)] == ["LCC"]
    assert book.questions.arriving()[0].views == {"LCC", "RMLO", "LMLO"}


def test_a_round_knows_what_an_earlier_one_made(book: Book) -> None:
    first = book.case_at(State.DELIVERED)
    with book.ledger.writing() as session:
        for kind in ("cad_sr", "segmentation"):
            session.add(
                Product(
                    case_id=first,
                    kind=kind,
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    sop_class_uid="1.2",
                    sop_uid=f"2.25.{len(kind)}",
                    series_uid="2.25.4",
                    size_bytes=1,
                    sha256="0",
                    path="p",
                    made_at=now(),
                )
            )
    second = book.questions.case(book.arrive())
    assert second is not None
    (former,) = book.questions.predecessors_of(second, "cad_sr")
    assert former.sop_uid == "2.25.6"
    assert book.questions.predecessors_of(second, "measurement_report") == []


def test_an_image_has_one_row(book: Book) -> None:
    book.arrive(sop_uid="2.25.7")
    known = known_image(book.ledger, "2.25.7")
    assert known is not None
    assert known[1] == "0" * 64
    assert known_image(book.ledger, "2.25.8") is None
    with pytest.raises(IntegrityError):
        book.arrive(sop_uid="2.25.7")
    with pytest.raises(IntegrityError):
        book.arrive("2.25.200", sop_uid="2.25.7")
    assert book.count(Instance) == 1
    assert book.count(Case) == 1, "a study without an image is no case"


def test_images_of_a_new_study_that_come_at_once_make_one_case(book: Book) -> None:
    for number in range(5):
        study = f"2.25.{number}"
        assert at_once(*[lambda study=study: book.arrive(study)] * SENDERS) == []  # type: ignore[misc]
        (case,) = book.questions.cases_of(study)
        assert len(book.questions.images_of(case)) == SENDERS


def test_late_images_that_come_at_once_make_one_further_round(book: Book) -> None:
    for number in range(5):
        study = f"2.25.{number}"
        book.case_at(State.DELIVERED, study)
        assert at_once(*[lambda study=study: book.arrive(study)] * SENDERS) == []  # type: ignore[misc]
        assert [case.round for case in book.questions.cases_of(study)] == [1, 2]


def test_of_many_who_read_a_study_again_at_once_one_opens_a_round(book: Book) -> None:
    for number in range(5):
        study = f"2.25.{number}"
        case_id = book.case_at(State.DELIVERED, study)
        wrong = at_once(*[lambda case_id=case_id: read_again(book.ledger, case_id)] * SENDERS)  # type: ignore[misc]
        assert [type(fault).__name__ for fault in wrong] == ["NotYourTurn"] * (SENDERS - 1)
        assert [case.round for case in book.questions.cases_of(study)] == [1, 2]


def test_a_late_image_and_a_worker_that_takes_the_case_agree_on_its_round(book: Book) -> None:
    for number in range(10):
        study = f"2.25.{number}"
        case_id = book.case_at(State.RECEIVED, study)

        def take(case_id: int = case_id) -> None:
            book.ledger.move(case_id, State.RECEIVED, State.ANALYZING, lease="x")

        wrong = at_once(take, lambda study=study: book.arrive(study))  # type: ignore[misc]
        cases = book.questions.cases_of(study)
        taken = book.state(case_id) == State.ANALYZING
        assert [type(fault).__name__ for fault in wrong] == ([] if taken else ["NotYourTurn"])
        assert len(cases) == (2 if taken else 1)
        assert len(book.questions.images_of(cases[-1])) == 2


def test_a_sender_is_connected_until_its_association_is_closed(book: Book) -> None:
    row = visit(book.ledger, "127.0.0.1:104")
    case_id = book.arrive()
    with book.ledger.writing() as session:
        session.get_one(Instance, 1).association_id = row
    (arriving,) = book.questions.arriving()
    assert arriving.case.id == case_id
    assert arriving.sender_is_connected
    visit(book.ledger, "127.0.0.1:104", row, "released")
    assert not book.questions.arriving()[0].sender_is_connected
    told = [(event.what, event.details.get("caller")) for event in book.questions.last_events(10)]
    assert ("association accepted", "MG1") in told
    assert told[-1] == ("association released", "MG1")


def test_a_listener_that_starts_again_closes_only_its_own_associations(book: Book) -> None:
    for listener in ("127.0.0.1:104", "127.0.0.1:11112"):
        visit(book.ledger, listener)
    close_left_open(book.ledger, "127.0.0.1:104")
    with Session(book.engine) as session:
        closed = {row.listener: row.closed_at for row in session.scalars(select(Association))}
    assert closed["127.0.0.1:104"] is not None
    assert closed["127.0.0.1:11112"] is None
    close_left_open(book.ledger, "127.0.0.1:104")
    said = [event for event in book.questions.last_events(10) if event.what == "association lost"]
    assert [event.details["caller"] for event in said] == ["MG1"], "and says so, once"
    assert said[0].sentence == "the listener ended before it did"


def test_a_listener_alone_with_its_ledger_closes_whatever_was_left_open_there(book: Book) -> None:
    for listener in ("0.0.0.0:104@4f2a", "0.0.0.0:11112@4f2a"):
        visit(book.ledger, listener)
    close_left_open(book.ledger, "0.0.0.0:104@77c1", alone=True)
    with Session(book.engine) as session:
        closed = [row.closed_at is not None for row in session.scalars(select(Association))]
    # A PostgreSQL may have other machines, whose listeners live.
    assert closed == [book.engine.dialect.name == "sqlite"] * 2


def test_times_come_back_as_they_went_in_with_their_zone(book: Book) -> None:
    before = by_the_clock()
    book.arrive()
    at = book.questions.last_image_at()
    assert at is not None
    assert at.utcoffset() is not None
    assert before <= at <= by_the_clock()
    with Session(book.engine) as session:
        assert all(before <= event.at <= by_the_clock() for event in session.scalars(select(Event)))
