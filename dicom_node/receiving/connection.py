"""One association, served by one thread from the first byte to the last.

pynetdicom has two threads an association and queues between them. Here one thread reads, stores and
answers: while an image is brought to the disk nothing is read, so that a sender which does not wait
for its answers waits in TCP. Negotiation and commands are pynetdicom's.
"""

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from pynetdicom import AE, evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_STORE, N_EVENT_REPORT, DimseServiceType
from pynetdicom.pdu_primitives import A_P_ABORT
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AddressInformation

from dicom_node.errors import told
from dicom_node.receiving.answers import answer_to, in_pdus
from dicom_node.receiving.fragments import Fragments
from dicom_node.receiving.incoming import IncomingFile
from dicom_node.receiving.upper_layer import AWAITING_RELEASE, ESTABLISHED, UpperLayer
from dicom_node.receiving.wire import CutOff, Ended, Stop, Wire

SUCCESS = 0x0000


class Host(Protocol):
    """Whom a connection asks what to do."""

    maximum_pdu_bytes: int
    tls: ssl.SSLContext | None
    stopping: Stop
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], object]]]

    @property
    def associate_seconds(self) -> float:
        """Say how long a connection may be without an association."""

    @property
    def idle_seconds(self) -> float:
        """Say how long a connection may be silent."""

    @property
    def most_bytes(self) -> int:
        """Say how large an object may be."""

    def judge(self, connection: "Connection") -> tuple[int, int, int] | None:
        """Return result, source and reason of a rejection, or None to let in."""

    def let_in(self, connection: "Connection") -> None:
        """Take note of a new association."""

    def image_begins(
        self, connection: "Connection", request: C_STORE, context: PresentationContext
    ) -> IncomingFile:
        """Say where an image is to be written."""

    def image_is_here(
        self,
        connection: "Connection",
        request: C_STORE,
        context: PresentationContext,
        file: IncomingFile | None,
    ) -> int:
        """Keep an image, and return the status."""

    def gone(self, connection: "Connection", ended: Ended) -> None:
        """Take note of the end."""


class Connection(Association):
    """A sender."""

    dul: UpperLayer

    def __init__(
        self,
        ae: AE,
        host: Host,
        plug: socket.socket,
        address: tuple[str, int],
        contexts: list[PresentationContext],
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.host = host
        self._pushed_out = ""
        self.dul = UpperLayer(self)
        self.network_timeout = ae.network_timeout
        self.wire = Wire(self, plug, host.stopping)
        self.set_socket(self.wire)
        self.name = f"sender {address[0]}"
        self.acceptor.maximum_length = ae.maximum_pdu_size
        self.acceptor.ae_title = ae.ae_title
        self.acceptor.address_info = AddressInformation.from_tuple(plug.getsockname())
        self.acceptor.implementation_class_uid = ae.implementation_class_uid
        self.acceptor.implementation_version_name = ae.implementation_version_name
        self.acceptor.supported_contexts = contexts  # nobody changes them: no copies are needed
        self.requestor.address_info = AddressInformation.from_tuple(address)
        self.fragments = Fragments(self.wire, self, host.idle_seconds, host.most_bytes)
        for event, handler in host.handlers:
            self.bind(event, handler)

    @property
    def who(self) -> tuple[str, str, str]:
        """Return the calling AE title, the called one, and the address."""
        asked = self.requestor.primitive
        if asked is None:
            return "", "", self.requestor.address
        return (
            asked.calling_ae_title.strip(),
            asked.called_ae_title.strip(),
            self.requestor.address,
        )

    @property
    def address(self) -> str:
        """Say where the sender is."""
        return self.requestor.address

    def push_out(self, why: str) -> None:
        """End the connection from another thread.

        Only the network's side of it: Python's own shutdown of a TLS connection also takes the TLS
        away, and what lies there undeciphered would be read as the rest of an image.
        """
        self._pushed_out = why
        with suppress(OSError):
            socket.socket.shutdown(self.wire.plug, socket.SHUT_RDWR)

    # --- the whole life of a connection ---------------------------------------------------------

    def run_reactor(self) -> None:
        """Serve the sender until one of the two ends it."""
        try:
            self._associate()
            self._serve()
        except Ended as how:
            ended = how
        except Exception as fault:  # noqa: BLE001 - whatever it is, the connection is closed
            ended = CutOff(f"a fault of the node: {told(fault)}")
        self._finish(Ended("cut off", self._pushed_out) if self._pushed_out else ended)

    def _associate(self) -> None:
        """Let the sender in, or raise why not; all of it within one deadline."""
        seconds = self.host.associate_seconds  # ARTIM, PS3.8 9.1.5
        self.wire.give(seconds, f"no association within {seconds:g} s")
        if self.host.tls is not None:
            self.wire.shake_hands(self.host.tls)
        self.dul.begin()
        self.requestor.primitive = self.dul.request()
        try:
            verdict = self.host.judge(self)
            if verdict is None:
                self.acse.negotiate_association()
                self.fragments.contexts = self._accepted_cx
        except Ended:
            raise
        except Exception as fault:
            sentence = f"a request that cannot be read ({type(fault).__name__})"
            raise CutOff(sentence, 6) from fault
        if verdict is not None:
            self.acse.send_reject(*verdict)
        if self.dul.state != ESTABLISHED:
            raise Ended("refused")
        self.host.let_in(self)

    def _serve(self) -> None:
        """Take PDUs until the association ends."""
        seconds = self.host.idle_seconds
        while True:
            self.fragments.take_whole_ones(self.host.maximum_pdu_bytes)
            self.wire.give(seconds, f"nothing came for {seconds:g} s")
            if self.fragments.between_messages:
                self.wire.wait_for_more()
            length = self.dul.next_pdu(self.host.maximum_pdu_bytes)
            if length:
                self.fragments.take(length)
            elif self.dul.state == AWAITING_RELEASE:
                self.acse.send_release(is_response=True)
                half = "" if self.fragments.between_messages else "in the middle of a message"
                raise Ended("released", half)
            elif self.dul.state != ESTABLISHED:
                raise self._end_that_came()

    def _end_that_came(self) -> Ended:
        """Say what ended the association in the middle."""
        heard = self.dul.receive_pdu()
        if self.dul.socket.socket is not None:
            return Ended("cut off", "it sent a PDU out of turn")
        by = "its upper layer" if isinstance(heard, A_P_ABORT) else "the sender"
        return Ended("aborted", f"by {by}")

    def _finish(self, ended: Ended) -> None:
        """Leave nothing behind: no half file, no open connection, no row without an end."""
        self.fragments.abandon()
        self.is_established = False
        try:
            if self.wire.can_speak and ended.how != "lost":
                if isinstance(ended, CutOff):
                    self.dul.send_abort(ended.reason)
                if ended.how != "refused" or self.requestor.primitive is not None:
                    self.wire.linger()
        except Ended:
            pass  # nobody is there any more
        finally:
            self.wire.close()
            self.host.gone(self, ended)

    # --- messages -------------------------------------------------------------------------------

    def image_begins(self, request: C_STORE, context: PresentationContext) -> IncomingFile:
        """Ask the host for a file."""
        if request.MessageID is None:
            raise CutOff("a request without a number", 6)
        return self.host.image_begins(self, request, context)

    def image_is_here(
        self, request: C_STORE, context: PresentationContext, file: IncomingFile | None
    ) -> None:
        """Answer a C-STORE request."""
        status = self.host.image_is_here(self, request, context, file)
        self._answer(answer_to(request, status), context)

    def message_is_here(self, request: DimseServiceType, context: PresentationContext) -> None:
        """Answer a C-ECHO request; an N-EVENT-REPORT goes to whoever is bound to it."""
        if isinstance(request, C_ECHO) and _is_answered(request, context):
            self._answer(answer_to(request, SUCCESS), context)
        elif isinstance(request, N_EVENT_REPORT) and request.is_valid_request:
            assert context.context_id is not None
            self._serve_request(request, context.context_id)
        else:
            kind = type(request).__name__.replace("_", "-")
            raise CutOff(f"a {kind} message, which is no request that is served here", 6)

    def _answer(self, answer: bytes, context: PresentationContext) -> None:
        assert context.context_id is not None
        self.wire.send(in_pdus(answer, context.context_id, self.requestor.maximum_length or 0))

    # --- what pynetdicom would do with its threads ------------------------------------------------

    def _abort_blocking(self, block: bool = True) -> None:  # noqa: FBT001, FBT002, ARG002
        raise CutOff("a request that could not be served")

    def _abort_nonblocking(self, block: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
        raise CutOff("a request that could not be served")

    def kill(self) -> None:
        """Do nothing: the one thread is about to end by itself."""


def _is_answered(request: C_ECHO, context: PresentationContext) -> bool:
    """Say whether an echo is asked for where echoes were negotiated."""
    asked = (request.AffectedSOPClassUID, context.abstract_syntax)
    return request.is_valid_request and asked == (Verification, Verification)
