"""A database that is away, mute, crowded or in a knot: everybody hears of it within seconds."""

import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
from ledger_book import Book, reading, take_turn, visit
from postgres_server import PostgresServer
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from tcp_proxy import TcpProxy, tcp_proxy

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.arrivals import known_image
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.ledger import Turn
from dicom_node.ledger.patience import left, within
from dicom_node.ledger.refuge import Refuge
from dicom_node.ledger.tables import Case, ModelRun
from dicom_node.ledger.tellings import telling
from dicom_node.life import ANALYZE, State
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate

ANSWERED_SECONDS, BACK_SECONDS = 5.0, 10.0
BUSY = 3  # so much longer may it take in `make test`, beside other tests on a busy machine


@pytest.fixture
def behind(postgres: PostgresServer) -> Iterator[tuple[Book, TcpProxy]]:
    """Open a ledger behind a proxy."""
    url = postgres.create_database(f"away_{uuid.uuid4().hex}")
    node = Node(Settings.model_validate({"node": {"database": url}}))
    migrate(node)
    node.engine.dispose()
    with tcp_proxy(postgres.port) as proxy:
        engine = open_engine(str(make_url(url).set(port=proxy.port)))
        yield Book(engine), proxy
        engine.dispose()


def took(work: Callable[[], object]) -> float:
    """Measure how long it takes until something fails."""
    began = time.monotonic()
    with pytest.raises(SQLAlchemyError):
        work()
    return time.monotonic() - began


def store(book: Book) -> None:
    """Do with the ledger what a C-STORE does, in its time."""
    with within(3.0):
        known_image(book.ledger, "2.25.1")
        book.arrive()


def back_after(book: Book) -> float:
    began = time.monotonic()
    while True:
        try:
            store(book)
        except SQLAlchemyError:
            assert time.monotonic() - began < 60
            time.sleep(0.1)
        else:
            return time.monotonic() - began


@pytest.mark.parametrize("way", ["black hole", "refused"])
def test_R16_a_database_that_is_away_is_noticed_and_found_again(
    behind: tuple[Book, TcpProxy],
    way: str,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    book, proxy = behind
    for _ in range(3):
        store(book)
    proxy.set(way)  # type: ignore[arg-type]
    answers = [took(lambda: store(book)) for _ in range(3)]
    proxy.set("open")
    back = back_after(book)
    figure(f"{way}: told within {max(answers):.1f} s, back after {back:.1f} s")
    assert max(answers) < ANSWERED_SECONDS * at_length(BUSY, 1)
    assert back < BACK_SECONDS * at_length(BUSY, 1)


def test_senders_that_never_stop_asking_do_not_keep_it_away(
    behind: tuple[Book, TcpProxy],
) -> None:
    book, proxy = behind
    store(book)
    proxy.set("black hole")
    took(lambda: store(book))
    proxy.set("open")
    began, stop = time.monotonic(), threading.Event()

    def care() -> None:
        while not stop.wait(0.5):
            try:
                book.questions.arriving()
            except SQLAlchemyError:
                continue

    carer = threading.Thread(target=care)
    carer.start()
    try:
        while time.monotonic() - began < 60:
            try:
                store(book)
            except SQLAlchemyError:
                time.sleep(0.02)
            else:
                break
        else:
            pytest.fail("nobody got through within a minute")
    finally:
        stop.set()
        carer.join()


def test_twenty_senders_in_a_black_hole_wait_side_by_side(behind: tuple[Book, TcpProxy]) -> None:
    book, proxy = behind
    store(book)
    proxy.set("black hole")
    waited: list[float] = []

    def send() -> None:
        began = time.monotonic()
        with pytest.raises(SQLAlchemyError):
            store(book)
        with pytest.raises(SQLAlchemyError):
            book.ledger.record("image refused", "A700")
        waited.append(time.monotonic() - began)

    senders = [threading.Thread(target=send) for _ in range(20)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()
    assert len(waited) == 20
    assert max(waited) < 2 * ANSWERED_SECONDS * BUSY, "one after the other it is minutes"


def test_a_line_that_is_slow_everywhere_is_no_reason_to_wait_longer(
    behind: tuple[Book, TcpProxy],
) -> None:
    book, proxy = behind
    store(book)
    proxy.delay_seconds = 0.7  # for each statement, of which there are many
    assert took(lambda: store(book)) < ANSWERED_SECONDS * BUSY


def test_R16_a_crowded_server_is_answered_for_at_once(
    postgres: PostgresServer, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    name = f"crowded_{uuid.uuid4().hex}"
    url = postgres.create_database(name)
    node = Node(Settings.model_validate({"node": {"database": url}}))
    migrate(node)
    node.engine.dispose()
    with psycopg.connect(
        host="127.0.0.1", port=postgres.port, user="postgres", autocommit=True
    ) as admin:
        admin.execute("DROP ROLE IF EXISTS crowd")
        admin.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 1")
        admin.execute(f'GRANT ALL ON DATABASE "{name}" TO crowd')
        with psycopg.connect(
            host="127.0.0.1", port=postgres.port, user="postgres", dbname=name, autocommit=True
        ) as inside:
            inside.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd")
            inside.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO crowd")
        book = Book(open_engine(str(make_url(url).set(username="crowd"))))
        with psycopg.connect(
            host="127.0.0.1", port=postgres.port, user="crowd", dbname=name
        ):  # the one place that there is
            told = took(lambda: store(book))
        back = back_after(book)
        book.engine.dispose()
    figure(f"too many connections: told within {told:.1f} s, back after {back:.1f} s")
    assert told < ANSWERED_SECONDS * at_length(BUSY, 1)
    assert back < BACK_SECONDS * at_length(BUSY, 1)


def test_a_lock_that_another_holds_is_not_waited_for(behind: tuple[Book, TcpProxy]) -> None:
    book, _ = behind
    case_id = book.arrive("2.25.7")
    with book.engine.begin() as other:
        other.execute(text("SELECT * FROM cases WHERE id = :id FOR UPDATE"), {"id": case_id})

        def late() -> None:
            with within(3.0):
                book.arrive("2.25.7")

        assert took(late) < ANSWERED_SECONDS * BUSY
    book.arrive("2.25.7")


def test_an_sqlite_that_another_program_holds_is_not_waited_for(node: Node) -> None:
    book = Book(node.engine)
    store(book)
    association = visit(book.ledger, "here")
    holder = sqlite3.connect(node.settings.data / "ledger.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    def one_image() -> None:
        began = time.monotonic()
        for work in (lambda: store(book), lambda: book.ledger.record("image refused", "A700")):
            with pytest.raises(OperationalError):
                work()
        assert time.monotonic() - began < ANSWERED_SECONDS * BUSY
        raise OperationalError("", (), Exception())

    try:
        assert took(one_image) < ANSWERED_SECONDS * BUSY
        waited = took(lambda: visit(book.ledger, "here", association, "lost"))
        assert waited < ANSWERED_SECONDS * BUSY
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert back_after(book) < BACK_SECONDS * BUSY


def test_writers_of_one_process_take_turns(node: Node) -> None:
    written, overtaken, over = list[int](), list[int](), time.monotonic() + 3.0

    def write(number: int) -> None:
        while time.monotonic() < over:
            before = len(written)
            with within(60.0), node.ledger.writing() as session:
                session.connection()  # from now on it is this one that writes
                overtaken.append(len(written) - before)
                time.sleep(0.02)  # as long as a commit takes
                written.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert set(written) == set(range(8))
    assert max(overtaken) <= 40, "each waits for seven; without a line a hundred go first"


def test_who_waited_long_while_others_came_through_met_no_database_that_is_away() -> None:
    def trouble() -> Exception:
        return OperationalError("", (), Exception())

    refuge = Refuge(trouble, OperationalError, 0.05)

    def starve(*, beside_others: bool) -> None:
        with refuge.trying():
            time.sleep(0.1)
            if beside_others:
                with refuge.trying():
                    pass
            raise trouble()

    with pytest.raises(OperationalError):
        starve(beside_others=True)
    with within(60.0):
        refuge.give_way()
        with pytest.raises(OperationalError):
            starve(beside_others=False)
        with pytest.raises(OperationalError):
            refuge.give_way()


def test_a_deadline_inside_another_is_never_longer() -> None:
    assert left(7.0) == 7.0
    with within(2.0):
        assert left(7.0) <= 2.0
        with within(60.0):
            assert left(7.0) <= 2.0
        with within(0.0):
            assert left(7.0) == pytest.approx(0.01)
    assert left(7.0) == 7.0


def test_what_a_worker_has_made_waits_for_the_database(behind: tuple[Book, TcpProxy]) -> None:
    book, proxy = behind
    case_id = book.case_at(State.RECEIVED)
    with book.ledger.turn(case_id, ANALYZE) as turn:
        turn.leave(reading(case_id))
        proxy.set("refused")
        threading.Timer(3.0, proxy.set, ("open",)).start()
    assert book.state(case_id) == State.ANALYZED
    assert book.count(ModelRun) == 1


def test_a_notice_that_was_written_waits_for_the_database(behind: tuple[Book, TcpProxy]) -> None:
    book, proxy = behind
    case_id = book.case_at(State.FAILED)
    with book.ledger.writing() as session:
        session.get_one(Case, case_id).telling = State.FAILED
    with telling(book.ledger, case_id) as turn:
        turn.leave(reading(case_id))
        proxy.set("refused")
        threading.Timer(1.0, proxy.set, ("open",)).start()
    assert book.state(case_id) == State.FAILED
    assert book.count(ModelRun) == 1


def test_a_worker_whose_case_was_taken_meanwhile_leaves_nothing(
    behind: tuple[Book, TcpProxy], postgres: PostgresServer
) -> None:
    book, proxy = behind
    direct = open_engine(str(book.engine.url.set(port=postgres.port)))
    other = Book(direct)
    case_id = book.case_at(State.RECEIVED)

    def work(turn: Turn) -> None:
        turn.leave(reading(case_id))
        proxy.set("black hole")
        other.lose(case_id)
        assert other.ledger.sweep() == [(case_id, ANALYZE)]
        threading.Timer(3.0, proxy.set, ("open",), {"cut": True}).start()

    with pytest.raises(NotYourTurn):
        take_turn(book.ledger, case_id, ANALYZE, work)
    assert other.state(case_id) == State.RECEIVED
    assert other.count(ModelRun) == 0
    direct.dispose()


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to(postgres: PostgresServer) -> None:
    url = postgres.create_database(f"hasty_{uuid.uuid4().hex}")
    engine = open_engine(url)
    with engine.begin() as connection:
        name = make_url(url).database
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
    engine.dispose()
    with engine.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    engine.dispose()
