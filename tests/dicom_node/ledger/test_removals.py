"""Which studies are done with, so that their images may go, on both databases."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from ledger_book import Book, owing

from dicom_node.ledger.ledger import now
from dicom_node.ledger.removals import done_with, missing, purge_study, to_remove, told
from dicom_node.ledger.shadows import Device, to_read
from dicom_node.ledger.tables import Base, Case, Delivery, Instance
from dicom_node.life import Commit, Receipt, State

STUDY = "2.25.7"
SOON = timedelta(seconds=1)


def commitment(case_id: int) -> list[Base]:
    rows = owing(case_id, "pacs")
    assert isinstance(rows[1], Delivery)
    rows[1].receipt, rows[1].commitment = Receipt.DELIVERED, Commit.ASKED
    return rows


LEFT_TO_DO: dict[str, Callable[[int], list[Base]]] = {
    "an object is owed": lambda case_id: owing(case_id, "pacs"),
    "a commitment is waited for": commitment,
    "somebody has to read it along": lambda case_id: [
        to_read(case_id, Device("b", "1", "d", "o"), now())
    ],
}


@pytest.mark.parametrize("what", LEFT_TO_DO)
def test_a_study_with_something_left_to_do_keeps_its_images(book: Book, what: str) -> None:
    case_id = book.case_at(State.DELIVERED, STUDY)
    assert list(done_with(book.questions, now() + SOON, 9)) == [STUDY]
    with book.ledger.writing() as session:
        session.add_all(LEFT_TO_DO[what](case_id))
    assert list(done_with(book.questions, now() + SOON, 9)) == []
    assert purge_study(book.ledger, STUDY, now() + SOON, "test") == 0


def test_an_image_that_comes_while_those_of_its_study_go_stays(book: Book) -> None:
    counts = []
    for number in range(10):
        study_uid = f"2.25.{number}"
        first = book.case_at(State.DELIVERED, study_uid)
        with ThreadPoolExecutor(2) as pool:
            gone = pool.submit(purge_study, book.ledger, study_uid, now() + SOON, "test")
            late = pool.submit(book.arrive, study_uid)
        counts.append(gone.result())
        (image,) = [one for one in images(book, late.result()) if one.case_id != first]
        assert image.purged_at is None
        assert missing(book.questions, case(book, late.result())) == (told(1) if counts[-1] else "")
    assert set(counts) <= {0, 1}


def case(book: Book, case_id: int) -> Case:
    found = book.questions.case(case_id)
    assert found is not None
    return found


def images(book: Book, case_id: int) -> Sequence[Instance]:
    return book.questions.images_of(case(book, case_id))


def test_only_studies_at_their_end_are_done_with(book: Book) -> None:
    cases = {state: book.case_at(state, f"2.25.{state}") for state in State}
    ripe = done_with(book.questions, now() + SOON, 99)
    assert sorted(ripe) == ["2.25.DECLINED", "2.25.DELIVERED"]
    assert done_with(book.questions, now() - timedelta(days=1), 99) == [], "not that long ago"
    # A notice is to be written yet; and who FAILED waits for help, or for a later round.
    with book.ledger.writing() as session:
        session.get_one(Case, cases[State.DECLINED]).telling = State.DECLINED
    assert list(done_with(book.questions, now() + SOON, 99)) == ["2.25.DELIVERED"]
    book.case_at(State.DELIVERED, "2.25.FAILED")
    assert "2.25.FAILED" in done_with(book.questions, now() + SOON, 99)
    book.arrive("2.25.DELIVERED")
    assert list(done_with(book.questions, now() + SOON, 99)) == ["2.25.FAILED"]
    assert purge_study(book.ledger, "2.25.DELIVERED", now() + SOON, "test") == 0, "one came late"
    assert purge_study(book.ledger, "2.25.FAILED", now() + SOON, "test") == 2
    assert purge_study(book.ledger, "2.25.FAILED", now() + SOON, "test") == 0, "by another one"
    assert len(to_remove(book.questions, 9)) == 2
