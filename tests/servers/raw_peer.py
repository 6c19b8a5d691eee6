"""A peer on a bare socket: it can say anything, fall silent anywhere, and times the answers."""

import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import wire
from wire import Pdu

PATIENCE_SECONDS = 60.0
STANDARD = (wire.offered(1, wire.VERIFICATION, wire.IMPLICIT),)
STORAGE = (*STANDARD, wire.offered(3, wire.MAMMOGRAM, wire.EXPLICIT))


class Gone(Exception):
    """Say that the other side closed the connection."""


class Peer:
    """One connection."""

    def __init__(
        self, port: int, *, tls: ssl.SSLContext | None = None, source: str | None = None
    ) -> None:
        self.opened_at = time.monotonic()
        self.socket = socket.create_connection(
            ("127.0.0.1", port),
            PATIENCE_SECONDS,
            source_address=None if source is None else (source, 0),
        )
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def say(self, *content: bytes) -> None:
        """Send bytes, whatever they are."""
        try:
            self.socket.sendall(b"".join(content))
        except (ConnectionError, ssl.SSLError) as trouble:
            raise Gone from trouble

    def hear(self, seconds: float = PATIENCE_SECONDS) -> Pdu:
        """Wait for the next PDU."""
        deadline = time.monotonic() + seconds
        kind, _, length = struct.unpack(">BBI", self._exactly(6, deadline))
        return Pdu(kind, self._exactly(length, deadline))

    def ask(self, *content: bytes) -> Pdu | None:
        """Send bytes and wait for an answer; None where the connection was closed instead."""
        try:
            self.say(*content)
            return self.hear()
        except Gone:
            with suppress(Gone):  # an abort may lie there, unread when the line broke
                return self.hear(1)
            return None

    def _exactly(self, size: int, deadline: float) -> bytes:
        content = b""
        while len(content) < size:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                piece = self.socket.recv(size - len(content))
            except (ConnectionError, ssl.SSLError) as trouble:
                raise Gone from trouble
            if not piece:
                raise Gone
            content += piece
        return content

    def open(
        self,
        contexts: Sequence[bytes] = STORAGE,
        *,
        called: bytes = b"FOURVIEWS",
        calling: bytes = b"ATTACKER",
    ) -> Pdu:
        """Ask for an association, and return what came back."""
        self.say(wire.associate(*contexts, called=called, calling=calling))
        return self.hear()

    def echo(self, message: int = 1) -> int:
        """Ask whether somebody is there, in an open association."""
        self.say(wire.echo_request(1, message))
        return self.hear().status

    def store(
        self, sop_uid: str | bytes, content: bytes, *, sop_class: str = wire.MAMMOGRAM
    ) -> int | None:
        """Send an image and return the status; None where the association ended instead."""
        answer = self.ask(wire.store_request(3, sop_class, sop_uid, content))
        return answer.status if answer is not None and answer.kind == wire.DATA else None

    def release(self) -> None:
        """Say good-bye and hear it."""
        self.say(wire.pdu(wire.RELEASE, bytes(4)))
        assert self.hear().kind == wire.RELEASED

    def reset(self) -> None:
        """Break the connection as a pulled plug does: no good-bye, not even of TCP."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def closed_after(self, seconds: float) -> float | None:
        """Wait for the other side to close; return how long it took since the connection began."""
        left = self.opened_at + seconds
        self.socket.settimeout(1)
        while time.monotonic() < left:
            try:
                if not self.socket.recv(65536):
                    return time.monotonic() - self.opened_at
            except TimeoutError:
                continue
            except OSError:
                return time.monotonic() - self.opened_at
        return None


def good_echo(port: int, *, tls: ssl.SSLContext | None = None, calling: bytes = b"GOOD") -> float:
    """Let a well-behaved peer connect, echo and leave; return how long it took."""
    started = time.monotonic()
    with Peer(port, tls=tls) as peer:
        answer = peer.open(STANDARD, calling=calling)
        assert answer.kind == wire.ACCEPT, f"a good peer was answered with PDU {answer.kind:02X}"
        assert peer.echo() == 0
        peer.release()
    return time.monotonic() - started


def closings(peers: Iterable[Peer], seconds: float) -> list[float]:
    """Wait until the other side has closed every one; return when each was, since it opened.

    Whoever is not closed in time is told as never: infinity.
    """
    waiting = {peer.socket.fileno(): peer for peer in peers}
    watch = select.poll()
    for number in waiting:
        watch.register(number, select.POLLIN)
    ended: list[float] = []
    deadline = time.monotonic() + seconds
    while waiting and time.monotonic() < deadline:
        for number, _ in watch.poll(100):
            peer = waiting[number]
            peer.socket.setblocking(False)
            try:
                gone = not peer.socket.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                watch.unregister(number)
                del waiting[number]
                ended.append(time.monotonic() - peer.opened_at)
    return ended + [float("inf")] * len(waiting)
