"""A PostgreSQL that breaks off in the middle of a transaction: nothing is lost, nothing doubled."""

import select
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from ledger_book import Book, owing, reading, take_turn
from psycopg import Cursor, errors
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from dicom_node.auditing.verify import verify
from dicom_node.errors import NotYourTurn
from dicom_node.ledger import patience
from dicom_node.ledger.accounts import books
from dicom_node.ledger.arrivals import Coming, Going, known_image, write_visits
from dicom_node.ledger.chain import LOCK
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.ledger import Ledger, Turn
from dicom_node.ledger.outbox import record_receipt
from dicom_node.ledger.patience import AWAY
from dicom_node.ledger.tables import Association, Base, Delivery, ModelRun, Product
from dicom_node.ledger.tellings import telling
from dicom_node.life import ANALYZE, DELIVER, REPORT, State, Verb
from dicom_node.wiring import Node

AT_THE_LOCK = "pg_advisory_xact_lock"  # the last that a transaction asks for before its events


@dataclass
class Breaker:
    """Breaks the next transaction that writes an event, once."""

    engine: Engine
    way: str
    armed: bool = False
    broken: int = 0
    said: list[BaseException] = field(default_factory=list)

    def hear_at_the_end(
        self, ledger: Ledger, case_id: int, verb: Verb, left: Sequence[Base]
    ) -> Exception | None:
        """Take a turn whose last transaction breaks."""

        def work(turn: Turn) -> None:
            turn.leave(*left)
            self.armed = True

        return self.hear(lambda: take_turn(ledger, case_id, verb, work), armed=False)

    def hear(self, work: Callable[[], object], *, armed: bool = True) -> Exception | None:
        """Do something in a transaction that breaks, and return what its caller hears of it."""
        self.armed, self.said = armed, []
        heard: Exception | None = None
        try:
            work()
        except (*AWAY, NotYourTurn) as trouble:
            heard = trouble
        assert not self.armed
        if self.way != "answer lost":  # of which SQLAlchemy hears outside of any statement
            assert any(isinstance(one, KINDS[self.way]) for one in self.said)
        self.broken += 1
        return heard

    def statement(
        self, connection: Connection, cursor: Cursor, words: str, given: object, *_: object
    ) -> tuple[str, object]:
        if not (self.armed and AT_THE_LOCK in words) or self.way == "answer lost":
            return words, given
        self.armed = False
        match self.way:
            case "serialization failure":
                return "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$", {}
            case "connection killed":
                return "SELECT pg_terminate_backend(pg_backend_pid())", {}
            case "stood still for too long":
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 20")
                farewell, _, _ = select.select([_ours(connection).pgconn.socket], [], [], 60)
                assert farewell, "it stands still, and nobody minds"
            case "became a standby":
                cursor.execute("SET LOCAL transaction_read_only = on")
            case "deadlock":
                self._wait_for_us(_ours(connection))
        return words, given

    def commit(self, connection: Connection) -> None:
        """Commit, and lose the answer."""
        if self.armed and self.way == "answer lost":
            self.armed = False
            ours = _ours(connection)
            ours.execute("COMMIT")
            ours.pgconn.finish()

    def _wait_for_us(self, ours: psycopg.Connection[Any]) -> None:
        """Hold the lock that is asked for next, and wait for what we hold; then it is a knot."""
        ours.execute("SET LOCAL deadlock_timeout = 20")
        holds = threading.Event()

        def other() -> None:
            with suppress(psycopg.Error), self._outside() as outside:
                outside.execute("SET deadlock_timeout = '1min'")
                outside.execute("BEGIN")
                outside.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
                holds.set()
                outside.execute("LOCK TABLE cases, associations IN ACCESS EXCLUSIVE MODE")
                outside.execute("ROLLBACK")

        threading.Thread(target=other, daemon=True).start()
        assert holds.wait(60)
        with self._outside() as looking:
            waits, until = "SELECT count(*) FROM pg_locks WHERE NOT granted", time.monotonic() + 60
            while looking.execute(waits).fetchone() == (0,):
                assert time.monotonic() < until, "we hold nothing that it could wait for"
                time.sleep(0.01)

    @contextmanager
    def _outside(self) -> Iterator[psycopg.Connection[Any]]:
        url = self.engine.url
        with psycopg.connect(
            host=url.host, port=url.port, user=url.username, dbname=url.database, autocommit=True
        ) as outside:
            yield outside


def _ours(connection: Connection) -> psycopg.Connection[Any]:
    ours = connection.connection.dbapi_connection
    assert isinstance(ours, psycopg.Connection)
    return ours


KINDS: dict[str, type[Exception]] = {
    "deadlock": errors.DeadlockDetected,
    "serialization failure": errors.SerializationFailure,
    "connection killed": psycopg.OperationalError,
    "stood still for too long": errors.IdleInTransactionSessionTimeout,
    "became a standby": errors.ReadOnlySqlTransaction,
    "answer lost": psycopg.OperationalError,
}


@pytest.fixture(params=KINDS)
def breaking(
    request: pytest.FixtureRequest, postgres_book: Book, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Book, Breaker]]:
    """Open an engine of its own on the PostgreSQL, and have it break in one way when told to."""
    monkeypatch.setattr(patience, "AGAIN_SECONDS", 0.01)
    engine = open_engine(postgres_book.engine.url.render_as_string(hide_password=False))
    breaker = Breaker(engine, request.param)
    event.listen(engine, "before_cursor_execute", breaker.statement, retval=True)
    event.listen(engine, "commit", breaker.commit)
    event.listen(
        engine, "handle_error", lambda about: breaker.said.append(about.original_exception)
    )
    yield Book(engine), breaker
    engine.dispose()


def test_R16_a_transaction_that_breaks_off_loses_and_doubles_nothing(
    breaking: tuple[Book, Breaker], tmp_path: Path, figure: Callable[[str], None]
) -> None:
    book, breaker = breaking
    ledger = book.ledger

    def store() -> None:
        if known_image(ledger, "2.25.7.1") is None:
            book.arrive("2.25.7", sop_uid="2.25.7.1")

    # A sender hears A700, and sends again; the listener settles again a second later.
    assert isinstance(breaker.hear(store), AWAY)
    store()
    (case,) = book.questions.cases_of("2.25.7")
    assert isinstance(breaker.hear(lambda: settle(ledger, case.id)), AWAY)
    settle(ledger, case.id)
    assert book.state(case.id) == State.RECEIVED
    # A turn that nobody has begun, as far as its worker knows, is taken back.
    assert isinstance(breaker.hear(lambda: ledger._begin(case.id, ANALYZE)), AWAY)
    if book.state(case.id) == State.ANALYZING:
        assert breaker.way == "answer lost"
        book.lose(case.id)
        ledger.sweep()
    # One that ends is written down, again and again, and once.
    for verb, left in ((ANALYZE, [reading(case.id)]), (REPORT, owing(case.id, "pacs"))):
        heard = breaker.hear_at_the_end(ledger, case.id, verb, left)
        assert (heard is not None) == (breaker.way == "answer lost")
        assert book.state(case.id) == verb.after
    assert [book.count(one) for one in (ModelRun, Product, Delivery)] == [1, 1, 1]
    # What a destination has taken is sent again where that was not written down, and counted once.
    (debt,) = book.questions.debts_of(case.id)
    assert isinstance(breaker.hear(lambda: record_receipt(ledger, debt.delivery.id, 0)), AWAY)
    record_receipt(ledger, debt.delivery.id, 0)
    breaker.hear_at_the_end(ledger, case.id, DELIVER, [])
    assert book.state(case.id) == State.DELIVERED

    lines = [one.what for one in book.questions.events()]
    assert (lines.count("image received"), lines.count("delivered")) == (1, 1)
    assert book.moves(case.id).count(("REPORTING", "REPORTED")) == 1
    assert books(book.engine).contradictions == ()
    assert verify(book.engine, [], tmp_path / "none").faults == []
    count = breaker.broken
    figure(f"{breaker.way}: {count} of {count} transactions broken off, 0 lost, 0 doubled")


def test_a_notice_is_kept_whose_turn_ends_in_a_broken_transaction(
    breaking: tuple[Book, Breaker],
) -> None:
    book, breaker = breaking
    ledger = Ledger(book.engine, "teller", tells=frozenset({State.FAILED}))
    case_id = book.case_at(State.RECEIVED)
    ledger.move(case_id, State.RECEIVED, State.ANALYZING, lease="x")
    ledger.move(case_id, State.ANALYZING, State.FAILED, "test", lease="x")

    def tell() -> None:
        with telling(ledger, case_id) as turn:
            turn.leave(*owing(case_id, "pacs"))
            breaker.armed = True

    heard = breaker.hear(tell, armed=False)
    assert (heard is not None) == (breaker.way == "answer lost")
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.notice_written, case.attempts) == (State.FAILED, True, 0)
    assert (book.count(Product), book.count(Delivery)) == (1, 1)


def test_who_came_and_went_is_written_once_whatever_becomes_of_the_answer(
    breaking: tuple[Book, Breaker],
) -> None:
    book, breaker = breaking
    coming = Coming("here", "MG1", "FOURVIEWS", "10.0.0.9")
    visits = [(coming, None, None)]
    assert isinstance(breaker.hear(lambda: write_visits(book.ledger, visits)), AWAY)
    (row,) = write_visits(book.ledger, visits, in_doubt=True)
    gone = [(coming, row, Going("released")), (Coming("here", "MG2", "", "10.0.0.8"), None, None)]
    assert isinstance(breaker.hear(lambda: write_visits(book.ledger, gone)), AWAY)
    write_visits(book.ledger, gone, in_doubt=True)
    told = [(one.what, one.details["caller"]) for one in book.questions.events()]
    assert told == [
        ("association accepted", "MG1"),
        ("association released", "MG1"),
        ("association accepted", "MG2"),
    ]
    assert book.count(Association) == 2


def test_what_a_turn_leaves_takes_new_numbers_when_others_took_its_own_meanwhile(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(node.engine)
    here, there = (book.case_at(State.ANALYZED, study) for study in ("2.25.7", "2.25.8"))
    full = [OperationalError("COMMIT", (), sqlite3.OperationalError("disk is full"))]

    def commit(_: object) -> None:
        if is_ending and full:
            raise full.pop()

    def meanwhile(_: float) -> None:
        with book.ledger.writing() as session:
            session.add_all(owing(there, "pacs"))

    is_ending: list[bool] = []
    event.listen(node.engine, "commit", commit)
    monkeypatch.setattr(patience.time, "sleep", meanwhile)

    def work(turn: Turn) -> None:
        turn.leave(*owing(here, "pacs"))
        is_ending.append(True)

    take_turn(book.ledger, here, REPORT, work)
    assert book.state(here) == State.REPORTED
    assert [len(book.questions.debts_of(case_id)) for case_id in (here, there)] == [1, 1]


def settle(ledger: Ledger, case_id: int) -> None:
    with suppress(NotYourTurn):
        ledger.move(case_id, State.RECEIVING, State.RECEIVED)
