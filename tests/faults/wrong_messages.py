"""What may be said wrongly within an association, each with a name for it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import wire
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from raw_peer import STANDARD, STORAGE
from small_images import encoded, mammogram
from wire import fragment, pdu


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of its own, and the request that would store it: context 3 is for mammograms."""

    image: Dataset = field(default_factory=mammogram)

    @property
    def uid(self) -> str:
        return str(self.image.SOPInstanceUID)

    @property
    def content(self) -> bytes:
        return encoded(self.image)

    @property
    def command(self) -> bytes:
        return wire.store_command(wire.MAMMOGRAM, self.uid)

    def sent(
        self, command: bytes, content: bytes | None = None, context: int = 3, second: int = 3
    ) -> bytes:
        """Send a command and a data set, each in the context that is wanted."""
        data = self.content if content is None else content
        pieces = [*wire.in_pieces(context, command, command=True)]
        return b"".join([*pieces, *wire.in_pieces(second, data, command=False)])

    def lacking(self, number: int) -> bytes:
        """Leave an element of the store command out."""
        said = dict(wire.elements(self.command))
        del said[number], said[0]
        return self.sent(wire.command(said))

    def other_service(self, kind: int, *, with_data: bool = True) -> bytes:
        """Ask a storage service for something else."""
        announced = 1 if with_data else wire.NO_DATA_SET
        asked = wire.store_command(wire.MAMMOGRAM, self.uid, x0100=kind, x0800=announced)
        return self.sent(asked) if with_data else b"".join(wire.in_pieces(3, asked, command=True))


def echoed(**other: int | str | bytes) -> bytes:
    """Ask for an echo that is wrong somewhere."""
    asked = wire.store_command(
        *(wire.VERIFICATION, "1.2.3"), x0100=wire.C_ECHO, **{"x0800": wire.NO_DATA_SET, **other}
    )
    return pdu(wire.DATA, fragment(1, asked, command=True))


Talk = bytes | Callable[[Sample], bytes]

# What is said within an association with two contexts, 1 for echoes and 3 for mammograms, and
# must not be answered with Success.
NO_SUCCESS: dict[str, Talk] = {
    "an even context": lambda s: pdu(wire.DATA, fragment(2, s.command, command=True)),
    "a context that was not negotiated": lambda s: s.sent(s.command, context=5, second=5),
    "a store in the context of echoes": lambda s: s.sent(s.command, context=1, second=1),
    "data in another context than its command": lambda s: s.sent(s.command, second=1),
    "an echo in the context of images": wire.echo_request(context=3),
    "a second association request": wire.associate(*STORAGE),
    "an acceptance": pdu(wire.ACCEPT, wire.associate(*STANDARD)[6:]),
    "a rejection": pdu(wire.REJECT, b"\0\1\1\1"),
    "a release that nobody asked for": pdu(wire.RELEASED, bytes(4)),
    "an unknown PDU": pdu(0x42, b"?" * 42),
    "an empty data PDU": pdu(wire.DATA, b""),
    "a data PDU of three bytes": pdu(wire.DATA, b"\0\0\0"),
    "a fragment of length 0": pdu(wire.DATA, fragment(3, b"", command=True, length=0)),
    "a fragment of length 1": pdu(wire.DATA, b"\0\0\0\1\3"),
    "a fragment longer than its PDU": lambda s: pdu(
        wire.DATA, fragment(3, s.command, command=True, length=1 << 20)
    ),
    "a fragment of 4 GiB": lambda s: pdu(
        wire.DATA, fragment(3, s.command, command=True, length=wire.LARGEST)
    ),
    "a PDU of 4 GiB": pdu(wire.DATA, b"", wire.LARGEST),
    "data before its command": lambda s: pdu(wire.DATA, fragment(3, s.content, command=False)),
    "a command within its data": lambda s: b"".join(
        [
            *wire.in_pieces(3, s.command, command=True),
            pdu(wire.DATA, fragment(3, s.content[:500], command=False, last=False)),
            *wire.in_pieces(3, s.command, command=True),
        ]
    ),
    "an image that is announced and never comes": lambda s: b"".join(
        [
            *wire.in_pieces(3, s.command, command=True),
            *wire.in_pieces(3, s.command, command=True),
        ]
    ),
    "an image that was announced as absent": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, s.uid, x0800=wire.NO_DATA_SET)
    ),
    "a store without an image": lambda s: b"".join(
        wire.in_pieces(
            3, wire.store_command(wire.MAMMOGRAM, s.uid, x0800=wire.NO_DATA_SET), command=True
        )
    ),
    "an empty image": lambda s: s.sent(s.command, b""),
    "a command of rubbish": lambda s: s.sent(b"\x5a\xff\x01\x00" * 80),
    "a command in explicit VR": lambda s: s.sent(
        b"\0\0\0\0UL\4\0\x38\0\0\0" + b"\0\0\2\0UI\x1c\0" + wire.MAMMOGRAM.encode() + b"\0"
    ),
    "a command that is empty": lambda s: s.sent(b""),
    "a command that is cut off": lambda s: s.sent(s.command[:-9]),
    "an element longer than its command": lambda s: s.sent(
        s.command + b"\0\0\x30\x10\xff\xff\xff\x7fx"
    ),
    "an element without end in a command": lambda s: s.sent(
        s.command + b"\0\0\x30\x10\xff\xff\xff\xff"
    ),
    "a command without class": lambda s: s.lacking(wire.CLASS),
    "a command without kind": lambda s: s.lacking(wire.FIELD),
    "a command without number": lambda s: s.lacking(wire.MESSAGE),
    "a command without UID": lambda s: s.lacking(wire.INSTANCE),
    "a command that does not say whether there is data": lambda s: s.lacking(wire.DATA_SET),
    "an unknown command": lambda s: s.other_service(0x9999),
    "a response to nothing": lambda s: s.other_service(0x8001),
    "a find in the context of images": lambda s: s.other_service(wire.C_FIND),
    "a get in the context of images": lambda s: s.other_service(wire.C_GET),
    "a move in the context of images": lambda s: s.other_service(wire.C_MOVE),
    "a find without keys": lambda s: s.other_service(wire.C_FIND, with_data=False),
    "an event report": lambda s: s.other_service(wire.N_EVENT_REPORT),
    "a creation": lambda s: s.other_service(wire.N_CREATE),
    "another class than was negotiated": lambda s: s.sent(
        wire.store_command(wire.SECONDARY_CAPTURE, s.uid)
    ),
    "another class in both places": lambda s: s.sent(
        wire.store_command(wire.SECONDARY_CAPTURE, s.uid),
        encoded(mammogram(SOPClassUID=wire.SECONDARY_CAPTURE, SOPInstanceUID=s.uid)),
    ),
    "a class that is none": lambda s: s.sent(wire.store_command("1.2.3", s.uid)),
    "a class of two": lambda s: s.sent(
        wire.store_command(f"{wire.MAMMOGRAM}\\{wire.MAMMOGRAM}", s.uid)
    ),
    "a UID of two": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, f"{s.uid[:20]}\\{s.uid[:20]}")
    ),
    "another UID than the image's": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, "1.2.3.4")),
    "a UID of 65 letters": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, "1." + "2" * 63)),
    "a UID of a megabyte": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, "1." + "2" * (1 << 20))
    ),
    "a UID of zeros": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, bytes(20))),
    "a UID of blanks": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, b" " * 20)),
    "a UID beyond ASCII": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, b"\xff" * 20)),
    "numbers of three bytes": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, s.uid, x0100=b"\1\0\0", x0110=b"\1\0\0")
    ),
    "an image cut off within its pixels": lambda s: s.sent(s.command, s.content[:-100]),
    "an image cut off within its header": lambda s: s.sent(s.command, s.content[:200]),
    "an image in implicit VR": lambda s: s.sent(
        s.command, encoded(s.image, ImplicitVRLittleEndian)
    ),
    "an image in big endian": lambda s: s.sent(s.command, encoded(s.image, ExplicitVRBigEndian)),
    "a whole file": lambda s: s.sent(s.command, bytes(128) + b"DICM" + s.content),
    "a text": lambda s: s.sent(s.command, b"no data set at all, but of even length"),
}

# What is odd, and may succeed.
ODD_TALK: dict[str, Talk] = {
    "a command without group length": lambda s: s.sent(s.command[12:]),
    "a command with a group length of 0": lambda s: s.sent(
        s.command[:8] + bytes(4) + s.command[12:]
    ),
    "a command with a group length of 4 GiB": lambda s: s.sent(
        s.command[:8] + b"\xff" * 4 + s.command[12:]
    ),
    "a command with its elements in another order": lambda s: s.sent(
        s.command[:12] + s.command[-70:] + s.command[12:-70]
    ),
    "a priority of 65535": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, s.uid, x0700=0xFFFF)
    ),
    "the number 65535": lambda s: s.sent(wire.store_command(wire.MAMMOGRAM, s.uid, 0xFFFF)),
    "a mover": lambda s: s.sent(
        wire.store_command(wire.MAMMOGRAM, s.uid, x1030=b"../..   ", x1031=7)
    ),
    "reserved bits": wire.echo_request()[:11] + b"\xff" + wire.echo_request()[12:],
    "a command in pieces of one byte": lambda s: b"".join(
        wire.in_pieces(3, s.command, command=True, size=1)
    ),
    "many empty fragments": b"".join(
        [pdu(wire.DATA, fragment(3, b"", command=True, last=False))] * 3000
    ),
    "a cancel of nothing": lambda s: s.other_service(wire.C_CANCEL, with_data=False),
    "an echo with a status": echoed(x0900=0xFFFF),
    "an echo with data announced": echoed(x0800=1),
    "an abort from a stranger": pdu(wire.ABORT, b"\xff" * 4),
    "two releases": pdu(wire.RELEASE, bytes(4)) * 2,
    "a release and data": pdu(wire.RELEASE, bytes(4)) + wire.echo_request(),
    "a release of no length": pdu(wire.RELEASE, b""),
    "a release of 100 bytes": pdu(wire.RELEASE, bytes(100)),
    "a hundred echoes at once": wire.echo_request() * 100,
    "a hundred echoes of one number and an abort": (
        wire.echo_request() * 100 + pdu(wire.ABORT, bytes(4))
    ),
}
