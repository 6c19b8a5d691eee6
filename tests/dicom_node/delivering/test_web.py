"""Objects stored over HTTP: what a server answers is acted upon, and no secret goes astray."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pytest
from destinations import Posted
from orthanc_server import DICOM_WEB, OrthancServer, orthanc_server
from pydantic import SecretStr, ValidationError
from pydicom import dcmread
from senders import until

from dicom_node.delivering.asking import ask
from dicom_node.delivering.places import peer_of
from dicom_node.delivering.sender import Parcel
from dicom_node.delivering.web import WebPeer, web_line
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.ledger.clock import by_the_clock, steady
from dicom_node.ledger.ledger import now
from dicom_node.life import Receipt, State
from dicom_node.settings.delivering import Destination

Makes = Callable[..., Posted]


class WebServer(ThreadingHTTPServer):
    """A STOW-RS server that answers as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.headers, self.body = 200, dict[str, str](), b"{}"
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.seconds, self.over = 0.0, threading.Event()
        self.cut = 0  # so many bytes of the answer are announced and do not come

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/dicom-web"

    def table(self, **wishes: object) -> dict[str, object]:
        return {"name": "web", "url": self.url, "timeout_seconds": 30.0, **wishes}

    def says(self, status: int, told: object = None, **headers: str) -> None:
        """Answer so from now on."""
        self.status, self.body = status, json.dumps(told or {}).encode()
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Handler(BaseHTTPRequestHandler):
    server: WebServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.server.over.wait(self.server.seconds)
        with suppress(OSError):
            self.send_response(self.server.status)
            for name, value in self.server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(self.server.body) + self.server.cut))
            self.end_headers()
            self.wfile.write(self.server.body)
            self.close_connection = self.close_connection or self.server.cut > 0

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def server() -> Iterator[WebServer]:
    one = WebServer()
    thread = threading.Thread(target=one.serve_forever, args=(0.02,))
    thread.start()
    yield one
    one.over.set()
    one.shutdown()
    thread.join()
    one.server_close()


def failed(reason: int) -> dict[str, Any]:
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


def receipts(office: Posted, case_id: int) -> list[Receipt]:
    return [row.receipt for row in office.rows(case_id, "web")]


def test_objects_are_stored_byte_for_byte_with_the_token(server: WebServer, posted: Makes) -> None:
    office = posted(server.table(token="rosebud"))  # noqa: S106 - of a test
    case_id = office.case(objects=2)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    for (path, headers, body), kept in zip(server.asked, office.contents(case_id), strict=True):
        assert path == "/dicom-web/studies"
        assert headers["Authorization"] == "Bearer rosebud"
        assert headers["Content-Type"].startswith('multipart/related; type="application/dicom"')
        assert kept in body
    events = office.node.questions.events()
    assert "rosebud" not in repr([(event.sentence, event.details) for event in events])
    assert "rosebud" not in repr(peer_of(office.node.settings, "web", ""))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, {}),
        (200, {"00081199": {"vr": "SQ", "Value": [{"00081196": {"Value": [0xB000]}}]}}),
        (200, failed(0x0111)),
        (202, {}),
    ],
)
def test_what_is_stored_is_delivered(
    server: WebServer, posted: Makes, status: int, told: object
) -> None:
    server.says(status, told)
    office = posted(server.table())
    case_id = office.case(objects=1)
    office.deliver(case_id)
    assert receipts(office, case_id) == [Receipt.DELIVERED]


@pytest.mark.parametrize(
    ("status", "told", "said"),
    [
        (409, failed(0xC122), "status C122"),
        (409, failed(0xA900), "status A900"),
        (202, failed(0x0122), "status 0122"),
        (409, None, "HTTP 409"),
        (400, None, "HTTP 400"),
        (413, None, "HTTP 413"),
        (415, None, "HTTP 415"),
    ],
)
def test_what_is_refused_for_good_is_parked(
    server: WebServer, posted: Makes, status: int, told: object, said: str
) -> None:
    server.says(status, told)
    office = posted(server.table())
    case_id = office.case(objects=1)
    with pytest.raises(Refused, match=rf"web: will not take the kind_0 \({said}\)"):
        office.deliver(case_id)
    assert receipts(office, case_id) == [Receipt.REFUSED]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "wrong or missing credentials"),
        (403, "does not let the node store"),
        (404, "no STOW-RS at this address"),
        (407, "a proxy in between does not let the node through"),
        (408, "not whole in its time"),
        (429, "too much to do"),
        (503, "out of service"),
        (500, "has no room"),
    ],
)
def test_what_time_or_an_administrator_mends_closes_the_road_and_loses_nothing(
    server: WebServer, posted: Makes, status: int, why: str
) -> None:
    server.says(status)
    office = posted(server.table(), probe_seconds=60)
    cases = [office.case(objects=1), office.case(objects=1)]
    for case_id in cases:
        with pytest.raises(Busy):
            office.deliver(case_id)
    assert len(server.asked) == 1, "one alone asked"
    (road,) = office.node.questions.roads_down()
    assert why in road.last_error


@pytest.mark.parametrize("says", ["600", "in ten minutes"])
def test_R18_a_server_is_asked_when_it_wants_to_be_whatever_the_clock_was_set_to(
    server: WebServer,
    posted: Makes,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
) -> None:
    date = format_datetime(by_the_clock() + timedelta(minutes=10), usegmt=True)
    server.says(503, Retry_After=date if says == "in ten minutes" else says)
    office = posted(server.table(), probe_seconds=60)
    monkeypatch.setattr(steady, "zero", steady.zero - timedelta(days=365))
    with pytest.raises(Busy):
        office.deliver(office.case(objects=1))
    (road,) = office.node.questions.roads_down()
    seconds = (road.due_at - now()).total_seconds()
    assert 500 < seconds <= 600
    figure(f"clock set on by a year: a server that says {says} is asked in {seconds:.0f} s")


def test_no_redirect_is_followed(server: WebServer, posted: Makes) -> None:
    elsewhere = WebServer()
    server.says(307, Location=f"{elsewhere.url}/studies")
    office = posted(server.table(token="rosebud"))  # noqa: S106 - of a test
    with pytest.raises(Busy):
        office.deliver(office.case(objects=1))
    (road,) = office.node.questions.roads_down()
    assert "called elsewhere" in road.last_error
    assert elsewhere.asked == []
    elsewhere.server_close()


def test_a_silent_server_is_left_soon(server: WebServer, posted: Makes) -> None:
    server.seconds = 100.0
    office = posted(server.table(timeout_seconds=2.0))
    started = time.monotonic()
    with pytest.raises(Busy):
        office.deliver(office.case(objects=1))
    assert time.monotonic() - started < 60


def about(sequence: str, uid: str) -> bytes:
    item = {"00081155": {"vr": "UI", "Value": [uid]}, "00081197": {"vr": "US", "Value": [0xA900]}}
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"00081199": {"vr": "SQ", "Val', "cannot be read"),
        (b"stored, I think", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"null", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (about("00081199", "2.25.77"), "about another object"),
        (about("00081198", "2.25.77"), "about another object"),
    ],
)
def test_what_says_nothing_of_the_object_is_no_receipt(
    server: WebServer, posted: Makes, status: int, body: bytes, why: str
) -> None:
    server.says(status)
    server.body = body
    office = posted(server.table())
    case_id = office.case(objects=1)
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert receipts(office, case_id) == [Receipt.OWED]
    (road,) = office.node.questions.roads_down()
    assert why in road.last_error


@pytest.mark.parametrize(
    ("sequence", "receipt"), [("00081199", Receipt.DELIVERED), ("00081198", Receipt.REFUSED)]
)
def test_what_is_said_of_the_object_counts(
    server: WebServer, posted: Makes, sequence: str, receipt: Receipt
) -> None:
    office = posted(server.table())
    case_id = office.case(objects=1)
    server.body = about(sequence, office.node.questions.products_of(case_id)[0].sop_uid)
    with suppress(Refused):
        office.deliver(case_id)
    assert receipts(office, case_id) == [receipt]


@pytest.mark.parametrize("status", [200, 202])
def test_an_answer_that_was_cut_off_is_no_receipt(
    server: WebServer, posted: Makes, status: int
) -> None:
    server.says(status)
    server.body, server.cut = b"{}", 100
    office = posted(server.table())
    case_id = office.case(objects=1)
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert receipts(office, case_id) == [Receipt.OWED]


def test_a_page_for_people_is_no_receipt(server: WebServer, posted: Makes) -> None:
    server.says(200, Content_Type="text/html; charset=utf-8")
    server.body = b"<html>Please log in</html>"
    office = posted(server.table())
    case_id = office.case(objects=1)
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert receipts(office, case_id) == [Receipt.OWED]
    (road,) = office.node.questions.roads_down()
    assert "answers with a page" in road.last_error


def test_who_answers_drop_by_drop_is_left_soon() -> None:
    ended = threading.Event()

    def drip(listening: socket.socket) -> None:
        wire, _ = listening.accept()
        with wire, suppress(OSError):
            wire.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while not ended.wait(0.1):
                wire.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
        enough = threading.Timer(100, ended.set)
        enough.start()
        line = WebPeer(url, 1.0, "", SecretStr(""), SecretStr(""), None)
        started = time.monotonic()
        with web_line(line) as open_line:
            answer = open_line.send(Parcel("1.2", "1.2.840.10008.1.2.1", b"an object"))
        took = time.monotonic() - started
        enough.cancel()
        ended.set()
        thread.join()
    assert answer is None, "what ended before its end says nothing"
    assert took < 60


@pytest.mark.parametrize(
    "wishes",
    [
        {"url": "ftp://host/x"},
        {"url": "https://user:secret@host/x"},
        {"url": "https://:secret@host/x"},
        {"url": "https://host/x?tenant=3"},
        {"url": "https://host/x#3"},
        {"url": "https://host:99999/x"},
        {"url": "https://host/a b"},
        {"url": "https://host/x", "token": "rose\nbud"},
        {"url": "https://host/x", "token": "ros\u00e9bud"},
        {"url": "https://host/x", "user": "no:de", "password": "rosebud"},
        {"url": "http://pacs.hospital.example/x", "token": "rosebud"},
        {"url": "https://host/x", "port": 104},
        {"url": "https://host/x", "commitment": True},
    ],
)
def test_an_address_that_gives_secrets_away_or_makes_no_sense_is_refused(
    wishes: dict[str, object],
) -> None:
    with pytest.raises(ValidationError):
        Destination.model_validate({"name": "web", **wishes})


@pytest.mark.journey
def test_a_real_archive_stores_for_who_knows_the_password(posted: Makes) -> None:
    with orthanc_server(plugins=[DICOM_WEB], password="rosebud") as orthanc:  # noqa: S106
        table = {
            "name": "web",
            "url": f"http://127.0.0.1:{orthanc.http_port}/dicom-web",
            "user": "node",
        }
        stranger = posted({**table, "password": "guess"})
        with pytest.raises(Busy):
            stranger.deliver(stranger.case(objects=1))
        (road,) = stranger.node.questions.roads_down()
        assert "does not let the node in" in road.last_error
        stored_with(orthanc, posted({**table, "password": "rosebud"}, probe_seconds=0.001))


def stored_with(orthanc: OrthancServer, office: Posted) -> None:
    """Deliver a case, and see that it is there byte for byte."""
    case_id = office.case(objects=3)
    peer = peer_of(office.node.settings, "web", "")
    assert peer is not None
    ask(peer)

    def delivered() -> bool:
        with suppress(Busy, NotYourTurn):
            office.deliver(case_id)
        return office.state(case_id) == State.DELIVERED

    until(delivered)
    case = office.node.questions.case(case_id)
    assert case is not None
    held = {str(one.SOPInstanceUID): one for one in orthanc.datasets(case.study_uid)}
    kept = [dcmread(BytesIO(content)) for content in office.contents(case_id)]
    assert held == {str(one.SOPInstanceUID): one for one in kept}
