"""The C-STORE client: one association, many objects, one answer each, each step in its time.

pynetdicom waits without end for the rest of a PDU that stopped half way, and so does a socket for
a peer that reads nothing. A watch pulls the cable when a step takes longer than it may.
"""

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO

from pydicom import dcmread
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import AddressInformation, AssociationSocket

from dicom_node.delivering.cable import MAXIMUM_PDU_BYTES, Cable
from dicom_node.errors import Busy
from dicom_node.settings.delivering import ClientTLS
from dicom_node.settings.receiving import TLS

VERIFICATION = (str(Verification), "1.2.840.10008.1.2")
BY_THE_USER, CALLING_UNKNOWN, CALLED_UNKNOWN = 1, 3, 7  # who rejects, and why
NO_CONTEXT = 0x0122  # SOP class not supported (PS3.7 C.5.6); the peer did not accept its context
SLOWEST_BYTES_PER_SECOND = 64 << 10  # an object may take as long as on a line of this speed
FAREWELL_SECONDS = 2.0  # for a release or an abort: nothing depends on its answer
SMALLEST_PDU_BYTES = 128  # that a peer may want: an object in crumbs would fill the memory
MESSAGE_IDS = 1 << 16

Handler = tuple[evt.EventType, Callable[[Event], object]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call, and as whom."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    timeout_seconds: float
    tls: ClientTLS | TLS | None = None  # of a destination, or of this node's own listener

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One object as bytes, and what it must be negotiated as."""

    sop_class_uid: str
    transfer_syntax_uid: str
    content: bytes
    sop_uid: str = ""  # where known, an answer has to be about this one


class _Caller(AE):
    """An application entity whose sockets can be watched from before they connect."""

    cable: Cable | None = None

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        self.cable = Cable(assoc, address=address)
        self.cable.tls_args = tls_args
        return self.cable

    def note_answer(self, _: Event) -> None:
        """Remember that the call has an end of the peer's: an answer, or a connection closed."""
        if self.cable is not None:
            self.cable.answered = True

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Pull the cable when the block takes longer."""
        if self.cable is not None:
            self.cable.heard_bytes = 0
        watch = threading.Timer(seconds, self.pull)
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def pull(self) -> None:
        """End the connection, whoever waits for what."""
        if self.cable is not None:
            self.cable.pull()


@dataclass
class Line:
    """An open association, and what its peer answered last."""

    peer: Peer
    caller: _Caller
    association: Association | None = None  # none: the peer is there, and takes nothing at all
    _sent: int = field(default=0, init=False)
    _answered: tuple[int, str] | None = field(default=None, init=False)

    def note(self, event: Event) -> None:
        """Remember which request an answer is for: pynetdicom takes any."""
        said = event.message.command_set
        self._answered = (
            int(said.get("MessageIDBeingRespondedTo", -1)),
            str(said.get("AffectedSOPInstanceUID", "")),
        )

    def send(self, parcel: Parcel) -> int | None:
        """Send one object as it is, and return the status, or None where no answer came."""
        dataset = dcmread(BytesIO(parcel.content))
        if self.association is None:
            return NO_CONTEXT
        if not self.association.is_established:
            return None
        accepted = {
            (context.abstract_syntax, context.transfer_syntax[0])
            for context in self.association.accepted_contexts
        }
        if (parcel.sop_class_uid, parcel.transfer_syntax_uid) not in accepted:
            return NO_CONTEXT  # another context of its class might do, but would re-encode it
        seconds = self.peer.timeout_seconds + len(parcel.content) / SLOWEST_BYTES_PER_SECOND
        self.association.dimse_timeout = seconds
        self._sent = self._sent % (MESSAGE_IDS - 1) + 1
        self._answered = None
        try:
            with self.caller.within(seconds + FAREWELL_SECONDS):
                answer = self.association.send_c_store(dataset, msg_id=self._sent)
        except RuntimeError:  # the peer has gone since it was asked for just now
            return None
        if "Status" not in answer or not self._is_ours(str(dataset.SOPInstanceUID)):
            self.abort()  # what comes later on this line belongs to nobody knows what
            return None
        return int(answer.Status)

    def _is_ours(self, sop_uid: str) -> bool:
        number, uid = self._answered or (-1, "")
        return number == self._sent and uid in {"", sop_uid}

    def abort(self) -> None:
        """Leave without a word more."""
        if self.association is not None:
            with self.caller.within(FAREWELL_SECONDS):
                self.association.abort()

    def close(self) -> None:
        """Release the association; that nobody answers that is no harm."""
        if self.association is not None and self.association.is_established:
            self.association.acse_timeout = FAREWELL_SECONDS
            with self.caller.within(2 * FAREWELL_SECONDS):
                self.association.release()


def tls_context(peer: str, tls: ClientTLS | TLS) -> ssl.SSLContext:
    """Say how to call over TLS: 1.2 at least, by a name that the peer's certificate shows."""
    try:
        if isinstance(tls, TLS):
            return _to_itself(tls)
        context = ssl.create_default_context(cafile=tls.authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, _no_password)
    except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError
        raise Busy(f"{peer}: its tls table does not work: {type(fault).__name__}") from fault
    return context


def _to_itself(tls: TLS) -> ssl.SSLContext:
    """Expect the node's very certificate, whatever its name, and show the same."""
    context = ssl.create_default_context(cafile=tls.certificate)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_cert_chain(tls.certificate, tls.private_key, tls.key_password.get_secret_value)
    return context


def _no_password() -> str:
    raise ValueError("the key is locked by a password")  # and nobody is asked at a terminal


@contextmanager
def connected(peer: Peer, kinds: Sequence[tuple[str, str]], *handlers: Handler) -> Iterator[Line]:
    """Open one association for (SOP class, transfer syntax) pairs, and release it."""
    line = _called(peer, kinds, handlers)
    try:
        yield line
    finally:
        line.close()


def _called(peer: Peer, kinds: Sequence[tuple[str, str]], handlers: Sequence[Handler]) -> Line:
    tls = tls_context(str(peer), peer.tls) if peer.tls is not None else None
    ae = _Caller(ae_title=peer.calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_seconds
    ae.connection_timeout = peer.timeout_seconds
    # Verification is always among them: with a peer that takes none of the others there is still
    # an association, and each object gets its own answer.
    every = dict.fromkeys([VERIFICATION, *kinds])
    wanted = [build_context(sop_class, syntax) for sop_class, syntax in every]
    line = Line(peer, ae)
    noted: list[Handler] = [
        (evt.EVT_ACSE_RECV, ae.note_answer),
        (evt.EVT_DIMSE_RECV, line.note),
    ]
    try:
        with ae.within(2 * peer.timeout_seconds):
            association = ae.associate(
                peer.host,
                peer.port,
                contexts=wanted,
                ae_title=peer.ae_title,
                max_pdu=MAXIMUM_PDU_BYTES,
                tls_args=(tls, peer.host) if tls is not None else None,
                evt_handlers=[*noted, *handlers],
            )
    except (OSError, UnicodeError) as trouble:  # of the name service; names come back as cables do
        raise Busy(f"{peer} cannot be reached: no address is known for {peer.host}") from trouble
    if association.is_rejected:
        raise Busy(f"{peer} refuses the association: {_objection(peer, association)}")
    if association.is_established:
        line.association = association
        room = association.acceptor.maximum_length or 0
        if 0 < room < SMALLEST_PDU_BYTES:
            line.abort()
            raise Busy(f"{peer} wants messages of {room} bytes at most, in which nothing fits")
    elif not _accepts_nothing(association):
        assert ae.cable is not None
        raise Busy(f"{peer} {ae.cable.silence(peer.timeout_seconds)}")
    return line


def _accepts_nothing(association: Association) -> bool:
    """Say whether the peer took the association, and not one of its contexts."""
    answer = association.acceptor.primitive
    return answer is not None and answer.result == 0 and not association.accepted_contexts


def _objection(peer: Peer, association: Association) -> str:
    """Say what a peer objects to, as far as it tells (PS3.8, table 9-21)."""
    answer = association.acceptor.primitive
    said = (answer.result_source, answer.diagnostic) if answer is not None else None
    if said == (BY_THE_USER, CALLED_UNKNOWN):
        return f"it is not called {peer.ae_title}"
    if said == (BY_THE_USER, CALLING_UNKNOWN):
        return f"it does not know {peer.calling_ae_title}"
    return f"does it know {peer.calling_ae_title}, and is it called {peer.ae_title}?"


def echo(peer: Peer) -> None:
    """Ask whether anybody is there, and raise Busy with the reason if not."""
    with connected(peer, []) as line:
        if line.association is None:
            raise Busy(f"{peer} does not take C-ECHO")
        with line.caller.within(peer.timeout_seconds + FAREWELL_SECONDS):
            answer = line.association.send_c_echo()
        if not answer or answer.Status != 0:
            raise Busy(f"{peer} does not answer C-ECHO")
