"""The migrations make the tables that the code has, on both databases."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.util import CommandError
from ledger_book import Book, reading
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError

from dicom_node import wiring
from dicom_node.auditing.checkpoints import checkpoints_path
from dicom_node.auditing.signing import signer
from dicom_node.auditing.verify import verify
from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.tables import Base, Case, Instance, ModelRun
from dicom_node.life import State
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node, _alembic, migrate, newest_revision, ready, revision

TABLES = set(Base.metadata.tables)

OWED_SINCE_REVISION_4 = """
INSERT INTO cases (study_uid, round, state, reason, opened_at, moved_at, last_image_at, due_at,
    attempts)
SELECT '1.2', 1, 'DECLINED', '', at, at, at, at, 0 FROM (SELECT CURRENT_TIMESTAMP AS at) AS now;
INSERT INTO products (case_id, kind, sop_class_uid, sop_uid, series_uid, size_bytes, sha256, path,
    made_at)
SELECT id, 'cad_sr', '1.2', '2.25.1', '2.25.2', 1, 's', 'p', opened_at FROM cases;
INSERT INTO deliveries (product_id, case_id, destination, target, receipt, attempts, due_at,
    owed_since, last_error)
SELECT id, case_id, 'pacs', '', 'OWED', 0, made_at, made_at, '' FROM products
"""

KEPT_AT_REVISION_14 = f"""
INSERT INTO cases (study_uid, round, state, reason, opened_at, moved_at, last_image_at, due_at,
    attempts, notice_written)
SELECT '1.2', 1, 'RECEIVING', '', at, at, at, at, 0, false
    FROM (SELECT CURRENT_TIMESTAMP AS at) AS now;
INSERT INTO instances (case_id, study_uid, series_uid, sop_uid, sop_class_uid, transfer_syntax_uid,
    view, caller, address, size_bytes, sha256, path, received_at)
SELECT id, '1.2', '1.2', '1.2', '1.2', '1.2', '', '', '', 1, '{"0" * 64}', 'p', opened_at
    FROM cases;
INSERT INTO verdicts (case_id, instance_id, code, sentence) SELECT case_id, id, 'I14', 'partial'
    FROM instances
"""


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """Open a node on a database without tables."""
    url = ""
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        url = server.create_database(f"empty_{uuid.uuid4().hex}")
    node = Node(Settings.model_validate({"node": {"data": tmp_path, "database": url}}))
    yield node
    node.engine.dispose()


def tables(node: Node) -> set[str]:
    return set(inspect(node.engine).get_table_names()) - {"alembic_version"}


def test_the_migrations_make_what_the_code_has_and_take_it_away(empty: Node) -> None:
    assert revision(empty) is None
    newest = newest_revision(empty)
    assert migrate(empty) == (None, newest)
    assert revision(empty) == newest
    assert tables(empty) == TABLES
    command.check(_alembic(empty))  # raises where the code has changed and no migration has
    command.downgrade(_alembic(empty), "base")
    assert tables(empty) == set()
    assert revision(empty) is None
    assert migrate(empty) == (None, newest)
    assert tables(empty) == TABLES
    assert migrate(empty) == (newest, newest)


def test_a_reading_of_revision_1_is_kept_and_one_without_a_score_has_no_place_there(
    empty: Node,
) -> None:
    command.upgrade(_alembic(empty), "0001")
    with empty.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO cases (study_uid, round, state, reason, opened_at, moved_at, "
                "last_image_at, due_at, attempts) SELECT '1.2', 1, 'ANALYZED', '', at, at, "
                "at, at, 0 FROM (SELECT CURRENT_TIMESTAMP AS at) AS now"
            )
        )
        connection.execute(
            text(
                "INSERT INTO model_runs (case_id, system, bundle, version, digest, "
                "operating_point, code_version, settings_digest, device, seconds, cancer_score, "
                "findings_count, findings_path, findings_sha256, made_at) SELECT id, 's', 'b', "
                "'1', 'd', 'o', '1', 's', 'cpu', 1.5, 0.25, 3, 'p', 'h', opened_at FROM cases"
            )
        )
    migrate(empty)
    (case,) = empty.questions.cases_of("1.2")
    run = empty.questions.run_of(case.id)
    assert run is not None
    assert (run.cancer_score, run.findings_count, run.findings_path) == (0.25, 3, "p")
    with empty.ledger.writing() as session:
        session.get_one(ModelRun, run.id).cancer_score = None
    with pytest.raises(ValueError, match="no cancer score"):
        command.downgrade(_alembic(empty), "0001")
    assert revision(empty) is not None


def test_what_several_read_has_no_place_before_revision_3(empty: Node) -> None:
    migrate(empty)
    case_id = Book(empty.engine).case_at(State.ANALYZED)
    with empty.ledger.writing() as session:
        for place in range(3):
            row = reading(case_id)
            row.place = place
            session.add(row)
    assert empty.questions.run_of(case_id) is not None
    assert [run.place for run in empty.questions.members_of(case_id)] == [1, 2]
    with pytest.raises(ValueError, match="read by several bundles"):
        command.downgrade(_alembic(empty), "0002")
    assert revision(empty) == newest_revision(empty), "all of the way or none of it"
    assert len(empty.questions.members_of(case_id)) == 2


def test_objects_and_what_is_owed_of_them_outlive_the_migrations(empty: Node) -> None:
    command.upgrade(_alembic(empty), "0004")
    with empty.engine.begin() as connection:
        for statement in OWED_SINCE_REVISION_4.split(";"):
            connection.execute(text(statement))
    migrate(empty)
    (case,) = empty.questions.cases_of("1.2")
    (debt,) = empty.questions.debts_of(case.id)
    assert (debt.product.profile, debt.product.transfer_syntax_uid) == ("", "1.2.840.10008.1.2.1")
    assert (case.telling, case.notice_written) == (None, False)
    with empty.ledger.writing() as session:
        session.get_one(Case, case.id).telling = State.DECLINED
    with pytest.raises(ValueError, match="have still to be told"):
        command.downgrade(_alembic(empty), "0006")
    with empty.ledger.writing() as session:
        session.get_one(Case, case.id).telling = None
    command.downgrade(_alembic(empty), "0004")
    migrate(empty)
    assert len(empty.questions.debts_of(case.id)) == 1


def test_an_image_of_revision_14_keeps_its_digest_and_a_newer_one_has_no_place_there(
    empty: Node,
) -> None:
    command.upgrade(_alembic(empty), "0014")
    with empty.engine.begin() as connection:
        for statement in KEPT_AT_REVISION_14.split(";"):
            connection.execute(text(statement))
    migrate(empty)
    (case,) = empty.questions.cases_of("1.2")
    (image,) = empty.questions.images_of(case)
    assert image.digest == "0" * 64
    assert empty.questions.verdicts_of(case.id)[image.id].code == "I14", "the row that points at it"
    command.downgrade(_alembic(empty), "0014")
    migrate(empty)
    with empty.ledger.writing() as session:
        session.get_one(Instance, image.id).digest = f"blake3:{'0' * 64}"
    with pytest.raises(ValueError, match="cannot compare with"):
        command.downgrade(_alembic(empty), "0014")
    assert revision(empty) == newest_revision(empty)


def test_what_happened_before_revision_9_is_chained_as_it_is_found(empty: Node) -> None:
    command.upgrade(_alembic(empty), "0008")
    rows = [
        {"number": number, "case": case, "sentence": sentence, "details": details}
        for number, (case, sentence, details) in enumerate(
            [
                (None, "plain", "{}"),
                (
                    7,
                    'M\u00fcller \u00b7 \u4e73\u623f \U0001f600 "quoted" back\\slash\n',
                    '{"b": 1,  "a": [1.50, 1e5]}',
                ),
                (None, "", '{"\u00e9": "\\u00e9"}'),
            ],
            start=1,
        )
    ]
    with empty.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO events (id, at, actor, what, study_uid, case_id, sentence, details) "
                "SELECT :number, CURRENT_TIMESTAMP, 'a', 'tested', NULL, :case, :sentence, "
                + (
                    ":details"
                    if empty.engine.dialect.name == "sqlite"
                    else "CAST(:details AS json)"
                )
            ),
            rows,
        )
    migrate(empty)
    empty.ledger.record("tested", "and goes on")
    found = verify(empty.engine, [signer(empty.settings).public], checkpoints_path(empty.settings))
    assert found.events == 4
    assert [one.sentence for one in found.faults] == []


def test_a_case_has_one_reading_that_is_reported(empty: Node) -> None:
    migrate(empty)
    case_id = Book(empty.engine).case_at(State.ANALYZED)
    with pytest.raises(IntegrityError), empty.ledger.writing() as session:
        session.add_all([reading(case_id), reading(case_id)])


def test_the_check_sees_a_table_that_differs(empty: Node) -> None:
    migrate(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("ALTER TABLE roads ADD COLUMN surface TEXT"))
    with pytest.raises(CommandError, match="surface"):
        command.check(_alembic(empty))


def test_only_sqlite_gets_its_tables_at_the_first_start(empty: Node) -> None:
    if empty.engine.dialect.name == "sqlite":
        assert ready(empty) is empty
        assert tables(empty) == TABLES
    else:
        with pytest.raises(Misconfigured, match=r"revision None.*run `dicom-node migrate`"):
            ready(empty)
        assert tables(empty) == set()
        migrate(empty)
        assert ready(empty) is empty


def test_a_ledger_of_a_newer_node_is_left_alone(empty: Node) -> None:
    migrate(empty)
    with empty.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match=r"9999.*belongs to a newer node"):
        ready(empty)


def test_sqlite_writes_durably_and_lets_readers_read(node: Node) -> None:
    with node.engine.connect() as connection:
        told = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    with node.ledger.writing():
        assert node.questions.count_by_state() == {}, "a reader waits for no writer"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite:////proc/no/such", "unable to open"),
        ("rosebud", "names no database"),
        ("flatfile://u:rosebud@h/d", "names no database"),
        ("mysql://u:rosebud@h/d", "names no database"),
    ],
)
def test_a_database_that_cannot_be_opened_is_the_administrators_to_mend(
    tmp_path: Path, url: str, said: str
) -> None:
    node = Node(Settings.model_validate({"node": {"data": tmp_path, "database": url}}))
    with pytest.raises(Misconfigured, match=rf"^node\.database: .*{said}") as faults:
        ready(node)
    assert "rosebud" not in str(faults.value)


def test_a_server_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    url = "postgresql+psycopg://fourviews:rosebud@127.0.0.1:1/d"
    node = Node(Settings.model_validate({"node": {"data": tmp_path, "database": url}}))
    said = r"^node\.database: .*fourviews:\*\*\*@127.0.0.1:1/d cannot be opened"
    with pytest.raises(Busy, match=said) as trouble:
        ready(node)
    assert "rosebud" not in str(trouble.value)


def test_a_data_folder_that_cannot_be_made_is_the_administrators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node = Node(Settings.model_validate({"node": {"data": tmp_path / "file" / "var"}}))
    with pytest.raises(Misconfigured, match=r"^node\.data: .*Not a directory"):
        ready(node)


def test_every_state_fits_its_column() -> None:
    assert max(len(state) for state in Case.__table__.c.state.type.enums) <= 16


def test_a_ledger_that_somebody_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(Settings.model_validate({"node": {"data": str(tmp_path)}}))
    ready(node)
    monkeypatch.setattr(wiring, "revision", lambda _: _of_a_held_ledger(tmp_path))
    with pytest.raises(Busy, match="locked"):
        ready(node)
    node.engine.dispose()


def _of_a_held_ledger(folder: Path) -> None:
    """Ask as SQLAlchemy does, but without its patience."""
    path = folder / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as holder, closing(sqlite3.connect(path)) as other:
        holder.execute("BEGIN IMMEDIATE")
        other.execute("PRAGMA busy_timeout = 0")
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as fault:
            raise OperationalError("BEGIN IMMEDIATE", {}, fault) from fault
