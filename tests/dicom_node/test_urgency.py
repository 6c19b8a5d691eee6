"""Where several studies wait, the most urgent one is rung for first, and taken first."""

from typing import Any, cast

from celery import Task
from ledger_book import Book

from dicom_node.errors import Busy
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Case
from dicom_node.ledger.urgency import goes_before
from dicom_node.life import ANALYZE, REPORT, Priority, State, Verb
from dicom_node.pulse import Pulse
from dicom_node.wiring import Node
from dicom_node.worker import _task


class Worker:
    """A worker's answer to rings, with turns in which nothing is done."""

    def __init__(self, book: Book, *, busy: tuple[int, ...] = ()) -> None:
        self.book = book
        self.busy = busy
        self.taken: list[int] = []
        self.rung: list[tuple[int, Verb]] = []
        home: dict[str, Any] = {
            "turns": {ANALYZE: self.turn},
            "bell": self,
            "goes_before": lambda *asked: goes_before(book.engine, *asked),
        }
        self._answer = _task(ANALYZE, home, Pulse(place=-1))  # nobody watches

    def turn(self, case_id: int) -> None:
        with self.book.ledger.turn(case_id, ANALYZE):
            self.taken.append(case_id)
            if case_id in self.busy:
                raise Busy("not now", now())

    def ring(self, case_id: int, verb: Verb) -> None:
        self.rung.append((case_id, verb))

    def hears(self, case_id: object) -> list[int]:
        """Answer a ring, and say whose turn was taken."""
        self.taken.clear()
        self._answer(cast("Task", None), cast("int", case_id))
        return list(self.taken)


def waiting(book: Book, number: int, priority: Priority = Priority.MEDIUM) -> int:
    case_id = book.case_at(State.RECEIVED, f"2.25.{number}")
    with book.ledger.writing() as session:
        session.get_one(Case, case_id).priority = priority
    return case_id


def test_the_most_urgent_is_rung_for_first(node: Node) -> None:
    book = Book(node.engine)
    low, first, second = waiting(book, 1, Priority.LOW), waiting(book, 2), waiting(book, 3)
    high = waiting(book, 4, Priority.HIGH)
    assert book.ledger.sweep() == [(one, ANALYZE) for one in (high, first, second, low)]


def test_whoever_is_rung_for_another_takes_the_urgent_one_first(node: Node) -> None:
    book = Book(node.engine)
    worker = Worker(book)
    low, usual, other = waiting(book, 1, Priority.LOW), waiting(book, 2), waiting(book, 3)
    high = waiting(book, 4, Priority.HIGH)
    assert worker.hears(usual) == [high, usual]
    assert worker.rung == [(high, REPORT), (usual, REPORT)]
    assert worker.hears(low) == [other, low]
    assert worker.hears(high) == []


def test_an_urgent_one_that_has_to_wait_keeps_nobody_waiting(node: Node) -> None:
    book = Book(node.engine)
    usual, high = waiting(book, 1), waiting(book, 2, Priority.HIGH)
    assert Worker(book, busy=(high,)).hears(usual) == [high, usual]
    assert book.state(high) == State.RECEIVED


def test_what_is_no_case_is_no_reason_to_take_another(node: Node) -> None:
    book = Book(node.engine)
    worker = Worker(book)
    waiting(book, 1, Priority.HIGH)
    for ring in ("x", None, 4711, 1 << 80):
        assert worker.hears(ring) == []
