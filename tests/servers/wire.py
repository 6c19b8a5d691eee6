"""What DICOM peers say to each other, byte by byte (PS3.8, 9.3), with every number open to a lie.

Nothing here knows pynetdicom: an attack is as wrong as it wants to be, and an answer is read by
the standard alone.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ASSOCIATE, ACCEPT, REJECT, DATA, RELEASE, RELEASED, ABORT = range(1, 8)
VERIFICATION = "1.2.840.10008.1.1"
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
APPLICATION = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION = "1.2.826.0.1.3680043.9.7433.9"
LARGEST = (1 << 32) - 1

CLASS, FIELD, MESSAGE, RESPONDED, PRIORITY, DATA_SET, STATUS, INSTANCE = (
    *(0x0002, 0x0100, 0x0110, 0x0120, 0x0700, 0x0800, 0x0900, 0x1000),
)
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO, N_EVENT_REPORT, N_CREATE, C_CANCEL = (
    *(0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0100, 0x0140, 0x0FFF),
)
NO_DATA_SET = 0x0101


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Wrap a body; the length may be any other."""
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    """Wrap an item of an association request."""
    return struct.pack(">BBH", kind, 0, len(body) if length is None else length) + body


def offered(number: int, abstract: str, *syntaxes: str) -> bytes:
    """Offer one presentation context."""
    said = item(0x30, abstract.encode())
    said += b"".join(item(0x40, one.encode()) for one in syntaxes)
    return item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + said)


def user_information(*more: bytes, largest: int = 0) -> bytes:
    """Say who one is, and how long a PDU may be."""
    who = item(0x52, IMPLEMENTATION.encode()) + item(0x55, b"ATTACK")
    return item(0x50, item(0x51, struct.pack(">I", largest)) + who + b"".join(more))


def role(sop_class: str, *, scu: int, scp: int) -> bytes:
    """Ask for a role."""
    uid = sop_class.encode()
    return item(0x54, struct.pack(">H", len(uid)) + uid + bytes((scu, scp)))


def identity(kind: int, first: bytes, second: bytes = b"") -> bytes:
    """Say a name and a password, a ticket or a token."""
    said = struct.pack(">BBH", kind, 1, len(first)) + first
    return item(0x58, said + struct.pack(">H", len(second)) + second)


def associate(
    *contexts: bytes,
    called: bytes = b"FOURVIEWS",
    calling: bytes = b"ATTACKER",
    protocol: int = 1,
    application: bytes = item(0x10, APPLICATION.encode()),
    user: bytes | None = None,
    length: int | None = None,
) -> bytes:
    """Ask for an association."""
    body = struct.pack(">HH", protocol, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16]
    body += bytes(32) + application + b"".join(contexts)
    return pdu(ASSOCIATE, body + (user_information() if user is None else user), length)


def fragment(
    context: int,
    content: bytes,
    *,
    command: bool,
    last: bool = True,
    length: int | None = None,
) -> bytes:
    """Wrap a piece of a command or of a data set: a presentation data value."""
    size = len(content) + 2 if length is None else length
    return struct.pack(">IBB", size, context, command | last << 1) + content


def element(number: int, value: int | str | bytes) -> bytes:
    """Encode one element of a command: numbers are US, texts UI, and bytes are as they are."""
    if isinstance(value, int):
        value = struct.pack("<H", value)
    elif isinstance(value, str):
        value = value.encode()
        value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def command(said: Mapping[int, int | str | bytes], group_length: int | None = None) -> bytes:
    """Encode a command; its group length may be any other."""
    body = b"".join(element(number, said[number]) for number in sorted(said))
    size = len(body) if group_length is None else group_length
    return element(0, struct.pack("<I", size)) + body


def echo_request(context: int = 1, message: int = 1) -> bytes:
    """Ask whether somebody is there."""
    said = {CLASS: VERIFICATION, FIELD: C_ECHO, MESSAGE: message, DATA_SET: NO_DATA_SET}
    return pdu(DATA, fragment(context, command(said), command=True))


def store_command(
    sop_class: str, sop_uid: str | bytes, message: int = 1, **other: int | str | bytes
) -> bytes:
    """Encode the command of a C-STORE request."""
    said: dict[int, int | str | bytes] = {
        CLASS: sop_class,
        FIELD: C_STORE,
        MESSAGE: message,
        PRIORITY: 2,
        DATA_SET: 1,
        INSTANCE: sop_uid,
    }
    said.update({int(name.removeprefix("x"), 16): value for name, value in other.items()})
    return command(said)


def in_pieces(context: int, content: bytes, *, command: bool, size: int = 16000) -> Iterable[bytes]:
    """Cut a message into PDUs."""
    for start in range(0, max(1, len(content)), size):
        piece = content[start : start + size]
        last = start + size >= len(content)
        yield pdu(DATA, fragment(context, piece, command=command, last=last))


def store_request(
    context: int, sop_class: str, sop_uid: str | bytes, content: bytes, message: int = 1
) -> bytes:
    """Ask to keep an image: command and data set."""
    asked = store_command(sop_class, sop_uid, message)
    return b"".join(
        [
            *in_pieces(context, asked, command=True),
            *in_pieces(context, content, command=False),
        ]
    )


@dataclass(frozen=True, slots=True)
class Pdu:
    """One PDU that came back."""

    kind: int
    body: bytes

    @property
    def rejection(self) -> tuple[int, int, int]:
        """Return result, source and reason of a rejection (PS3.8, table 9-21)."""
        assert self.kind == REJECT, f"PDU {self.kind:02X} is no rejection"
        return self.body[1], self.body[2], self.body[3]

    @property
    def results(self) -> dict[int, int]:
        """Return the result of each presentation context of an acceptance (table 9-18)."""
        assert self.kind == ACCEPT, f"PDU {self.kind:02X} is no acceptance"
        return {said[0]: said[2] for kind, said in items(self.body[68:]) if kind == 0x21}

    @property
    def largest(self) -> int:
        """Return how long a PDU the other side takes."""
        (user,) = (said for kind, said in items(self.body[68:]) if kind == 0x50)
        (size,) = (said for kind, said in items(user) if kind == 0x51)
        return int.from_bytes(size, "big")

    @property
    def answer(self) -> dict[int, bytes]:
        """Return the elements of a response, which fits into one PDU."""
        assert self.kind == DATA, f"PDU {self.kind:02X} carries no answer"
        return dict(elements(self.body[6:]))

    @property
    def status(self) -> int:
        """Return the status of a response."""
        return int.from_bytes(self.answer[STATUS], "little")


def items(content: bytes) -> Sequence[tuple[int, bytes]]:
    """Take a list of items apart."""
    found = []
    while content:
        kind, _, length = struct.unpack(">BBH", content[:4])
        found.append((kind, content[4 : 4 + length]))
        content = content[4 + length :]
    return found


def elements(content: bytes) -> Iterable[tuple[int, bytes]]:
    """Take a command apart."""
    while content:
        _, number, length = struct.unpack("<HHI", content[:8])
        yield number, content[8 : 8 + length]
        content = content[8 + length :]
