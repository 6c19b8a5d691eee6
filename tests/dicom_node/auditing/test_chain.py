"""Events are chained as they are written, by many writers at once, and nobody may change them."""

import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from alembic import command
from ledger_book import Book
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dicom_node.auditing.checkpoints import checkpoints_path, last_line, lines_of, sign_on
from dicom_node.auditing.keeping import CHANGED, OLDER, Keeper, signing
from dicom_node.auditing.signing import key_path, own_public_key, signer
from dicom_node.auditing.verify import Verified, verify
from dicom_node.errors import Misconfigured
from dicom_node.ledger.tables import Case
from dicom_node.settings.audit import Audit
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, _alembic, migrate

Figure = Callable[[str], None]
Length = Callable[[int, int], int]


def verified(node: Node) -> Verified:
    return verify(node.engine, [signer(node.settings).public], checkpoints_path(node.settings))


def test_A2_many_writers_make_one_chain(kept: Node, at_length: Length, figure: Figure) -> None:
    writers, each, faults = 8, at_length(20, 200), list[Exception]()

    def write(writer: int) -> None:
        book = Book(kept.engine)
        try:
            for number in range(each):
                if number % 5:
                    book.ledger.record("tested", "", writer=writer, number=number)
                else:
                    book.arrive(f"2.25.{1000 * writer + number}")
        except Exception as fault:  # noqa: BLE001 - told by the test
            faults.append(fault)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    assert faults == []
    with signing(kept.ledger, kept.settings):
        pass
    found = verified(kept)
    assert found.faults == []
    wanted = writers * each + writers * len(range(0, each, 5)) + 1  # an image opens a round, too
    assert found.events == wanted
    with kept.engine.connect() as connection:
        numbers = connection.execute(text("SELECT id FROM events ORDER BY id")).scalars().all()
    assert numbers == list(range(1, wanted + 1)), "no gaps, whoever wrote"
    figure(f"{kept.engine.dialect.name}: {writers} writers, {wanted / seconds:.0f} events/s, whole")


def test_what_is_undone_is_not_in_the_trail(kept: Node) -> None:
    ledger = kept.ledger
    with ledger.writing() as session:
        ledger.note(session, "first")
        with suppress(RuntimeError), session.begin_nested():
            ledger.note(session, "undone")
            raise RuntimeError
        with session.begin_nested():
            ledger.note(session, "second")
    with suppress(RuntimeError), ledger.writing() as session:
        ledger.note(session, "undone")
        raise RuntimeError
    assert [event.what for event in kept.questions.events()] == ["first", "second"]


def test_two_who_need_each_others_rows_do_not_wait_for_the_chain(on_postgres: Node) -> None:
    """An event that is noted first is written last: the chain is locked behind every row."""
    first, second = (Book(on_postgres.engine).arrive(f"2.25.{number}") for number in (1, 2))
    noted, done = threading.Event(), list[int]()

    def other() -> None:
        with on_postgres.ledger.writing() as session:
            session.get_one(Case, second, with_for_update=True)
            noted.wait(60)
            on_postgres.ledger.note(session, "other")
        done.append(second)

    thread = threading.Thread(target=other)
    thread.start()
    with on_postgres.ledger.writing() as session:
        session.get_one(Case, first, with_for_update=True)
        on_postgres.ledger.note(session, "one")
        session.flush()
        noted.set()
        thread.join(60)
        assert done == [second], "the other transaction has ended, and this one holds its note"
    assert [event.what for event in on_postgres.questions.events()][-2:] == ["other", "one"]


@pytest.mark.parametrize("table", ["events", "checkpoints"])
@pytest.mark.parametrize("deed", ["UPDATE {} SET at = at", "DELETE FROM {}", "TRUNCATE {}"])
def test_A2_the_database_refuses_to_rewrite_history(
    kept: Node, table: str, deed: str, figure: Figure
) -> None:
    kept.ledger.record("tested", "")
    sign_on(kept.ledger, signer(kept.settings), Audit(), at_once=True)
    if "TRUNCATE" in deed and kept.engine.dialect.name == "sqlite":
        deed = "DELETE FROM {} WHERE true"  # what SQLite has in its place
    with pytest.raises(DBAPIError, match="not rewritten"), kept.engine.begin() as connection:
        connection.execute(text(deed.format(table)))
    assert verified(kept).events == 1
    figure("update, delete and truncate refused by triggers on both databases")


def test_a_ledger_of_before_is_chained_as_it_is_found(kept: Node) -> None:
    command.downgrade(_alembic(kept), "0008")
    columns = "(id, at, actor, what, sentence, details)"
    with kept.engine.begin() as connection:
        for number in (1, 2, 5, 9):  # numbers that PostgreSQL gave out and took back
            connection.execute(
                text(
                    f"INSERT INTO events {columns} VALUES "
                    f"({number}, CURRENT_TIMESTAMP, 'old', 'tested', 'Größe', '{{}}')"
                )
            )
    migrate(kept)
    kept.ledger.record("tested", "")
    with signing(kept.ledger, kept.settings):
        pass
    found = verified(kept)
    assert found.faults == []
    assert found.events == 6


def test_checkpoints_come_with_the_number_of_events_with_time_and_with_quiet(node: Node) -> None:
    key = signer(node.settings)
    often = Audit(checkpoint_events=3)
    assert not sign_on(node.ledger, key, often)
    node.ledger.record("tested", "")
    assert not sign_on(node.ledger, key, often), "more may come at once"
    node.ledger.record("tested", "")
    node.ledger.record("tested", "")
    assert sign_on(node.ledger, key, often)
    assert not sign_on(node.ledger, key, often), "nothing new"
    node.ledger.record("tested", "")
    assert sign_on(node.ledger, key, Audit(checkpoint_seconds=0.001))
    node.ledger.record("tested", "")
    time.sleep(2.1)
    assert sign_on(node.ledger, key, Audit())


def test_the_key_is_made_once_and_for_nobody_else_to_read(node: Node) -> None:
    assert own_public_key(node.settings) is None
    made = signer(node.settings)
    assert stat.S_IMODE(key_path(node.settings).stat().st_mode) == 0o600
    again = signer(node.settings)
    assert again.public.words == made.public.words
    pem = key_path(node.settings).read_text()
    given = Settings.model_validate({"node": {"data": "/nowhere"}, "audit": {"key": pem}})
    assert signer(given).public.words == made.public.words
    key_path(node.settings).chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        signer(node.settings)
    with pytest.raises(Misconfigured, match=r"audit\.key: holds no Ed25519"):
        signer(Settings.model_validate({"audit": {"key": "rosebud"}}))


def test_a_key_that_another_takes_the_place_of_stands_in_the_trail(node: Node) -> None:
    def keys() -> list[str]:
        return [one.sentence for one in node.questions.events() if one.what == "key made"]

    first = signer(node.settings).public.words  # as `audit key` makes it, before the first start
    for _ in range(2):
        with signing(node.ledger, node.settings):
            node.ledger.record("tested", "")
    assert keys() == [f"checkpoints are signed with {first}"]
    key_path(node.settings).unlink()
    second = signer(node.settings).public.words
    with signing(node.ledger, node.settings):
        node.ledger.record("tested", "")
    assert keys()[1:] == [f"checkpoints are signed with {second}"]


def test_a_running_node_signs_and_says_when_history_has_changed(node: Node) -> None:
    with signing(node.ledger, node.settings):
        node.ledger.record("tested", "")
    path = checkpoints_path(node.settings)
    assert last_line(path) is not None
    assert verified(node).unsigned == 0
    with node.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER events_no_update"))
        connection.execute(text("UPDATE events SET hash = 'x' WHERE what = 'tested'"))
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[-1].replace('"id": ', '"id": 99') + "\n")
    with signing(node.ledger, node.settings):
        pass
    said = {event.sentence for event in node.questions.events() if event.what == "trail broken"}
    assert said == {CHANGED, OLDER}
    assert not verified(node).whole


def test_a_row_that_nobody_can_read_ends_nobody_who_signs(node: Node) -> None:
    node.ledger.record("tested", "")
    with node.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER events_no_update"))
        (at,) = connection.execute(text("SELECT at FROM events")).one()
        connection.execute(text("UPDATE events SET at = 'spoilt'"))
    keeper = Keeper(node.ledger, node.settings, signer(node.settings))
    keeper.round(at_once=True)
    with node.engine.begin() as connection:
        connection.execute(text("UPDATE events SET at = :at"), {"at": at})
    keeper.round(at_once=True)
    assert verified(node).whole
    assert verified(node).unsigned == 0


def test_half_a_line_that_a_power_cut_left_is_no_tampering(node: Node) -> None:
    with signing(node.ledger, node.settings):
        node.ledger.record("tested", "")
    with signing(node.ledger, node.settings):
        node.ledger.record("tested", "")
    path = checkpoints_path(node.settings)
    path.write_bytes(path.read_bytes()[:-50])
    assert not verified(node).whole
    with signing(node.ledger, node.settings):
        node.ledger.record("tested", "")
    assert path.read_bytes().count(b"\n") == 1 + len(list(lines_of(path)))
    assert verified(node).faults == []
