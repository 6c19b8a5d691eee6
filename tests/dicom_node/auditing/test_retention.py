"""The trail is kept long enough; what goes is signed for, and the rest stays verifiable."""

import os
import stat
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from ledger_book import Book
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from dicom_node.auditing.checkpoints import checkpoints_path, copy_out
from dicom_node.auditing.hardening import harden, may_rewrite
from dicom_node.auditing.keeping import signing
from dicom_node.auditing.retention import purge
from dicom_node.auditing.signing import key_path, signer
from dicom_node.auditing.verify import Verified, verify
from dicom_node.errors import Misconfigured
from dicom_node.ledger import ledger as clock
from dicom_node.life import State
from dicom_node.settings.file import Settings
from dicom_node.watching.checkup import QUESTIONS, WARNING
from dicom_node.wiring import Node

Figure = Callable[[str], None]
YEAR = timedelta(days=365.25)


def verified(node: Node) -> Verified:
    return verify(node.engine, [signer(node.settings).public], checkpoints_path(node.settings))


def aged(node: Node, patch: pytest.MonkeyPatch, state: State, years: tuple[float, ...]) -> None:
    """Let cases end so many years ago, each year signed."""
    today = clock.now()
    with patch.context() as earlier:  # signed before, so that no event of today tells of the key
        earlier.setattr(clock, "by_the_clock", lambda: today - 20 * YEAR)
        with signing(node.ledger, node.settings):
            pass
    for number, age in enumerate(years):
        with patch.context() as earlier:
            for told in ("now", "by_the_clock"):
                earlier.setattr(clock, told, lambda age=age: today - age * YEAR)
            Book(node.engine).case_at(state, f"2.25.{number + 1}")
        with signing(node.ledger, node.settings):
            pass


def purged(node: Node, years: float, *, dry_run: bool = False) -> int:
    gone = purge(node.ledger, signer(node.settings), years, dry_run=dry_run)
    copy_out(node.ledger, checkpoints_path(node.settings))
    return gone.events


def test_A6_a_purge_is_audited_and_the_rest_verifiable(
    kept: Node, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    aged(kept, monkeypatch, State.DELIVERED, (12.0, 11.0, 9.0, 0.7, 0.2))
    before = verified(kept)
    assert before.faults == []
    default = kept.settings.audit.keep_years
    assert default == 10.0
    wanted = purged(kept, default, dry_run=True)
    assert verified(kept).events == before.events, "a dry run deletes nothing"
    assert purged(kept, default) == wanted > 0
    after = verified(kept)
    assert after.faults == []
    assert after.events == before.events - wanted + 1
    event = kept.questions.events()[-1]
    assert (event.what, event.details["events"]) == ("trail purged", wanted)
    assert purged(kept, default) == 0, "there is nothing left to purge"
    assert purged(kept, 0.5) > 0
    assert verified(kept).faults == []
    with signing(kept.ledger, kept.settings):
        kept.ledger.record("stopped", "")
    assert verified(kept).faults == []
    with pytest.raises(DBAPIError, match="not rewritten"), kept.engine.begin() as connection:
        connection.execute(text("DELETE FROM events"))
    name = kept.engine.dialect.name
    figure(f"{name}: {wanted} of {before.events} events purged, the rest whole; default 10 years")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for somebody else")
def test_what_root_makes_for_a_purge_belongs_to_whom_the_data_folder_does(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = node.settings.data
    os.chown(home, 4711, 4712)
    monkeypatch.setattr(clock, "by_the_clock", lambda: clock.now() - 12 * YEAR)
    for _ in range(3):
        node.ledger.record("tested", "")
    monkeypatch.undo()
    assert purged(node, 10.0) == 2
    for path in (key_path(node.settings), checkpoints_path(node.settings)):
        assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712), path
    assert stat.S_IMODE(key_path(node.settings).stat().st_mode) == 0o600


@pytest.mark.parametrize("years", [0.0, 0.49, -1.0, float("nan")])
def test_A6_less_than_half_a_year_is_refused(node: Node, years: float, figure: Figure) -> None:
    with pytest.raises(Misconfigured, match=r"kept for 0\.5 years at the least"):
        purge(node.ledger, signer(node.settings), years, dry_run=False)
    with pytest.raises(ValueError, match="keep_years"):
        Settings.model_validate({"audit": {"keep_years": years}})
    figure("less than half a year refused")


def test_what_belongs_to_a_case_under_way_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(node, monkeypatch, State.RECEIVED, (12.0,))
    assert purged(node, 10.0) == 1, "the event that tells of the key alone"
    assert verified(node).faults == []


def test_events_that_go_without_a_signature_are_missed(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    aged(node, monkeypatch, State.DELIVERED, (12.0, 11.0, 0.0))
    purged(node, 11.5)
    with node.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER events_no_delete"))
        connection.execute(text("DELETE FROM events WHERE id <= (SELECT min(id) FROM events) + 2"))
    assert not verified(node).whole


@pytest.fixture
def limited(on_postgres: Node) -> Iterator[Node]:
    """Open the same ledger with the account that the node is to work with."""
    role = f"node_{uuid.uuid4().hex[:8]}"
    told = list(harden(on_postgres.engine, role))
    assert told[0] == f'CREATE ROLE "{role}" LOGIN;'
    assert list(harden(on_postgres.engine, role)), "twice is as good as once"
    url = on_postgres.engine.url.set(username=role).render_as_string(hide_password=False)
    home = {"data": on_postgres.settings.data, "database": url}
    node = Node(Settings.model_validate({"node": home}))
    yield node
    node.engine.dispose()


FORBIDDEN = (
    "UPDATE events SET sentence = ''",
    "DELETE FROM events",
    "TRUNCATE events",
    "DROP TABLE events",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_no_change ON events",
    """CREATE OR REPLACE FUNCTION refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RETURN NULL; END $$""",
    "SET session_replication_role = replica",
    "UPDATE checkpoints SET head = ''",
    "DELETE FROM checkpoints",
    "TRUNCATE checkpoints, events",
    "ALTER TABLE events RENAME TO old",
    "CREATE RULE r AS ON INSERT TO events DO INSTEAD NOTHING",
    "UPDATE alembic_version SET version_num = '0'",
    "GRANT DELETE ON events TO PUBLIC",
    "CREATE TABLE mine (id int)",
)


def test_A2_the_applications_account_works_and_rewrites_no_history(
    on_postgres: Node, limited: Node, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    assert not may_rewrite(limited.engine)
    assert may_rewrite(on_postgres.engine)
    question = "can the audit trail be rewritten?"
    answers = [QUESTIONS[question](one) for one in (limited, on_postgres)]
    assert [one.startswith(WARNING) for one in answers] == [False, True]
    aged(limited, monkeypatch, State.DELIVERED, (12.0, 0.0))
    engine = create_engine(limited.engine.url)
    for statement in FORBIDDEN:
        if statement.startswith("GRANT"):  # PostgreSQL only warns, and grants nothing
            with engine.begin() as connection:
                connection.execute(text(statement))
            continue
        with pytest.raises(ProgrammingError), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()
    assert not may_rewrite(limited.engine)
    with pytest.raises(Misconfigured, match="only the owner"):
        purge(limited.ledger, signer(limited.settings), 0.5, dry_run=False)
    found = verified(limited)
    assert found.faults == []
    figure(f"PostgreSQL: {len(FORBIDDEN)} of {len(FORBIDDEN)} statements refused to its account")


def test_only_an_owner_limits_and_nobody_limits_an_owner(
    on_postgres: Node, limited: Node, node: Node
) -> None:
    with pytest.raises(Misconfigured, match="who owns the tables"):
        list(harden(limited.engine, "somebody"))
    with pytest.raises(Misconfigured, match="name another account"):
        list(harden(on_postgres.engine, "postgres"))
    with pytest.raises(Misconfigured, match="SQLite has no accounts"):
        list(harden(node.engine, "somebody"))


def test_who_may_become_the_owner_is_not_limited_and_said_to_be(
    on_postgres: Node, limited: Node
) -> None:
    owner, role = on_postgres.engine.url.username, f"member_{uuid.uuid4().hex[:8]}"
    with on_postgres.engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN NOINHERIT"))
        connection.execute(text(f"GRANT {owner} TO {role}"))
    with pytest.raises(Misconfigured, match="name another account"):
        list(harden(on_postgres.engine, role))
    with on_postgres.engine.begin() as connection:
        connection.execute(text(f"DROP ROLE {role}"))
    assert not may_rewrite(limited.engine)
    with on_postgres.engine.begin() as connection:
        connection.execute(text(f'GRANT UPDATE ON checkpoints TO "{limited.engine.url.username}"'))
    assert may_rewrite(limited.engine), "checkpoints are history, too"
