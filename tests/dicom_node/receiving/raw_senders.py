"""A sender made of single bytes, which may lie about each of them."""

import socket
import struct
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import pairwise

from pydicom import Dataset
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

REQUEST, ACCEPTANCE, REJECTION, P_DATA, RELEASE, RELEASED, ABORT = range(1, 8)
LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"


def associate_request(
    kinds: Sequence[tuple[str, str]] = ((VERIFICATION, "1.2.840.10008.1.2"),),
    calling: str = "TESTER",
    called: str = "FOURVIEWS",
) -> bytes:
    """Encode a request for an association as it should be."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = calling, called
    contexts = [build_context(*kind) for kind in kinds]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = contexts
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3.4"
    asked.user_information = [longest, implementation]
    return A_ASSOCIATE_RQ(asked).encode()


def pdv(content: bytes, *, context: int = 1, command: bool = False, last: bool = True) -> bytes:
    """Wrap a fragment."""
    return struct.pack(">LBB", len(content) + 2, context, command + 2 * last) + content


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    """Wrap a PDU, whose length may be a lie."""
    return struct.pack(">BxL", kind, len(content) if length is None else length) + content


def store_command(sop_class: str, sop_uid: str, **other: object) -> bytes:
    """Encode the command of a C-STORE request, and whatever else it should hold."""
    command = Dataset()
    command.AffectedSOPClassUID = sop_class
    command.CommandField, command.MessageID, command.Priority = 1, 7, 2
    command.CommandDataSetType = 1
    command.AffectedSOPInstanceUID = sop_uid
    for keyword, value in other.items():
        if value is None:
            delattr(command, keyword)
        else:
            setattr(command, keyword, value)
    encoded = encode(command, True, True)
    assert encoded is not None
    return encoded


def echo_command() -> bytes:
    """Encode the command of a C-ECHO request."""
    command = Dataset()
    command.AffectedSOPClassUID = VERIFICATION
    command.CommandField, command.MessageID, command.CommandDataSetType = 0x30, 7, 0x0101
    encoded = encode(command, True, True)
    assert encoded is not None
    return encoded


class RawSender:
    """A connection to a listener."""

    def __init__(self, port: int, seconds: float = 60.0, comes_from: str = "127.0.0.1") -> None:
        where, self.opened_at = ("127.0.0.1", port), time.monotonic()
        self.plug = socket.create_connection(where, timeout=seconds, source_address=(comes_from, 0))

    def say(self, *parts: bytes) -> None:
        """Send bytes; who has hung up does not hear them."""
        with suppress(OSError):
            self.plug.sendall(b"".join(parts))

    def hear(self) -> tuple[int, bytes]:
        """Return the next PDU; kind 0 when the connection was closed."""
        header = self._exactly(6)
        if len(header) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxL", header)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            try:
                block = self.plug.recv(count - len(got))
            except ConnectionError:
                block = b""
            if not block:
                return got
            got += block
        return got

    def associate(self, kinds: Sequence[tuple[str, str]]) -> int:
        """Ask for an association, and return the kind of the answer."""
        self.say(associate_request(kinds))
        return self.hear()[0]

    def status(self) -> int | None:
        """Return the status of the next answer; None where the association was ended instead."""
        kind, content = self.hear()
        if kind != P_DATA:
            return None
        at = content.index(b"\x00\x00\x00\x09\x02\x00\x00\x00")  # (0000,0900), two bytes
        return int.from_bytes(content[at + 8 : at + 10], "little")

    def release(self) -> bool:
        """Ask for the end, and say whether it was granted."""
        self.say(pdu(RELEASE, bytes(4)))
        return self.hear()[0] == RELEASED

    def close(self) -> None:
        """Hang up."""
        self.plug.close()


def cut(content: bytes, at: Iterable[int]) -> list[bytes]:
    """Cut bytes at the given places; places that repeat make empty pieces."""
    places = [0, *sorted(min(place, len(content)) for place in at), len(content)]
    return [content[start:end] for start, end in pairwise(places)]
