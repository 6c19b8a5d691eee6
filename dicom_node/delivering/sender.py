"""The C-STORE client: one association, many objects, one answer each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from dicom_node.errors import Busy

MAXIMUM_PDU_BYTES = 128 << 10
VERIFICATION = (str(Verification), "1.2.840.10008.1.2")
BY_THE_USER, CALLING_UNKNOWN, CALLED_UNKNOWN = 1, 3, 7  # who rejects, and why
NO_CONTEXT = 0x0122  # SOP class not supported (PS3.7 C.5.6); the peer did not accept its context


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call, and as whom."""

    ae_title: str
    host: str
    port: int
    calling_ae_title: str
    timeout_seconds: float

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Parcel:
    """One object as bytes, and what it must be negotiated as."""

    sop_class_uid: str
    transfer_syntax_uid: str
    content: bytes


@contextmanager
def connected(peer: Peer, kinds: Sequence[tuple[str, str]]) -> Iterator[Association]:
    """Open one association for (SOP class, transfer syntax) pairs, and release it."""
    ae = AE(ae_title=peer.calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_seconds
    ae.connection_timeout = peer.timeout_seconds
    # Verification is always among them: with a peer that takes none of the others there is still
    # an association, and each object gets its own answer.
    every = dict.fromkeys([VERIFICATION, *kinds])
    wanted = [build_context(sop_class, syntax) for sop_class, syntax in every]
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts=wanted,
            ae_title=peer.ae_title,
            max_pdu=MAXIMUM_PDU_BYTES,
        )
    except (OSError, UnicodeError) as trouble:  # of the name service; names come back as cables do
        raise Busy(f"{peer} cannot be reached: no address is known for {peer.host}") from trouble
    if association.is_rejected:
        raise Busy(f"{peer} refuses the association: {_objection(peer, association)}")
    if not association.is_established:
        raise Busy(f"{peer} cannot be reached")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


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
    with connected(peer, []) as association:
        answer = association.send_c_echo()
        if not answer or answer.Status != 0:
            raise Busy(f"{peer} does not answer C-ECHO")


def send(association: Association, parcel: Parcel) -> int | None:
    """Send one object as it is, and return the status, or None where no answer came."""
    dataset = dcmread(BytesIO(parcel.content))
    if not association.is_established:
        return None
    accepted = {
        (context.abstract_syntax, context.transfer_syntax[0])
        for context in association.accepted_contexts
    }
    if (parcel.sop_class_uid, parcel.transfer_syntax_uid) not in accepted:
        return NO_CONTEXT  # another context of its class might do, but would re-encode it
    try:
        answer = association.send_c_store(dataset)
    except RuntimeError:  # the peer has gone since it was asked for just now
        return None
    return int(answer.Status) if "Status" in answer else None
