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
from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.orm import Session
from tampering import ROW, SIGNED, UNSIGNED, WAYS, Trail

from dicom_node.auditing import verify as verifying
from dicom_node.auditing.checkpoints import checkpoints_path, copy_out, sign_on
from dicom_node.auditing.keeping import signing
from dicom_node.auditing.signing import Signer, signer
from dicom_node.auditing.verify import Verified, verify
from dicom_node.ledger import ledger as recording
from dicom_node.ledger.chain import Link, end_of, link_hash
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.outbox import record_receipt, record_refusal
from dicom_node.ledger.tables import Delivery, Product
from dicom_node.life import REPORT, Receipt, State
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
    # A million rows on a busy machine take longer than the node would ever wait.
    connection.exec_driver_sql("SET statement_timeout = 0")
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


def told_at(node: Node, patch: pytest.MonkeyPatch, age: timedelta, what: str) -> None:
    """Record something that happened so long ago."""
    with patch.context() as earlier:
        earlier.setattr(recording, "by_the_clock", lambda: by_the_clock() - age)
        node.ledger.record(what, "")


def faults_of(node: Node) -> list[str]:
    found = verify(node.engine, [signer(node.settings).public], checkpoints_path(node.settings))
    return [one.sentence for one in found.faults]


HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def test_A2_events_that_were_long_due_to_be_signed_are_missed(
    node: Node, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    told_at(node, monkeypatch, HOUR, "listening")
    key = signer(node.settings)
    assert [one.split(",")[0] for one in faults_of(node)] == ["no event is signed"]
    sign_on(node.ledger, key, Audit(), at_once=True)
    copy_out(node.ledger, checkpoints_path(node.settings))
    assert faults_of(node) == []
    told_at(node, monkeypatch, HOUR, "listening")
    told_at(node, monkeypatch, HOUR - MINUTE, "association accepted")
    assert faults_of(node) == [], "it was killed before it could sign"
    told_at(node, monkeypatch, HOUR - 2 * MINUTE, "association accepted")
    assert [one.split(" all ")[0] for one in faults_of(node)] == [
        "events 2 to 4 were never signed although the node was listening"
    ]
    figure("a trail without checkpoints, and a tail without them, noticed")


def test_what_commands_write_while_nobody_listens_is_no_fault(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signing(node.ledger, node.settings):
        node.ledger.record("listening", "")
    for age in (HOUR, HOUR / 2, MINUTE):
        told_at(node, monkeypatch, age, "trail verified")
    assert faults_of(node) == []


def test_no_checkpoint_where_a_key_was_at_work_is_a_fault(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_at(node, monkeypatch, timedelta(seconds=11), "trail verified")
    assert faults_of(node) == [], "nobody has listened yet"
    told_at(node, monkeypatch, timedelta(seconds=11), "key made")
    assert [one.split(",")[0] for one in faults_of(node)] == ["no event is signed"]


def test_A2_an_object_or_a_delivery_that_is_gone_is_missed(node: Node, figure: Figure) -> None:
    case_id = Book(node.engine).case_at(State.ANALYZED)
    objects = [{"kind": "cad_sr", "sop_uid": f"2.25.{number}", "sha256": ""} for number in (1, 2)]
    with node.ledger.turn(case_id, REPORT) as turn:
        turn.details["built"] = objects
        for one in objects:
            made = product(case_id, one["sop_uid"])
            turn.leave(*(owed(made, name) for name in ("ARCHIVE", "READER")), made)
    with Session(node.engine) as session:
        ids = [row.id for row in session.scalars(select(Delivery).order_by(Delivery.id))]
    record_receipt(node.ledger, ids[0], 0)
    record_refusal(node.ledger, ids[1], 0xA900, "no")
    with signing(node.ledger, node.settings):
        pass
    assert faults_of(node) == []
    told = dict[str, list[str]]()
    for name, statements in {
        "a delivery": [f"DELETE FROM deliveries WHERE id = {ids[0]}"],
        "a refused one": [f"DELETE FROM deliveries WHERE id = {ids[1]}"],
        "all that is owed": [f"DELETE FROM deliveries WHERE id > {ids[1]}"],
        "an object": [
            f"DELETE FROM deliveries WHERE id > {ids[1]}",
            "DELETE FROM products WHERE sop_uid = '2.25.2'",
        ],
    }.items():
        with node.engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
            found = Verified()
            verifying._follow(found, connection, {3: []}, None)
            told[name] = [one.sentence for one in found.faults]
            connection.rollback()
    assert all(len(said) == 1 and said[0].endswith("gone") for said in told.values()), told
    figure(f"{len(told)} of {len(told)} rows that were taken away noticed")


def product(case_id: int, sop_uid: str) -> Product:
    return Product(
        case_id=case_id,
        kind="cad_sr",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.50",
        sop_uid=sop_uid,
        series_uid="2.25.9",
        size_bytes=1,
        sha256="",
        path="",
        made_at=by_the_clock(),
    )


def owed(what: Product, destination: str) -> Delivery:
    at = by_the_clock()
    return Delivery(
        product=what,
        case_id=what.case_id,
        destination=destination,
        receipt=Receipt.OWED,
        due_at=at,
        owed_since=at,
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
