"""A small server for a small page: bounded in connections, bytes and seconds.

One request a connection, read whole before anything is made of it. Nobody who is slow, silent or
endless holds more than a thread for some seconds, and never the thread that accepts.
"""

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from dicom_node.errors import told
from dicom_node.logs import log
from dicom_node.watching.page.asked import (
    END_OF_HEAD,
    HEAD_BYTES,
    HEADERS,
    Answer,
    Asked,
    Unreadable,
    head_of,
    words,
)

REQUEST_SECONDS = 10.0  # for the handshake and the whole request
ANSWER_SECONDS = 10.0
CONNECTIONS = 64
CONNECTIONS_OF_ONE = 16
BLOCK = 8 << 10

logger = log("page")


@dataclass
class Places:
    """How many connections there may be, in all and of one address."""

    taken: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, address: str) -> bool:
        """Take a place, where there is one."""
        with self.lock:
            if self.taken.total() >= CONNECTIONS or self.taken[address] >= CONNECTIONS_OF_ONE:
                return False
            self.taken[address] += 1
            return True

    def leave(self, address: str) -> None:
        """Give a place back."""
        with self.lock:
            self.taken[address] -= 1
            if not self.taken[address]:
                del self.taken[address]


def serve(
    listening: socket.socket,
    tls: ssl.SSLContext | None,
    answer: Callable[[Asked], Answer],
    stop: threading.Event,
) -> None:
    """Answer requests until told to stop."""
    places = Places()
    listening.settimeout(0.5)
    while not stop.is_set():
        try:
            connection, (address, *_) = listening.accept()
        except TimeoutError:
            continue
        except OSError as trouble:  # no descriptors left, or a peer that went at once
            logger.warning("no connection", why=trouble.strerror)
            stop.wait(0.1)
            continue
        if not places.take(address):
            connection.close()
            continue
        given = (connection, address, tls, answer, places)
        try:
            threading.Thread(target=_serve_one, args=given, name="page", daemon=True).start()
        except (RuntimeError, MemoryError) as trouble:  # no further thread can be had just now
            logger.warning("no connection", why=type(trouble).__name__)
            connection.close()
            places.leave(address)
            stop.wait(0.1)


def _serve_one(
    connection: socket.socket,
    address: str,
    tls: ssl.SSLContext | None,
    answer: Callable[[Asked], Answer],
    places: Places,
) -> None:
    deadline = time.monotonic() + REQUEST_SECONDS
    try:
        with suppress(OSError), connection:  # a peer that goes away, or is too slow
            connection.settimeout(REQUEST_SECONDS)
            if tls is None:
                _converse(connection, address, answer, deadline)
                return
            with tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            ) as encrypted:
                encrypted.do_handshake()
                _converse(encrypted, address, answer, deadline)
    finally:
        places.leave(address)


def _converse(
    connection: socket.socket, address: str, answer: Callable[[Asked], Answer], deadline: float
) -> None:
    try:
        asked = _read(connection, address, deadline)
    except Unreadable as fault:
        method, said = "GET", words(fault.status, "", *HEADERS)
    else:
        method, said = asked.method, _answered(answer, asked)
    connection.settimeout(ANSWER_SECONDS)
    connection.sendall(_written(said, with_body=method != "HEAD"))
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _answered(answer: Callable[[Asked], Answer], asked: Asked) -> Answer:
    try:
        return answer(asked)
    except Exception as fault:  # noqa: BLE001 - a fault of ours is an answer too, not a silence
        logger.error("fault", why=told(fault))
        return words(HTTPStatus.INTERNAL_SERVER_ERROR, "", *HEADERS)


def _read(connection: socket.socket, address: str, deadline: float) -> Asked:
    """Read one request whole, and nothing behind it."""
    content = b""
    while END_OF_HEAD not in content:
        if len(content) > HEAD_BYTES:
            raise Unreadable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        content += _more(connection, deadline)
    head, _, body = content.partition(END_OF_HEAD)
    if len(head) > HEAD_BYTES:
        raise Unreadable(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    asked, length = head_of(head, address)
    while len(body) < length:
        body += _more(connection, deadline)
    return replace(asked, body=body[:length])


def _more(connection: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unreadable(HTTPStatus.REQUEST_TIMEOUT)
    connection.settimeout(left)
    try:
        block = connection.recv(BLOCK)
    except TimeoutError:
        raise Unreadable(HTTPStatus.REQUEST_TIMEOUT) from None
    if not block:
        raise ConnectionAbortedError
    return block


def _written(said: Answer, *, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {said.status.value} {said.status.phrase}",
        f"Content-Type: {said.kind}",
        f"Content-Length: {len(said.body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in said.headers),
    ]
    return "\r\n".join(lines).encode("ascii") + END_OF_HEAD + (said.body if with_body else b"")
