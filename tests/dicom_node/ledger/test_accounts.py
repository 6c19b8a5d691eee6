"""Sums over the whole ledger, on both databases."""

from collections.abc import Callable

from ledger_book import Book

from dicom_node.ledger.accounts import books
from dicom_node.life import State


def test_R21_cases_in_every_state_add_up(book: Book, figure: Callable[[str], None]) -> None:
    for number, state in enumerate(sorted(State), start=1):
        book.case_at(state, f"2.25.{number}")
    closed = books(book.engine)
    images, cases, _ = closed.accounts
    assert closed.contradictions == ()
    assert images.total == cases.total == len(State)
    assert cases.parts == {"delivered": 1, "failed": 2, "declined": 1, "pending": 7}
    assert images.parts == cases.parts
    parts = " + ".join(f"{count} {word}" for word, count in images.parts.items())
    figure(f"{images.total} received = {parts}")
