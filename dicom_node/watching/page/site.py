"""Which address answers what, to whom, and under which headers."""

import hmac
import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.errors import Busy
from dicom_node.logs import log
from dicom_node.settings.secrets import is_loopback
from dicom_node.settings.watching import Page
from dicom_node.watching.page.asked import HEADERS, Answer, Asked, words
from dicom_node.watching.page.login import Gate
from dicom_node.watching.page.look import login_page, status_page
from dicom_node.watching.page.metrics import KIND, metrics
from dicom_node.watching.page.overview import Overview
from dicom_node.wiring import Node

HTML = "text/html; charset=utf-8"
STYLE = Path(__file__).with_name("style.css").read_bytes()
ENCRYPTED_HEADERS = (("Strict-Transport-Security", "max-age=31536000"),)
WRONG = "This name and password are not known here."

logger = log("page")


@dataclass
class Site:
    """All that can be asked of the page."""

    node: Node
    page: Page
    gate: Gate = field(init=False)
    overview: Overview = field(init=False)

    def __post_init__(self) -> None:
        users = {user.name: user.password.get_secret_value() for user in self.page.users}
        self.gate = Gate(users, self.page.session_minutes * 60)
        self.overview = Overview(self.node)

    def answer(self, asked: Asked) -> Answer:
        """Answer one request; every answer has the headers that keep browsers careful."""
        try:
            said = self._answer(asked)
        except (SQLAlchemyError, Busy, OSError) as trouble:
            logger.warning("the ledger cannot be asked", why=type(trouble).__name__)
            said = words(HTTPStatus.SERVICE_UNAVAILABLE, "The ledger cannot be asked just now.")
        encrypted = ENCRYPTED_HEADERS if self.page.is_encrypted else ()
        return replace(said, headers=(*HEADERS, *encrypted, *said.headers))

    def _answer(self, asked: Asked) -> Answer:
        if not self._is_our_name(asked.headers.get("host", "")):
            return words(HTTPStatus.MISDIRECTED_REQUEST)
        answers = self._answers.get(asked.path)
        if answers is None:
            return words(HTTPStatus.NOT_FOUND)
        method = "GET" if asked.method == "HEAD" else asked.method
        if method not in answers:
            return words(HTTPStatus.METHOD_NOT_ALLOWED, "", ("Allow", ", ".join(answers)))
        if method == "POST" and not _is_from_here(asked):
            return words(HTTPStatus.FORBIDDEN)
        return answers[method](asked)

    @property
    def _answers(self) -> Mapping[str, Mapping[str, Callable[[Asked], Answer]]]:
        return {
            "/": {"GET": self._status},
            "/login": {"GET": lambda _: _html(login_page()), "POST": self._log_in},
            "/logout": {"POST": self._log_out},
            "/style.css": {"GET": lambda _: Answer(HTTPStatus.OK, STYLE, "text/css")},
            "/healthz": {"GET": lambda _: words(HTTPStatus.OK, "alive")},
            "/readyz": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
        }

    def _is_our_name(self, host: str) -> bool:
        """Know our own names: a stranger's name that leads here is some other page's trick."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            is_address = bool(ipaddress.ip_address(name))
        except ValueError:
            is_address = False
            name = host.rpartition(":")[0] or host
        ours = {"", "localhost", socket.gethostname(), *self.page.names}
        return is_address or name.lower() in {one.lower() for one in ours}

    # --- people -----------------------------------------------------------------------------

    def _status(self, asked: Asked) -> Answer:
        user = self.gate.who(asked.cookie(self._cookie))
        return _html(status_page(self.overview.now(), user)) if user else _to("/login")

    def _log_in(self, asked: Asked) -> Answer:
        name = asked.form.get("name", "")
        wait = self.gate.wait_seconds(asked.address, name)
        if wait > 0:
            page = login_page(f"Too many attempts: try again in {ceil(wait)} s.")
            again = ("Retry-After", str(ceil(wait)))
            return _html(page, HTTPStatus.TOO_MANY_REQUESTS, again)
        if not self.gate.is_user(name, asked.form.get("password", "")):
            logger.warning("login refused", address=asked.address)
            self.node.ledger.record("login refused", f"the status page, from {asked.address}")
            return _html(login_page(WRONG), HTTPStatus.FORBIDDEN)
        self.node.ledger.record("login", f"{name} at the status page, from {asked.address}")
        logger.info("login", user=name, address=asked.address)
        token = self.gate.let_in(name, asked.address)
        return _to("/", ("Set-Cookie", self._kept(token, int(self.page.session_minutes * 60))))

    def _log_out(self, asked: Asked) -> Answer:
        token = asked.cookie(self._cookie)
        user = self.gate.who(token)
        self.gate.let_out(token)
        if user:
            self.node.ledger.record("logout", f"{user} at the status page")
        return _to("/login", ("Set-Cookie", self._kept("", 0)))

    @property
    def _cookie(self) -> str:
        return "__Host-session" if self.page.is_encrypted else "session"

    def _kept(self, token: str, seconds: int) -> str:
        secure = "; Secure" if self.page.is_encrypted else ""
        told = f"Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}"
        return f"{self._cookie}={token}; {told}"

    # --- programs ---------------------------------------------------------------------------

    def _ready(self, _: Asked) -> Answer:
        hindrance = self.overview.hindrance()
        if hindrance:
            return words(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {hindrance}")
        return words(HTTPStatus.OK, "ready")

    def _metrics(self, asked: Asked) -> Answer:
        """Tell the numbers to whoever has the token; without one, to this machine alone."""
        token = self.page.metrics_token.get_secret_value()
        given = asked.headers.get("authorization", "").removeprefix("Bearer ")
        is_known = hmac.compare_digest(given.encode(), token.encode())
        if not (is_known if token else is_loopback(asked.address)):
            return words(HTTPStatus.UNAUTHORIZED, "", ("WWW-Authenticate", "Bearer"))
        return Answer(HTTPStatus.OK, metrics(self.overview.now()).encode(), KIND)


def _is_from_here(asked: Asked) -> bool:
    """See that a form was filled in on this page, not on somebody else's."""
    if asked.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = asked.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == asked.headers.get("host", "")
    except ValueError:  # an address that is none
        return False


def _html(page: str, status: HTTPStatus = HTTPStatus.OK, *headers: tuple[str, str]) -> Answer:
    return Answer(status, page.encode(), HTML, headers)


def _to(path: str, *headers: tuple[str, str]) -> Answer:
    return Answer(HTTPStatus.SEE_OTHER, headers=(("Location", path), *headers))
