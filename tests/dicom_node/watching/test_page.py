"""The status page: who gets in, what it says, and what it never does."""

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse

import pytest
from destinations import Posted
from free_ports import free_port
from pydantic import ValidationError
from senders import until

from dicom_node.errors import Misconfigured
from dicom_node.ledger.outbox import record_loss, record_refusal
from dicom_node.ledger.tables import Delivery
from dicom_node.life import Commit, State
from dicom_node.settings.file import Settings
from dicom_node.settings.watching import Page
from dicom_node.watching.page import server
from dicom_node.watching.page.login import hashed
from dicom_node.watching.page.look import status_page
from dicom_node.watching.page.metrics import metrics
from dicom_node.watching.page.overview import Overview
from dicom_node.watching.page.run import show_page
from dicom_node.wiring import Node

PASSWORD = "correct horse battery"  # noqa: S105 - of a node that lives for a test
USER = {"name": "night-shift", "password": hashed(PASSWORD)}
Figure = Callable[[str], None]


class Browser:
    """As much of a browser as the tests need: it keeps a cookie."""

    def __init__(self, port: int) -> None:
        self.port, self.cookie = port, ""

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> HTTPResponse:
        told = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        told |= {"Cookie": self.cookie} if self.cookie else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body or None, told)
        answer = connection.getresponse()
        answer.text = answer.read().decode()  # type: ignore[attr-defined]
        kept = answer.headers.get("Set-Cookie")
        if kept is not None:
            self.cookie = kept.partition(";")[0]
        connection.close()
        return answer

    def log_in(self, password: str = PASSWORD, name: str = "night-shift") -> HTTPResponse:
        return self.ask("POST", "/login", f"name={name}&password={password.replace(' ', '+')}")


@pytest.fixture
def served(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> Iterator[tuple[Browser, Node]]:
    port, stop = free_port(), threading.Event()
    page = {"port": port, "users": [USER]}
    node = opened(settled(watching={"page": page}, receiving={"reserve_megabytes": 1}))
    running = threading.Thread(target=show_page, args=(node, stop))
    running.start()
    browser = Browser(port)

    def answers() -> bool:
        try:
            return browser.ask("GET", "/healthz").status > 0
        except ConnectionRefusedError:
            return False

    until(answers)
    yield browser, node
    stop.set()
    running.join()


def said(answer: HTTPResponse) -> str:
    return str(answer.text)  # type: ignore[attr-defined]


def test_S6_nobody_sees_anything_without_a_login(
    served: tuple[Browser, Node], figure: Figure
) -> None:
    browser, node = served
    wrong = [
        browser.ask("GET", "/"),
        browser.ask("HEAD", "/"),
        browser.ask("GET", "/", Cookie="session=guess"),
        browser.log_in("wrong password"),
        browser.log_in(name="nobody"),
        browser.ask("POST", "/login", "name=night-shift"),
    ]
    seen = sum(answer.status == http.HTTPStatus.OK for answer in wrong)
    right = browser.log_in()
    page = browser.ask("GET", "/")
    figure(f"{seen} of {len(wrong)} strangers let in; who knows the password is")
    assert [answer.status for answer in wrong] == [303, 303, 303, 403, 403, 403]
    assert (right.status, page.status) == (303, 200)
    assert re.fullmatch(
        r"session=[\w-]{43}; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600",
        right.headers["Set-Cookie"],
    )
    assert "For research use only" in said(page)
    events = [(event.what, event.sentence) for event in node.questions.last_events(9)]
    assert events[-1] == ("login", "night-shift at the status page, from 127.0.0.1")
    assert [what for what, _ in events].count("login refused") == 3
    browser.ask("POST", "/logout")
    assert browser.ask("GET", "/").status == 303


def test_A3_who_signs_in_and_out_and_who_cannot_is_recorded(
    served: tuple[Browser, Node], figure: Figure
) -> None:
    browser, node = served
    browser.log_in("wrong password")
    browser.log_in()
    browser.ask("POST", "/logout")
    events = [(event.what, event.sentence) for event in node.questions.last_events(3)]
    assert [what for what, _ in events] == ["login refused", "login", "logout"]
    assert all("127.0.0.1" in sentence for what, sentence in events if what != "logout")
    assert not any(secret in str(events) for secret in (PASSWORD, "wrong password", browser.cookie))
    figure("login, login refused, logout: recorded, without the password")


def test_the_page_tells_what_failed_and_escapes_it(served: tuple[Browser, Node]) -> None:
    browser, node = served
    office = Posted(node)
    case = office.case()
    node.ledger.move(case, State.REPORTED, State.DELIVERING, lease="x")
    why = '<script>alert("x")</script> & glass'
    node.ledger.move(case, State.DELIVERING, State.FAILED, why, lease="x")
    browser.log_in()
    page = said(browser.ask("GET", "/"))
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; glass" in page
    assert "<script" not in page
    assert "FAILED" in page
    numbers = said(browser.ask("GET", "/metrics"))
    assert 'fourviews_cases{state="FAILED"} 1\n' in numbers
    assert re.search(r"^fourviews_disk_free_bytes \d+$", numbers, re.MULTILINE)
    assert said(browser.ask("GET", "/readyz")) == "ready\n"
    assert all(re.fullmatch(r"#.*|\w+(\{.*\})? [\d.e+-]+", line) for line in numbers.splitlines())


def test_page_and_numbers_tell_who_will_not_take_or_keep_something(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    place = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 9}
    node = opened(settled(delivering={"destinations": [place]}))
    office = Posted(node)
    first, second, third = office.rows(office.case(3))
    record_loss(node.ledger, third.id, "its file is gone")
    record_refusal(node.ledger, first.id, 0xC000, "it makes no <sense>")
    with node.ledger.writing() as session:
        row = session.get_one(Delivery, second.id)
        row.commitment, row.last_error = Commit.REFUSED, "it forgets"
    told = Overview(node).now()
    page = status_page(told, "night-shift")
    assert "<dt>Will not take</dt>" in page
    assert "pacs: 1 objects: it makes no &lt;sense&gt;" in page
    assert "<dt>Does not promise to keep</dt>" in page
    assert "pacs: 1 objects: it forgets" in page
    numbers = metrics(told).splitlines()
    assert "<dt>Cannot be sent</dt>" in page
    for name in ("refused", "lost", "uncommitted", "owed"):
        assert f'fourviews_{name}_objects{{destination="pacs"}} 1' in numbers


def test_S6_every_answer_keeps_a_browser_careful(
    served: tuple[Browser, Node], figure: Figure
) -> None:
    browser, _ = served
    browser.log_in()
    answers = [
        browser.ask(*asked)
        for asked in (
            ("GET", "/"), ("GET", "/login"), ("GET", "/style.css"), ("GET", "/nothing"),
            ("GET", "/healthz"), ("GET", "/metrics"), ("PUT", "/"), ("GET", "/../../etc/passwd"),
            ("GET", "/%2e%2e/etc/passwd"), ("GET", "/style.css/../x"), ("GET", "//etc/passwd"),
        )
    ]  # fmt: skip
    careful = [
        answer
        for answer in answers
        if "default-src 'none'" in answer.headers["Content-Security-Policy"]
        and "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        and "unsafe" not in answer.headers["Content-Security-Policy"]
        and answer.headers["X-Content-Type-Options"] == "nosniff"
        and answer.headers["Cache-Control"] == "no-store"
        and answer.headers["Server"] is None
    ]
    figure(f"{len(careful)} of {len(answers)} answers under CSP, nosniff, no-store")
    assert len(careful) == len(answers)
    assert [answer.status for answer in answers] == [200] * 3 + [404] + [200] * 2 + [405] + [
        404
    ] * 4
    page = said(answers[0])
    assert not re.search(r"<script|style=|javascript:|\son\w+=|https?://", page)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
    ],
)
def test_another_page_cannot_log_in_or_out(
    served: tuple[Browser, Node], headers: dict[str, str]
) -> None:
    browser, _ = served
    body = f"name=night-shift&password={PASSWORD.replace(' ', '+')}"
    assert browser.ask("POST", "/login", body, **headers).status in {403, 421}
    assert browser.cookie == ""


def test_S6_slow_silent_and_endless_peers_hold_nobody_up(
    served: tuple[Browser, Node], figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 4.0  # for a request; whoever was held up by a slow one would wait for so long
    monkeypatch.setattr(server, "REQUEST_SECONDS", limit)
    monkeypatch.setattr(server, "CONNECTIONS_OF_ONE", 40)
    browser, _ = served
    begun = time.monotonic()
    peers = [socket.create_connection(("127.0.0.1", browser.port)) for _ in range(30)]
    for number, peer in enumerate(peers):
        if number % 3 == 1:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        if number % 3 == 2:
            peer.sendall(
                b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nname"
            )
    answered = browser.ask("GET", "/healthz").status
    after = time.monotonic() - begun
    for peer in peers:
        peer.settimeout(60)
        while peer.recv(4096):
            pass
    closed = time.monotonic() - begun
    figure(
        f"a good peer answered in {after:.2f} s beside 30 slow ones, all closed in {closed:.1f} s"
    )
    assert answered == 200
    assert after < limit
    assert limit <= closed < 60


def test_a_machine_without_another_thread_is_served_again_when_it_has_one(
    served: tuple[Browser, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, _ = served

    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(server.threading.Thread, "start", none)
        for _ in range(server.CONNECTIONS_OF_ONE + 1):
            with pytest.raises(ConnectionError):
                browser.ask("GET", "/healthz")
    assert browser.ask("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2, 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n", 431),
        (b"GET " + b"/x" * 2_000 + b" HTTP/1.1\r\nHost: localhost\r\n", 400),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n", 413),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 50 + b"\r\n", 413),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n", 400),
        (b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"POST /login HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n", 400),
        (b"GET /\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\nX: y\r\n", 400),
        (b"GET / HTTP/1.1\r\n X: y\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(
    served: tuple[Browser, Node], request_: bytes, status: int
) -> None:
    browser, _ = served
    with socket.create_connection(("127.0.0.1", browser.port)) as peer:
        peer.sendall(request_ + b"\r\n")
        peer.settimeout(60)
        answer = peer.recv(4096)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Security-Policy: default-src 'none'" in answer
    assert browser.ask("GET", "/healthz").status == 200


BEYOND = {"address": "0.0.0.0", "serve": True, "users": [USER]}  # noqa: S104 - what is refused


REFUSED: list[tuple[dict[str, object], str]] = [
    (BEYOND, "beyond this machine it needs TLS"),
    ({**BEYOND, "address": "::"}, "beyond this machine it needs TLS"),
    ({**BEYOND, "address": "page.hospital.example"}, "beyond this machine it needs TLS"),
    ({**BEYOND, "certificate": "x.pem"}, "certificate and private_key go together"),
    ({"serve": True}, "nobody could log in"),
    ({"users": [USER, USER]}, "a name of its own"),
    ({"users": [{"name": "x", "password": "secret"}]}, "what `dicom-node password` printed"),
]


def test_S6_no_page_without_login_and_none_on_the_network_without_tls(figure: Figure) -> None:
    said = []
    for page, why in REFUSED:
        with pytest.raises(ValidationError) as raised:
            Page.model_validate(page)
        said.append(why in str(raised.value.errors()[0]["msg"]))
    figure(f"{sum(said)} of {len(REFUSED)} unguarded pages refused, by default none is served")
    assert all(said)
    assert not Page().serve
    assert Page().address == "127.0.0.1"


def test_a_page_that_nobody_may_see_is_not_served(node: Node) -> None:
    with pytest.raises(Misconfigured, match="nobody could log in"):
        show_page(node, threading.Event())


def test_numbers_are_for_this_machine_or_for_who_has_the_token(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    from dicom_node.watching.page.asked import Asked
    from dicom_node.watching.page.site import Site

    def status(address: str, token: str = "", given: str = "") -> int:
        page = {"users": [USER], "metrics_token": token}
        node = opened(settled(watching={"page": page}))
        headers = {"host": "localhost", "authorization": given}
        asked = Asked("GET", "/metrics", headers, address)
        return int(Site(node, node.settings.watching.page).answer(asked).status)

    assert status("127.0.0.1") == 200
    assert status("10.1.2.3") == 401
    assert status("127.0.0.1", "rosebud") == 401
    assert status("10.1.2.3", "rosebud", "Bearer rosebud") == 200
    assert status("10.1.2.3", "rosebud", "Bearer roseöud") == 401
