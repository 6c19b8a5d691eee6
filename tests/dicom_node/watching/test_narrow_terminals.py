"""`dicom-node status` can be read on 80 columns, and every sentence is whole in a pipe."""

from io import StringIO

import pytest
from ledger_book import Book, owing, take_turn
from rich.console import Console

from dicom_node.commands.at_hand import PlainConsole
from dicom_node.ledger.ledger import now
from dicom_node.ledger.outbox import record_loss, record_refusal
from dicom_node.ledger.roads import close_road
from dicom_node.life import REPORT, State
from dicom_node.watching.disk import Room
from dicom_node.watching.pages import status_page, story_page
from dicom_node.watching.story import standing, story
from dicom_node.wiring import Node

NARROW = 80
WHY = (
    "Lost: pacs_of_the_radiology_department: the file of the measurement_report is gone from the "
    "spool; it is made again by `dicom-node retry 12345`"
)


@pytest.fixture
def busy(node: Node) -> Book:
    """Fill a ledger with cases in every state, and with every trouble."""
    book = Book(node.engine)
    for number, state in enumerate(State):
        book.case_at(state, f"2.25.{10**37 + number}")
    for record in (record_loss, lambda *one: record_refusal(*one[:2], 0xA900, one[2])):
        case_id = book.case_at(State.ANALYZED, f"2.25.{10**37 + 100}")
        rows = owing(case_id, "pacs_of_the_radiology_department")
        take_turn(book.ledger, case_id, REPORT, lambda turn, rows=rows: turn.leave(*rows))
        (debt,) = book.questions.debts_of(case_id)
        record(book.ledger, debt.delivery.id, WHY)
        book.ledger.move(case_id, State.REPORTED, State.DELIVERING, lease="x")
        book.ledger.move(case_id, State.DELIVERING, State.FAILED, WHY, lease="x")
    close_road(book.ledger, "PACS@pacs.hospital.example:11112", "does not answer", now())
    book.ledger.record("association refused", "STRANGER_AE_TITLE at 10.0.0.7 is not known here")
    return book


def told(book: Book) -> dict[str, object]:
    seen = standing(book.questions, 20) | {"bell": "", "drift": []}
    seen["disk"] = Room(12000, 5000, 20000, 3950, 1).told()
    seen["newest"][0] |= {"read_by": "shared_trunk 1.0.0", "left_out": "I01, I13, S03"}
    return seen


def shown(book: Book, *, terminal: bool) -> str:
    said = StringIO()
    how = {"force_terminal": True, "color_system": None} if terminal else {}
    status_page(PlainConsole(file=said, width=NARROW, **how), told(book))  # type: ignore[arg-type]
    return said.getvalue()


def test_status_fits_on_eighty_columns_and_says_everything(busy: Book) -> None:
    page = shown(busy, terminal=True)
    lines = page.splitlines()
    assert max(map(len, lines)) <= NARROW
    assert "…" not in page
    rejoined = " ".join(page.split())
    assert rejoined.count(WHY) >= 3, "of the cases, and of what is lost"
    for case in busy.questions.cases(limit=20):
        (row,) = [
            line
            for line in lines
            if line.split()[:3] == [str(case.id), str(case.round), case.state]
        ]
        assert f"study {case.study_uid}" in rejoined
        assert len(row.split()) == 5
    for state, count in busy.questions.count_by_state().items():
        assert any(f"{state} {count}" in line for line in lines), "no break between the two"
    assert "reported to delivered" in page
    assert "read by shared_trunk 1.0.0" in rejoined
    assert "left out I01, I13, S03" in rejoined


def test_in_a_pipe_each_sentence_is_one_line(busy: Book) -> None:
    lines = shown(busy, terminal=False).splitlines()
    assert len([line for line in lines if line.strip() == WHY]) == 2
    assert f"cannot be sent 1 object: pacs_of_the_radiology_department: {WHY}" in lines
    assert " ".join(lines[0].split()[::2]) == " ".join(
        state for state in State if state in busy.questions.count_by_state()
    )


def test_a_story_has_the_reason_of_each_delivery_whole(node: Node, busy: Book) -> None:
    (case, *_) = busy.questions.cases((State.FAILED,))
    said = StringIO()
    story_page(Console(file=said, width=NARROW), story(busy.questions, case, node.settings))
    assert f"REFUSED: cad_sr for pacs_of_the_radiology_department: {WHY}" in said.getvalue()
