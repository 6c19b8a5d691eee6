"""STOW-RS (PS3.18, 10.5): objects stored over HTTP, one request each, on one connection.

One object a request, so that each has an answer of its own: many a server answers for a whole
bundle with one status. The bytes go out as they are kept. No redirect is followed: whoever answers
elsewhere would be told the token.
"""

import base64
import http.client
import json
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from dicom_node.delivering.cable import in_words, unplug
from dicom_node.delivering.sender import (
    FAREWELL_SECONDS,
    SLOWEST_BYTES_PER_SECOND,
    Parcel,
    tls_context,
)
from dicom_node.delivering.statuses import HTTP, PROCESSING_FAILURE
from dicom_node.errors import Busy
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import now
from dicom_node.settings.delivering import ClientTLS

FAILED_SOPS, FAILURE_REASON = "00081198", "00081197"
REFERENCED_SOPS, WARNING_REASON = "00081199", "00081196"
REFERENCED_UID = "00081155"
LONGEST_ANSWER = 1 << 20
LONGEST_WAIT = timedelta(hours=1)
OBJECTIONS = {
    401: "it does not let the node in: wrong or missing credentials",
    403: "it does not let the node store there",
    404: "there is no STOW-RS at this address",
    407: "a proxy in between does not let the node through",
    408: "the request was not whole in its time",
    429: "it has too much to do",
    503: "it is out of service",
}


@dataclass(frozen=True, slots=True)
class WebPeer:
    """Where to store, and as whom."""

    url: str
    timeout_seconds: float
    user: str
    password: SecretStr
    token: SecretStr
    tls: ClientTLS | None

    def __str__(self) -> str:
        return self.url


@dataclass
class WebLine:
    """A connection to a server, and what it answers."""

    peer: WebPeer
    connection: http.client.HTTPConnection

    def send(self, parcel: Parcel) -> int | None:
        """Store one object as it is, and return the status, or None where no answer came."""
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + parcel.content + f"\r\n--{boundary}--\r\n".encode()
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        seconds = self.peer.timeout_seconds + len(body) / SLOWEST_BYTES_PER_SECOND
        try:
            answer, content = self.ask("POST", "/studies", seconds, body, {"Content-Type": kind})
        except (OSError, http.client.HTTPException) as trouble:
            self.connection.close()
            if isinstance(trouble, ssl.SSLError) and "ALERT" in (trouble.reason or ""):
                words = in_words(trouble, self.peer.timeout_seconds)
                raise Busy(f"{self.peer}: {words}") from trouble
            return None
        return _status(self.peer, answer, content, parcel.sop_uid)

    def ask(
        self,
        method: str,
        path: str,
        seconds: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Make one request, all of it within its time."""
        told = {**_credentials(self.peer), "Accept": "application/dicom+json", **(headers or {})}
        way = urlsplit(self.peer.url).path.rstrip("/") + path
        if self.connection.sock is None:
            self.open()
        # Held here: an answer that ends with its connection is read after http.client let go of it.
        wire = self.connection.sock
        with _watch(lambda: wire, seconds + FAREWELL_SECONDS):
            self.connection.request(method, way, body, told)
            answer = self.connection.getresponse()
            content = answer.read(LONGEST_ANSWER)
        return answer, content

    def open(self) -> None:
        """Connect and shake hands, all of it within its time."""
        with _watch(lambda: self.connection.sock, 2 * self.peer.timeout_seconds):
            self.connection.connect()


class _OverTLS(http.client.HTTPSConnection):
    """A connection whose plug can be pulled while hands are shaken."""

    def connect(self) -> None:
        """Connect first, and shake hands on a socket that is known by then."""
        http.client.HTTPConnection.connect(self)
        context: ssl.SSLContext = self._context  # type: ignore[attr-defined]
        wire = context.wrap_socket(
            self.sock, server_hostname=self.host, do_handshake_on_connect=False
        )
        self.sock = wire
        wire.do_handshake()


@contextmanager
def _watch(wire: Callable[[], socket.socket | None], seconds: float) -> Iterator[None]:
    """Pull the plug when the block takes longer, and call that a TimeoutError."""
    is_late = threading.Event()

    def pull() -> None:
        is_late.set()
        if (plug := wire()) is not None:
            unplug(plug)

    watch = threading.Timer(seconds, pull)
    watch.daemon = True
    watch.start()
    try:
        yield
    except (OSError, http.client.HTTPException) as trouble:
        if is_late.is_set():
            raise TimeoutError from trouble
        raise
    finally:
        watch.cancel()
    if is_late.is_set():
        raise TimeoutError


@contextmanager
def web_line(peer: WebPeer) -> Iterator[WebLine]:
    """Open a connection, and close it."""
    line = WebLine(peer, _connection(peer))
    try:
        line.open()
    except (OSError, UnicodeError) as trouble:
        line.connection.close()
        known = trouble if isinstance(trouble, OSError) else socket.gaierror()
        why = in_words(known, peer.timeout_seconds)
        raise Busy(f"{peer} cannot be reached: {why}") from trouble
    try:
        yield line
    finally:
        line.connection.close()


def _connection(peer: WebPeer) -> http.client.HTTPConnection:
    parts = urlsplit(peer.url)
    assert parts.hostname is not None
    if parts.scheme == "https":
        context = tls_context(str(peer), peer.tls or ClientTLS())
        return _OverTLS(parts.hostname, parts.port, timeout=peer.timeout_seconds, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=peer.timeout_seconds)


def _credentials(peer: WebPeer) -> dict[str, str]:
    token, password = peer.token.get_secret_value(), peer.password.get_secret_value()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if peer.user:
        told = base64.b64encode(f"{peer.user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {told}"}
    return {}


def _status(peer: WebPeer, answer: http.client.HTTPResponse, content: bytes, sop_uid: str) -> int:
    """Translate an answer; Busy where it is not about the object, but about the road."""
    code = answer.status
    if code in OBJECTIONS:
        raise Busy(f"{peer}: {OBJECTIONS[code]} (HTTP {code})", _retry_at(answer))
    if code // 100 == 3:  # noqa: PLR2004 - redirections
        raise Busy(f"{peer}: it wants to be called elsewhere, which is not done (HTTP {code})")
    if code // 100 == 5:  # noqa: PLR2004 - server errors: it may be the object's fault
        return PROCESSING_FAILURE
    if code in {200, 202} and answer.headers.get_content_type() == "text/html":
        raise Busy(f"{peer}: it answers with a page for people, and says nothing of the object")
    told = _told(answer, content)
    if told is None and code in {200, 202}:
        raise Busy(f"{peer}: its answer cannot be read, or was cut off (HTTP {code})")
    failed, stored = (_items(told, one) for one in (FAILED_SOPS, REFERENCED_SOPS))
    ours = [one for one in failed if _is_about(one, sop_uid)]
    if ours:
        return _reason(ours[0], FAILURE_REASON) or PROCESSING_FAILURE
    taken = [one for one in stored if _is_about(one, sop_uid)]
    if (failed or stored) and not taken:
        raise Busy(f"{peer}: its answer is about another object (HTTP {code})")
    if code in {200, 202}:
        return next((reason for one in taken if (reason := _reason(one, WARNING_REASON))), 0x0000)
    return HTTP + code


def _told(answer: http.client.HTTPResponse, content: bytes) -> Mapping[str, Any] | None:
    """Read what a server says; nothing at all is for its status to say, but half is not read."""
    if answer.length:  # so much of it did not come
        return None
    if not content and answer.headers.get("Content-Length") == "0":
        return {}
    with suppress(ValueError, RecursionError):
        told = json.loads(content)
        if isinstance(told, list) and told:
            told = told[0]
        if isinstance(told, dict):
            return told
    return None


def _items(told: Mapping[str, Any] | None, sequence: str) -> list[Any]:
    with suppress(KeyError, TypeError):
        return list((told or {})[sequence]["Value"])
    return []


def _is_about(item: Any, sop_uid: str) -> bool:  # noqa: ANN401 - anybody's JSON
    """Say whether an item is about an object; many a server tells of the one without naming it."""
    named = ""
    with suppress(KeyError, IndexError, TypeError):
        named = str(item[REFERENCED_UID]["Value"][0]).rstrip("\0 ")
    return not sop_uid or named in {"", sop_uid}


def _reason(item: Any, reason: str) -> int | None:  # noqa: ANN401 - as above
    with suppress(KeyError, IndexError, TypeError, ValueError):
        return int(item[reason]["Value"][0])
    return None


def _retry_at(answer: http.client.HTTPResponse) -> datetime | None:
    """Say when a server wants to be asked again, in the ledger's time; within an hour from now."""
    said = answer.getheader("Retry-After", "")
    with suppress(ValueError, OverflowError):
        if said.isdigit():
            wait = timedelta(seconds=int(said))
        else:
            wait = parsedate_to_datetime(said).astimezone(UTC) - by_the_clock()
        return now() + min(wait, LONGEST_WAIT)
    return None


def web_echo(peer: WebPeer) -> None:
    """Ask a server for one study (QIDO-RS), and raise Busy with the reason where it objects."""
    with web_line(peer) as line:
        try:
            answer, _ = line.ask("GET", "/studies?limit=1", peer.timeout_seconds)
        except (OSError, http.client.HTTPException) as trouble:
            raise Busy(f"{peer} does not answer") from trouble
        if answer.status not in {200, 204}:
            objection = OBJECTIONS.get(answer.status, "it objects")
            raise Busy(f"{peer}: {objection} (HTTP {answer.status})")
