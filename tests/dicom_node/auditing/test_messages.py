"""Every event can be told as an audit message that the standard's schema takes."""

import base64
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ledger_book import Book
from private_process import program
from rsyslog_server import RsyslogServer, rsyslog_server
from sqlalchemy import text

from dicom_node.auditing import exporting
from dicom_node.auditing.exporting import export, tell_collector, telling_collector
from dicom_node.auditing.keeping import signing
from dicom_node.auditing.messages import EVENTS, MEANINGS, TYPES
from dicom_node.errors import Busy
from dicom_node.ledger.kinds import KINDS
from dicom_node.ledger.tables import Collector, Event
from dicom_node.life import State
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node

SCHEMA = Path(__file__).with_name("audit-message.rnc")
Figure = Callable[[str], None]
DETAILS = (
    {},
    {"sop_uid": "2.25.7", "caller": "MAMMO_ROOM_1", "address": "10.1.20.31", "status": "A901"},
    {"built": [{"kind": "cad_sr", "sop_uid": "2.25.8"}, {"kind": "summary", "sop_uid": "2.25.9"}]},
)


def everything(node: Node) -> None:
    """Write an event of each kind, with and without a study, and reach every state."""
    ledger, book = node.ledger, Book(node.engine)
    for number, state in enumerate(State):
        book.case_at(state, f"2.25.{number + 1}")
    for what in KINDS:
        for details in DETAILS:
            ledger.record(what, "pacs: <it> & \x07 'said' \"no\" äöü", **details)
            with ledger.writing() as session:
                ledger.note(session, what, "", study_uid="2.25.1", details=details)


def faults_of(messages: list[bytes], folder: Path) -> str:
    """Ask jing what the schema says."""
    folder.mkdir()
    for number, one in enumerate(messages):
        (folder / f"{number:05}.xml").write_bytes(one)
    files = sorted(str(path) for path in folder.iterdir())
    command = [program("jing"), "-c", str(SCHEMA), *files]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def test_A4_every_message_is_valid_against_the_schema(
    node: Node, tmp_path: Path, figure: Figure
) -> None:
    everything(node)
    out = tmp_path / "messages.xml"
    count = export(node.ledger, node.settings, out, 0, "")
    messages = out.read_bytes().splitlines()
    assert len(messages) == count == len(node.questions.events()) - 1
    assert faults_of(messages, tmp_path / "sound") == ""
    spoilt = [messages[0].replace(b'EventOutcomeIndicator="0"', b'EventOutcomeIndicator="7"')]
    assert "EventOutcomeIndicator" in faults_of(spoilt, tmp_path / "spoilt"), "the schema looks"
    used = set(re.findall(r'<EventID csd-code="(\d+)"', out.read_text()))
    assert used == set(EVENTS)
    assert node.questions.events()[-1].what == "trail exported"
    figure(f"{count} messages of {len(KINDS)} kinds valid, {len(used)} event ids")


def test_every_kind_has_its_meaning_in_the_standard() -> None:
    assert set(MEANINGS) == set(KINDS)
    assert {one.event for one in MEANINGS.values()} | {"110102"} == set(EVENTS)
    assert {one.type for one in MEANINGS.values()} - {""} == set(TYPES)


def test_only_what_was_asked_for_is_exported(node: Node, tmp_path: Path) -> None:
    book = Book(node.engine)
    book.arrive("2.25.1")
    book.arrive("2.25.2")
    out = tmp_path / "messages.xml"
    assert export(node.ledger, node.settings, out, 0, "2.25.2") == 2
    assert b"2.25.1<" not in out.read_bytes()
    last = node.questions.events()[-1]
    assert export(node.ledger, node.settings, out, last.id - 1, "") == 1
    assert last.what == "trail exported"


@pytest.fixture(scope="module")
def rsyslog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RsyslogServer]:
    with rsyslog_server(tmp_path_factory.mktemp("rsyslog")) as server:
        yield server


@pytest.fixture
def collector(rsyslog: RsyslogServer) -> Iterator[RsyslogServer]:
    rsyslog.collected.unlink(missing_ok=True)
    yield rsyslog
    rsyslog.stop()


def told_to(
    server: RsyslogServer, name: str = "node", host: str = "127.0.0.1"
) -> dict[str, object]:
    return {
        "syslog": {
            "host": host,
            "port": server.port,
            "ca": server.folder / "ca.pem",
            "certificate": server.folder / f"{name}.pem",
            "key": server.folder / f"{name}.key",
        }
    }


def collected(server: RsyslogServer, wanted: int) -> list[str]:
    """Wait for lines: the collector writes them when it likes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.collected.exists() and len(server.lines()) >= wanted:
            break
        time.sleep(0.05)
    return server.lines()


def ids(lines: list[str]) -> list[str]:
    """Return the event that each message tells of."""
    return re.findall(r'type="event" value="([^"]+)"', "\n".join(lines))


@pytest.mark.journey
def test_A4_a_real_collector_gets_everything_once_over_mutual_tls(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    collector: RsyslogServer,
    tmp_path: Path,
    figure: Figure,
) -> None:
    node = opened(settled(audit=told_to(collector)))
    book = Book(node.engine)
    for number in range(20):
        book.case_at(State.DELIVERED, f"2.25.{number + 1}")
    with signing(node.ledger, node.settings):
        pass
    with pytest.raises(Busy, match="cannot be reached"):
        tell_collector(node.ledger, node.settings)
    collector.start()
    with telling_collector(node.ledger, node.settings):
        first = len(node.questions.events())
        assert len(collected(collector, first + 1)) == first + 1
    collector.stop()
    book.case_at(State.DELIVERED, "2.25.777")
    with pytest.raises(Busy):
        tell_collector(node.ledger, node.settings)
    collector.start()
    tell_collector(node.ledger, node.settings)
    events = node.questions.events()
    lines = collected(collector, len(events) + 1)
    assert len(lines) == len(events) + 1, "and one checkpoint"
    assert len(set(ids(lines))) == len(events)
    assert sum(" CHECKPOINT - " in line for line in lines) == 1
    head = f"<85>1 {events[0].at:%Y-%m-%dT%H:%M:%S.%f}Z "
    assert lines[0].startswith(head), lines[0][:80]
    assert " DICOM+RFC3881 - \ufeff<?xml" in lines[0]
    messages = [line[line.index("<?xml") :].encode() for line in lines if "<?xml" in line]
    assert faults_of(messages, tmp_path / "collected") == ""
    assert tell_collector(node.ledger, node.settings) == 0, "nothing is told twice"
    figure(f"rsyslog over mutual TLS, away twice: {len(events)} of {len(events)} events collected")


@pytest.mark.journey
def test_a_collector_is_told_what_took_the_place_of_an_end_that_was_cut_off(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    collector: RsyslogServer,
) -> None:
    node = opened(settled(audit=told_to(collector)))
    name = f"127.0.0.1:{collector.port}"
    with node.ledger.writing() as session:
        beyond = Collector(name=name, event_id=10**6, checkpoint_id=10**6, last_error="")
        session.add(beyond)
    node.ledger.record("tested", "after the end was cut off")
    collector.start()
    assert tell_collector(node.ledger, node.settings) == 1
    assert [base64.b64decode(one) for one in ids(collected(collector, 1))] == [b"1"]
    assert tell_collector(node.ledger, node.settings) == 0, "and once"


@pytest.mark.journey
def test_a_row_that_nobody_can_read_ends_nobody_who_tells(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    collector: RsyslogServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = opened(settled(audit=told_to(collector)))
    node.ledger.record("tested", "")
    with node.engine.begin() as connection:
        connection.execute(text("DROP TRIGGER events_no_update"))
        connection.execute(text("UPDATE events SET details = '{'"))
    collector.start()
    monkeypatch.setattr(exporting, "AGAIN_SECONDS", 0.1)
    with telling_collector(node.ledger, node.settings):
        time.sleep(0.3)
        with node.engine.begin() as connection:
            connection.execute(text("UPDATE events SET details = '{}'"))
        assert len(collected(collector, 1)) == 1


@pytest.mark.journey
def test_who_is_not_trusted_is_told_nothing(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    collector: RsyslogServer,
) -> None:
    collector.start()
    strange = told_to(collector)
    strange["syslog"] |= {"ca": collector.folder / "foreign.pem"}  # type: ignore[operator]
    foreign = opened(settled(audit=strange))
    foreign.ledger.record("tested", "")
    with pytest.raises(Busy, match="cannot be reached"):
        tell_collector(foreign.ledger, foreign.settings)
    stranger = opened(settled(audit=told_to(collector, "stranger")))
    with pytest.raises(Busy):
        tell_collector(stranger.ledger, stranger.settings)
    assert not collector.collected.exists() or collector.lines() == []
    assert isinstance(stranger.questions.events()[0], Event)
