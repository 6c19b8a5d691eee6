"""The upper layer of one association (PS3.8), without a thread and a clock of its own.

pynetdicom's provider is a thread that looks every millisecond whether there is something to do, and
its timers ask the clock on the wall. Here the association's own thread sleeps in the socket, and
what comes in is done at once: there is nothing to wake, nothing waits in a queue, and a sender that
is too quick waits in TCP. PDUs, state machine and messages are pynetdicom's.
"""

import queue
import struct
from typing import TYPE_CHECKING

from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.receiving.wire import CutOff, Ended, Wire

if TYPE_CHECKING:
    from dicom_node.receiving.connection import Connection

REQUEST, P_DATA, RELEASE_REQUEST, ABORT = 0x01, 0x04, 0x05, 0x07
HEADER_BYTES = 6
REQUEST_BYTES = 128 << 10  # 128 contexts with every transfer syntax there is need less
OTHER_BYTES = 64 << 10
PDU_MARGIN_BYTES = 64
LEAST_BYTES = 6  # a fragment without content
UNRECOGNIZED_PDU, INVALID_PARAMETER = 1, 6  # reasons of an A-ABORT
PROVIDER = 2

AWAITING_REQUEST, REQUESTED, ESTABLISHED, AWAITING_RELEASE = "Sta2", "Sta3", "Sta6", "Sta8"
BEGINNINGS = {
    b"\x16": "speaks TLS, and this node does not",
    b"G": "speaks HTTP",
    b"P": "speaks HTTP",
    b"H": "speaks HTTP",
    b"S": "speaks SSH",
}


class UpperLayer(DULServiceProvider):
    """PDUs in and out, each dealt with as it comes."""

    socket: Wire

    def __init__(self, association: "Connection") -> None:
        super().__init__(association)

    @property
    def state(self) -> str:
        """Name the state of PS3.8 9.2."""
        return self.state_machine.current_state

    # --- out ------------------------------------------------------------------------------------

    def send_pdu(self, primitive: object) -> None:
        """Send at once what pynetdicom would leave for its thread."""
        super().send_pdu(primitive)  # type: ignore[arg-type]
        self._process_recv_primitive()
        self._act()

    def send_abort(self, reason: int) -> None:
        """Say that the association is over, whatever state it is in."""
        pdu = A_ABORT_RQ()
        pdu.source, pdu.reason_diagnostic = PROVIDER, reason
        self.socket.send(pdu.encode())

    # --- in -------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Take note of the connection."""
        self._act()

    def request(self) -> A_ASSOCIATE:
        """Read the request for an association, which is the first thing a sender may say."""
        first = bytes(self.socket.peek(1))
        if first[0] not in range(REQUEST, ABORT + 1):
            raise Ended("refused", BEGINNINGS.get(first, "does not speak DICOM"))
        kind, length = self._header()
        if kind != REQUEST:
            raise CutOff("it began with something else than a request for an association", 2)
        if length > REQUEST_BYTES:
            raise CutOff(f"a request of {length} bytes", INVALID_PARAMETER)
        self._take(kind, length)
        primitive = self.receive_pdu()
        if not isinstance(primitive, A_ASSOCIATE):
            raise Ended("refused", "its protocol has another version")
        return primitive

    def next_pdu(self, limit: int) -> int:
        """Begin the next PDU: deal with it, or return how many bytes of P-DATA are to be read."""
        kind, length = self._header()
        if kind == P_DATA:
            if length > limit + PDU_MARGIN_BYTES:
                raise CutOff(f"a PDU of {length} bytes, where {limit} were agreed on", 6)
            if length < LEAST_BYTES:
                raise CutOff(f"a PDU of {length} bytes", INVALID_PARAMETER)
            return length
        if not REQUEST <= kind <= ABORT:
            raise CutOff("a PDU of a kind that does not exist", UNRECOGNIZED_PDU)
        if length > OTHER_BYTES:
            raise CutOff(f"a PDU of {length} bytes", INVALID_PARAMETER)
        self._take(kind, length)
        return 0

    def _header(self) -> tuple[int, int]:
        kind, length = struct.unpack(">BxL", self.socket.take(HEADER_BYTES))
        return kind, length

    def _take(self, kind: int, length: int) -> None:
        """Read a whole PDU, and let the state machine act on it."""
        header = struct.pack(">BxL", kind, length)
        content = self.socket.take(length) if length else b""
        try:
            pdu, event = self._decode_pdu(bytearray(header + content))
            self._recv_pdu.put(pdu)
            self.event_queue.put(event)
            self._act()
        except Ended:
            raise
        except Exception as fault:
            raise CutOff(f"a PDU that cannot be read ({type(fault).__name__})", 6) from fault

    def _act(self) -> None:
        """Let the state machine act on whatever has happened."""
        while True:
            try:
                event = self.event_queue.get(block=False)
            except queue.Empty:
                return
            self.state_machine.do_action(event)
