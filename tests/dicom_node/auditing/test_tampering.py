"""Whatever is done to the audit trail behind the node's back is noticed."""

import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ledger_book import Book
from postgres_server import PostgresServer
from sqlalchemy import Connection, Engine, create_engine, text
from tampering import ROW, SIGNED, UNSIGNED, WAYS, Trail

from dicom_node.auditing import verify as verifying
from dicom_node.auditing.checkpoints import copy_out, sign_on
from dicom_node.auditing.signing import Signer, signer
from dicom_node.auditing.verify import Verified, verify
from dicom_node.ledger.chain import Link, end_of, link_hash
from dicom_node.ledger.engine import open_engine
from dicom_node.life import State
from dicom_node.settings.audit import Audit
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, migrate

Figure = Callable[[str], None]
Copies = Callable[..., Trail]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trail")


@pytest.fixture(scope="module")
def key(home: Path) -> Signer:
    return signer(Settings.model_validate({"node": {"data": home}}))


@pytest.fixture(scope="module", autouse=True)
def nothing_is_on_its_way() -> Iterator[None]:
    """Let what was signed a moment ago be expected outside, as it is after ten seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verifying, "ON_ITS_WAY", timedelta())
        yield


def written(engine: Engine, key: Signer, outside: Path, pause: Callable[[], object]) -> None:
    """Write a trail with five checkpoints, and some events behind the last."""
    book = Book(engine)
    for count in (50, 100, 150, 200, SIGNED):
        while (number := last_number(engine)) < count - 20:
            book.case_at(State.DELIVERED, f"2.25.{number + 1}")
        while (number := last_number(engine)) < count:
            book.ledger.record("tested", "", number=number)
        assert sign_on(book.ledger, key, Audit(), at_once=True)
        assert copy_out(book.ledger, outside)
        if count == 100:
            pause()
    book.case_at(State.ANALYZED, "2.25.999")
    assert last_number(engine) == SIGNED + UNSIGNED


def last_number(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.execute(text("SELECT coalesce(max(id), 0) FROM events")).scalar_one()


@pytest.fixture(scope="module")
def sqlite_copies(home: Path, key: Signer, blank_ledger: Path) -> Copies:
    """Write a trail once, and hand out copies of it."""

    def copied(name: str) -> Path:
        path = home / uuid.uuid4().hex
        with sqlite3.connect(home / name) as connection:
            connection.execute("VACUUM INTO ?", (str(path),))
        connection.close()
        return path

    shutil.copy(blank_ledger, home / "trail")
    engine, older = open_engine(f"sqlite:///{home / 'trail'}"), list[Path]()
    outside = home / "outside.jsonl"
    written(engine, key, outside, lambda: older.append(copied("trail")))
    engine.dispose()

    def copy(name: str = "trail") -> Trail:
        path = copied({"trail": "trail", "older": older[0].name}[name])
        kept = shutil.copy(outside, path.with_suffix(".jsonl"))
        return Trail(open_engine(f"sqlite:///{path}"), Path(kept))

    return copy


@pytest.fixture(scope="module")
def postgres_copies(home: Path, key: Signer, postgres: PostgresServer) -> Iterator[Copies]:
    """Do the same in PostgreSQL."""
    url = postgres.create_database("trail")
    server = create_engine(url.replace("/trail", "/postgres"), isolation_level="AUTOCOMMIT")
    node = Node(Settings.model_validate({"node": {"data": home, "database": url}}))
    migrate(node)

    def copied(name: str, to: str) -> None:
        node.engine.dispose()
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {to} TEMPLATE {name}"))

    outside = home / "outside-postgres.jsonl"
    written(node.engine, key, outside, lambda: copied("trail", "older"))

    def copy(name: str = "trail") -> Trail:
        made = f"copy_{uuid.uuid4().hex}"
        copied(name, made)
        kept = shutil.copy(outside, home / f"{made}.jsonl")
        return Trail(open_engine(url.replace("/trail", f"/{made}")), Path(kept))

    yield copy
    server.dispose()


def links(first: int, last: int, before: str) -> Iterator[tuple[object, ...]]:
    """Make events as a node of many years has them, each chained to the one before."""
    for number in range(first, last + 1):
        about = f'{{"caller":"MAMMO_ROOM_1","sop_uid":"2.25.{number}","view":"LCC"}}'
        at = f"2026-01-31 10:11:12.{number % 1_000_000:06}"
        study = f"2.25.{number // 20}"
        link = Link(number, at, "node:1", "image received", study, None, None, None, "", about)
        before = link_hash(before, link)
        yield *link, before


def append(connection: Connection, rows: Iterator[tuple[object, ...]]) -> None:
    """Write many events quickly."""
    raw = connection.connection.driver_connection
    assert raw is not None
    columns = ", ".join([*Link._fields, "hash"])
    if connection.dialect.name == "sqlite":
        raw.executemany(f"INSERT INTO events ({columns}) VALUES ({', '.join('?' * 11)})", rows)
        connection.commit()
        return
    connection.exec_driver_sql("SET timezone = 'UTC'")
    with raw.cursor() as cursor, cursor.copy(f"COPY events ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    connection.commit()


def found_in(trail: Trail, key: Signer) -> Verified:
    try:
        return verify(trail.engine, [key.public], trail.outside)
    finally:
        trail.engine.dispose()


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_A2_every_tampering_is_noticed(
    database: str, request: pytest.FixtureRequest, key: Signer, figure: Figure
) -> None:
    copies: Copies = request.getfixturevalue(f"{database}_copies")
    sound = found_in(copies(), key)
    assert sound.faults == []
    assert (sound.events, sound.checkpoints, sound.outside) == (SIGNED + UNSIGNED, 5, 5)
    assert sound.unsigned == UNSIGNED
    told = {"the database replaced with an older copy": found_in(copies("older"), key)}
    for name, way in WAYS.items():
        trail = copies()
        way(trail)
        told[name] = found_in(trail, key)
    missed = [name for name, found in told.items() if found.whole]
    figure(f"{database}: {len(told) - len(missed)} of {len(told)} ways of tampering noticed")
    assert missed == []
    assert len(told) >= 19


@pytest.mark.parametrize(
    ("way", "row", "said"),
    [
        ("the sentence", ROW, f"event {ROW} was changed"),
        ("an event deleted", ROW + 1, f"events {ROW} to {ROW} are missing"),
        ("the signed tail cut", SIGNED - 19, f"events {SIGNED - 19} to {SIGNED} are missing at"),
        ("an event inserted at the end", 900, "event 900 was inserted past the chain"),
        ("the unsigned tail cut", 0, "the trail says nothing of case"),
        ("history chained anew", 150, "event 150 is not the one that checkpoint 3"),
        ("a checkpoint deleted", 3, "checkpoints 2 to 2 of the ledger are missing"),
        ("a checkpoint's count", 2, "checkpoint 2 of the ledger was changed or forged"),
        ("the table dropped", 0, "the ledger has no table events any more"),
        ("the file outside deleted", 1, "checkpoints 1 to 5 are missing in"),
    ],
)
def test_a_fault_is_told_in_a_sentence_with_its_row(
    sqlite_copies: Copies, key: Signer, way: str, row: int, said: str
) -> None:
    trail = sqlite_copies()
    WAYS[way](trail)
    faults = found_in(trail, key).faults
    assert any((one.sentence.startswith(said) and one.row == row) or not row for one in faults), (
        faults
    )


def test_another_key_verifies_nothing(sqlite_copies: Copies) -> None:
    stranger = Signer(Ed25519PrivateKey.generate())
    found = found_in(sqlite_copies(), stranger)
    assert len(found.faults) == found.checkpoints == 5
    assert all("is not one of yours" in one.sentence for one in found.faults)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_A2_a_trail_is_verified_at_speed(
    database: str,
    request: pytest.FixtureRequest,
    key: Signer,
    at_length: Callable[[int, int], int],
    figure: Figure,
) -> None:
    trail: Trail = request.getfixturevalue(f"{database}_copies")()
    wanted = at_length(20_000, 1_000_000)
    with trail.engine.connect() as connection:
        number, last = end_of(connection)
        append(connection, links(number + 1, wanted, last))
    book = Book(trail.engine)
    sign_on(book.ledger, key, Audit(), at_once=True)
    copy_out(book.ledger, trail.outside)
    found = found_in(trail, key)
    assert found.faults == []
    assert found.events == wanted
    figure(f"{database}: {found.events} events verified in {found.seconds:.1f} s")
    if wanted == 1_000_000:
        assert found.seconds < 30
