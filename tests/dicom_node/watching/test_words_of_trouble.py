"""`dicom-node status` has a word for each trouble that somebody has to see to."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from ledger_book import Book, owing, take_turn
from rich.console import Console

from dicom_node.ledger.ledger import now
from dicom_node.ledger.outbox import record_loss, record_receipt, record_refusal
from dicom_node.ledger.roads import close_road
from dicom_node.ledger.tables import Delivery
from dicom_node.life import REPORT, Commit, State
from dicom_node.watching.pages import status_page
from dicom_node.watching.story import standing
from dicom_node.wiring import Node


def owed(book: Book) -> int:
    """Owe an object to a destination, and return the number of the debt."""
    case_id = book.case_at(State.ANALYZED)
    take_turn(book.ledger, case_id, REPORT, lambda turn: turn.leave(*owing(case_id, "pacs")))
    (debt,) = book.questions.debts_of(case_id)
    return debt.delivery.id


def refused(book: Book) -> None:
    record_refusal(book.ledger, owed(book), 0xA900, "no such thing here")


def lost(book: Book) -> None:
    record_loss(book.ledger, owed(book), "the file of the cad_sr is gone from the spool")


def not_committed(book: Book) -> None:
    number = owed(book)
    record_receipt(book.ledger, number, 0, now())
    with book.ledger.writing() as session:
        row = session.get_one(Delivery, number)
        row.commitment, row.last_error = Commit.REFUSED, "does not commit the cad_sr (reason 0122)"


def unreachable(book: Book) -> None:
    close_road(book.ledger, "PACS@10.0.0.9:104", "does not answer", now() + timedelta(hours=1))


def turned_away(book: Book) -> None:
    book.ledger.record("association refused", "STRANGER at 10.0.0.7 is not known")


def image_refused(book: Book) -> None:
    book.ledger.record("image refused", "A700: less than 500 MB are free")


def tampered_with(book: Book) -> None:
    book.ledger.record("trail broken", "the last checkpoint signed something else")


@pytest.mark.parametrize(
    ("trouble", "word"),
    [
        (owed, "owed to pacs: 1 object"),
        (refused, "will not take 1 object: pacs: no such thing here"),
        (lost, "cannot be sent 1 object: pacs: the file of the cad_sr is gone from the spool"),
        (not_committed, "does not promise to keep 1 object: pacs: does not commit the cad_sr"),
        (unreachable, "cannot reach PACS@10.0.0.9:104: does not answer; next try "),
        (turned_away, "association refused: STRANGER at 10.0.0.7 is not known"),
        (image_refused, "image refused: A700: less than 500 MB are free"),
        (tampered_with, "the audit trail was tampered with "),
    ],
)
def test_each_trouble_has_a_word(node: Node, trouble: Callable[[Book], object], word: str) -> None:
    assert word not in page(node)
    trouble(Book(node.engine))
    assert word in page(node)


def test_a_bell_that_drops_rings_has_a_word(node: Node) -> None:
    assert "the bell: it [drops] rings" in page(node, bell="it [drops] rings")
    assert "the bell" not in page(node)


def page(node: Node, bell: str = "") -> str:
    said = StringIO()
    status_page(Console(file=said, width=300), standing(node.questions, 5) | {"bell": bell})
    return said.getvalue()
