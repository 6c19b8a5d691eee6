"""A connection to a peer that keeps what stopped it, and words for it.

pynetdicom writes that into its log alone, and an administrator who is told no more than that a peer
cannot be reached looks for it in the network.
"""

import socket
import ssl
from contextlib import suppress

from pynetdicom import evt
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

MAXIMUM_PDU_BYTES = 128 << 10  # that a peer may send
MOST_BYTES = 16 << 20  # that a peer may say in one step: its answers are short
COST_OF_A_PIECE = 1 << 10  # in memory, be it as short as it may

EXPIRED, NOT_YET_VALID = 10, 9  # OpenSSL's verify codes (X509_V_ERR_...)
NOBODY_VOUCHES = {18, 19, 20, 21}
ANOTHER_NAME = {62, 64}
NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNEXPECTED_MESSAGE", "RECORD_LAYER_FAILURE"}

WORDS: dict[type[OSError], str] = {  # the first that fits
    ssl.SSLEOFError: "it ends the connection",
    ConnectionRefusedError: "nobody listens at its port",
    ConnectionError: "it ends the connection",
    socket.gaierror: "no address is known for it",
}


class Cable(AssociationSocket):
    """The caller's end of a connection, TLS included."""

    trouble: OSError | None = None  # why it does not hold
    arrived = False  # somebody took the connection, whatever came of it
    opened = False  # and shook hands, where that is wanted
    answered = False  # the peer said something to the association request, or hung up
    pulled = False  # by this side, which had waited long enough
    heard_bytes = 0  # in this step

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect and shake hands, and tell pynetdicom as its own connect would."""
        primitive.result = "Evt17"
        try:
            self._dial(primitive)
            primitive.result = "Evt2"
        except OSError as trouble:
            self.trouble = trouble
            if self.socket is not None:
                self.socket.close()
                self.socket = None
        finally:
            self.provider_queue.put(primitive)
            self._ready.set()  # the caller waits for this, whatever happened

    def _dial(self, primitive: T_CONNECT) -> None:
        wire = self.socket
        assert wire is not None
        wire.settimeout(self.assoc.connection_timeout)
        wire.connect(primitive.address_info.as_tuple)
        self.arrived = True
        if self.tls_args is not None:
            context, name = self.tls_args
            wire = self.socket = context.wrap_socket(
                wire, server_hostname=name, do_handshake_on_connect=False
            )
            wire.do_handshake()
        wire.settimeout(None)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(wire.getsockname())
        self._is_connected = self.opened = True
        evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": primitive.address_info.as_tuple})

    def close(self) -> None:
        """Close; that the peer was reached stays true.

        It may have said no and hung up before the caller's thread comes to look whether it was.
        """
        super().close()
        self._is_connected = self.opened

    def pull(self) -> None:
        """End the connection, whoever waits for what."""
        self.pulled, wire = True, self.socket
        if wire is not None:
            unplug(wire)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read, but not without end, and keep what a peer says that refuses a certificate late.

        pynetdicom would believe any length, and gather whatever comes.
        """
        self.heard_bytes += nr_bytes + COST_OF_A_PIECE
        if nr_bytes > MAXIMUM_PDU_BYTES + COST_OF_A_PIECE or self.heard_bytes > MOST_BYTES:
            raise OSError("it says more than anybody asked for")
        try:
            return super().recv(nr_bytes)
        except OSError as trouble:
            self.trouble = trouble
            raise

    def silence(self, seconds: float) -> str:
        """Say how far a call came that nobody answered."""
        over = " over TLS" if self.tls_args is not None else ""
        if not self.opened:
            late = self.pulled or self.trouble is None
            why = in_words(TimeoutError() if late else self.trouble, seconds)
            if not self.arrived:
                return f"cannot be reached: {why}"
            hung_up = isinstance(self.trouble, ConnectionError | ssl.SSLEOFError)
            hint = "; does it speak TLS?" if hung_up else ""
            return f"cannot be reached over TLS: {why}{hint}"
        if self.pulled or not self.answered:
            why = f"does not answer the association request within {seconds:g} s"
            return f"accepts the connection{over}, and {why}"
        why = "does it want TLS?" if not over else "does it believe the node's certificate?"
        if isinstance(self.trouble, ssl.SSLError):
            why = in_words(self.trouble, seconds)
        return f"accepts the connection{over}, and ends it at the association request: {why}"


def unplug(wire: socket.socket) -> None:
    """End a connection that another thread may be writing to.

    Not by the shutdown of a socket over TLS: it lets go of its encryption first, and what the other
    thread has to say would go out as it is.
    """
    with suppress(OSError):
        socket.socket.shutdown(wire, socket.SHUT_RDWR)


def in_words(trouble: OSError | None, seconds: float) -> str:
    """Say what stopped a connection, for who has to mend it."""
    if isinstance(trouble, ssl.SSLCertVerificationError):
        return _distrust(trouble)
    for kind, words in WORDS.items():
        if isinstance(trouble, kind):
            return words
    if isinstance(trouble, ssl.SSLError):
        return _objection(trouble.reason or type(trouble).__name__)
    if isinstance(trouble, TimeoutError):
        return f"no answer within {seconds:g} s"
    return (trouble.strerror if trouble else None) or type(trouble).__name__


def _objection(reason: str) -> str:
    """Say what a handshake broke at, by OpenSSL's name of it."""
    if reason in NO_TLS:
        return "it does not speak TLS"
    if "PROTOCOL" in reason or "CIPHER" in reason:
        return f"it speaks no version of TLS, or no cipher, that the node does ({reason})"
    if "ALERT" in reason:
        return f"it refuses the node's certificate ({reason})"
    return reason


def _distrust(trouble: ssl.SSLCertVerificationError) -> str:
    code = trouble.verify_code
    if code == EXPIRED:
        return "its certificate has expired"
    if code == NOT_YET_VALID:
        return "its certificate is not valid yet; is the clock right?"
    if code in NOBODY_VOUCHES:
        return "none of the authorities that the node believes vouches for its certificate"
    if code in ANOTHER_NAME:
        return "its certificate is for another name than the one it is called by"
    return f"its certificate is not believed: {trouble.verify_message}"
