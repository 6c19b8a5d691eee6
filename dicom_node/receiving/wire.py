"""One connection on the network, on which everything has a limit: how large, and how long.

pynetdicom's own socket reads whatever length it is told, and waits for as long as it takes. This
one never waits without a deadline, for reading or for writing, and the clock that it asks cannot be
set. It polls nothing: it sleeps until the network, or the end of the process, wakes it.
"""

import os
import select
import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

BUFFER_BYTES = 1 << 20
SMALL_BYTES = 4 << 10
LINGER_SECONDS = 2.0
LINGER_BYTES = 1 << 20


class Ended(Exception):
    """Say how a connection ended: as the audit trail has it, and why."""

    def __init__(self, how: str, why: str = "") -> None:
        super().__init__(why or how)
        self.how = how
        self.why = why


class Lost(Ended):
    """Say that the connection broke off."""

    def __init__(self, why: str) -> None:
        super().__init__("lost", why)


class CutOff(Ended):
    """Say why this node ends the connection, and which reason an A-ABORT gives (PS3.8 9.3.8)."""

    def __init__(self, why: str, reason: int = 0) -> None:
        super().__init__("cut off", why)
        self.reason = reason


class Stop:
    """Tell every connection at once that the node stops, also those that sleep."""

    def __init__(self) -> None:
        self.told = False
        self.wakes = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        weakref.finalize(self, os.close, self.wakes)  # once the last connection has let go of it

    def tell(self) -> None:
        """Wake all who sleep between two messages."""
        self.told = True
        os.eventfd_write(self.wakes, 1)  # nobody reads it: whoever looks later is woken too


class Wire(AssociationSocket):
    """A connection that was accepted; what was read of it and not yet taken waits in one buffer."""

    def __init__(self, association: Association, connection: socket.socket, stop: Stop) -> None:
        super().__init__(association, client_socket=connection)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.plug = connection
        self.can_speak = True
        self.bytes_read = 0
        self.stop = stop
        self._deadline = 0.0
        self._overdue = ""
        self._buffer = memoryview(bytearray(SMALL_BYTES))
        self._start = self._end = 0

    # --- limits of time -------------------------------------------------------------------------

    def give(self, seconds: float, overdue: str) -> None:
        """Allow so long from now on, for whatever is read; what is said when it is over."""
        self._deadline = time.monotonic() + seconds
        self._overdue = overdue

    def _wait(self, event: int, *, until: float | None = None, to_be_stopped: bool = False) -> None:
        """Sleep until the network can go on, or the time is up."""
        left = (self._deadline if until is None else until) - time.monotonic()
        poll = select.poll()
        poll.register(self.plug, event)
        if to_be_stopped:
            poll.register(self.stop.wakes, select.POLLIN)
        woken = poll.poll(max(0.0, left) * 1000) if left > 0 else []
        if not woken:
            raise CutOff(self._overdue)
        if to_be_stopped and woken[0][0] == self.stop.wakes:
            raise CutOff("the node stops")

    # --- reading --------------------------------------------------------------------------------

    def wait_for_more(self) -> None:
        """Sleep until the next PDU begins; here, between two messages, the node may stop."""
        if self._start == self._end:
            self._read(1, to_be_stopped=True)

    def peek(self, wanted: int) -> memoryview:
        """Look at the next bytes without taking them."""
        self._read(wanted)
        return self._buffer[self._start : self._start + wanted]

    def take(self, wanted: int) -> bytes:
        """Take bytes out of the stream, few enough for a buffer of their own."""
        parts = [bytes(piece) for piece in self.pieces(wanted)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def pieces(self, wanted: int) -> Iterator[memoryview]:
        """Take bytes out of the stream as they lie there; each piece is good until the next."""
        while wanted:
            if self._start == self._end:
                self._read(1)
            piece = self._buffer[self._start : min(self._end, self._start + wanted)]
            self._start += len(piece)
            wanted -= len(piece)
            yield piece

    def waiting(self) -> memoryview:
        """Show what was read and not yet taken; it is good until the next reading."""
        return self._buffer[self._start : self._end]

    def skip(self, count: int) -> None:
        """Take what was looked at."""
        self._start += count

    def widen(self) -> None:
        """Make room for an image."""
        self._resize(BUFFER_BYTES)

    def narrow(self) -> None:
        """Give the room back: idle connections may be many."""
        if self._end - self._start <= SMALL_BYTES:
            self._resize(SMALL_BYTES)

    def _resize(self, size: int) -> None:
        if len(self._buffer) != size:
            left = self._buffer[self._start : self._end]
            fresh = memoryview(bytearray(size))
            fresh[: len(left)] = left
            self._buffer, self._start, self._end = fresh, 0, len(left)

    def _read(self, wanted: int, *, to_be_stopped: bool = False) -> None:
        """Have at least so many bytes in the buffer."""
        while self._end - self._start < wanted:
            if self._start == self._end:
                self._start = self._end = 0
            elif self._start + wanted > len(self._buffer):
                left = bytes(self._buffer[self._start : self._end])
                self._start, self._end = 0, len(left)
                self._buffer[: len(left)] = left
            count = self._receive(self._buffer[self._end :], to_be_stopped=to_be_stopped)
            self._end += count
            self.bytes_read += count

    def _receive(self, room: memoryview, *, to_be_stopped: bool) -> int:
        while True:
            try:
                count = self.plug.recv_into(room)
            except (BlockingIOError, ssl.SSLWantReadError):
                self._wait(select.POLLIN, to_be_stopped=to_be_stopped)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except OSError as trouble:
                raise Lost(_said(trouble)) from trouble
            else:
                if not count:
                    raise Lost("the sender closed the connection")
                return count

    # --- writing --------------------------------------------------------------------------------

    def send(self, bytestream: bytes) -> None:
        """Send all of it, or cut off a sender that never reads."""
        until = time.monotonic() + (self.assoc.network_timeout or 0)
        rest = memoryview(bytestream)
        while rest:
            try:
                rest = rest[self.plug.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._overdue = "the sender does not read what it is answered"
                self._wait(select.POLLOUT, until=until)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN, until=until)
            except OSError as trouble:
                raise Lost(_said(trouble)) from trouble

    # --- the beginning and the end --------------------------------------------------------------

    def shake_hands(self, context: ssl.SSLContext) -> None:
        """Begin TLS, in the time that a connection has for its beginning."""
        secure = context.wrap_socket(
            self.plug, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.socket = self.plug = secure
        self.can_speak = False  # a word to who stalls here would wait for the same handshake
        while True:
            try:
                secure.do_handshake()
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)
            except ssl.SSLError as fault:
                raise Ended("refused", f"TLS: {_tls_said(fault)}") from fault
            except OSError as trouble:
                raise Lost(_said(trouble)) from trouble
            else:
                self.can_speak = True
                return

    def linger(self) -> None:
        """Let the last word arrive: a connection closed on unread bytes takes it back."""
        self.give(LINGER_SECONDS, "")
        self._start = self._end = 0
        with suppress(OSError):
            self.plug.shutdown(socket.SHUT_WR)
        limit = self.bytes_read + LINGER_BYTES
        try:
            while self.bytes_read < limit:
                self._read(1)
                self._start = self._end
        except Ended:
            pass

    def close(self) -> None:
        """Close the connection."""
        self.socket, self._is_connected, self.can_speak = None, False, False
        with suppress(OSError):  # the other side was first
            self.plug.shutdown(socket.SHUT_RDWR)
        self.plug.close()

    def _shutdown_socket(self) -> None:
        """Leave the closing to the end of the association, which comes in any case."""


def _said(trouble: OSError) -> str:
    return f"the connection broke: {trouble.strerror or type(trouble).__name__}"


def _tls_said(fault: ssl.SSLError) -> str:
    """Say why no hands were shaken, without what OpenSSL says of its own sources."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"the sender's certificate is not trusted: {fault.verify_message}"
    reason = (fault.reason or "no handshake").replace("_", " ").lower()
    plain = ("wrong version number", "http request", "record layer failure", "unexpected message")
    return f"the sender speaks none ({reason})" if reason in plain else reason
