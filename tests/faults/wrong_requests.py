"""Association requests that are wrong somewhere, each with a name for it."""

import struct

import wire
from wire import item, offered, pdu

ECHO = offered(1, wire.VERIFICATION, wire.IMPLICIT)


def nested(*kinds: int) -> bytes:
    """Put items into items."""
    content = b""
    for kind in kinds:
        content = item(kind, content)
    return content


# What asks for an association, and must not get one.
NO_ASSOCIATION: dict[str, bytes] = {
    "a web browser": b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
    "a TLS hello without TLS": bytes.fromhex("1603010200010001fc0303") + bytes(512),
    "an SSH client": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": bytes(4096),
    "ones": b"\xff" * 4096,
    "an empty request": pdu(wire.ASSOCIATE, b""),
    "a request one byte short of its fixed part": pdu(wire.ASSOCIATE, bytes(67)),
    "a request of its fixed part alone": pdu(wire.ASSOCIATE, struct.pack(">HH", 1, 0) + bytes(64)),
    "protocol version 2": wire.associate(ECHO, protocol=2),
    "protocol version 0": wire.associate(ECHO, protocol=0),
    "another application context": wire.associate(ECHO, application=item(0x10, b"1.2.3")),
    "no application context": wire.associate(ECHO, application=b""),
    "an application context that is no UID": wire.associate(
        ECHO, application=item(0x10, b"\xff\xfe" * 9)
    ),
    "an application context of 60,000 letters": wire.associate(
        ECHO, application=item(0x10, b"1" * 60000)
    ),
    "no presentation context": wire.associate(),
    "no user information": wire.associate(ECHO, user=b""),
    "an item longer than the request": wire.associate(item(0x20, bytes(4), 0xFFFF)),
    "an item within an item longer than it": wire.associate(
        item(0x20, bytes(4) + item(0x30, b"1.2", 500))
    ),
    "a context of three bytes": wire.associate(item(0x20, b"\1\0\0")),
    "a thousand unknown items": wire.associate(*[item(0x99, b"?")] * 1000),
    "items within items": wire.associate(nested(*[0x20] * 30)),
    "user information that is cut off": wire.associate(ECHO, user=item(0x50, b"\x51\0\0\4\0\0")),
    "a longest PDU of two bytes": wire.associate(ECHO, user=item(0x50, item(0x51, b"\1\0"))),
    "an acceptance": pdu(wire.ACCEPT, wire.associate(ECHO)[6:]),
    "a rejection": pdu(wire.REJECT, b"\0\1\1\1"),
    "data": wire.echo_request(),
    "a release": pdu(wire.RELEASE, bytes(4)),
    "a release answered": pdu(wire.RELEASED, bytes(4)),
    "an abort": pdu(wire.ABORT, bytes(4)),
    "an abort of ten bytes": pdu(wire.ABORT, bytes(10)),
    "PDU type 0": pdu(0, bytes(4)),
    "PDU type 8": pdu(8, bytes(4)),
    "PDU type 255": pdu(255, bytes(4)),
    "a caller of blanks": wire.associate(ECHO, calling=b" " * 16),
    "a caller of zeros": wire.associate(ECHO, calling=b"\0" * 16),
    "a caller with a line feed": wire.associate(ECHO, calling=b"A\nlistening"),
    "a caller with a backslash": wire.associate(ECHO, calling=b"A\\B"),
    "a caller that escapes": wire.associate(ECHO, calling=b"\x1b[2J\x1b[31mROOT"),
    "a caller beyond ASCII": wire.associate(ECHO, calling="MÜNCHEN".encode("latin-1")),
    "a called title of blanks": wire.associate(ECHO, called=b" " * 16),
    "a called title of zeros": wire.associate(ECHO, called=b"\0" * 16),
    "a called title beyond ASCII": wire.associate(ECHO, called=b"\xff" * 16),
    "a context without number": wire.associate(offered(0, wire.VERIFICATION, wire.IMPLICIT)),
    "a context with an even number": wire.associate(offered(2, wire.VERIFICATION, wire.IMPLICIT)),
    "a context without syntax": wire.associate(offered(1, wire.VERIFICATION)),
    "a context without class": wire.associate(
        item(0x20, b"\1\0\0\0" + item(0x40, wire.IMPLICIT.encode()))
    ),
    "a class that is no UID": wire.associate(offered(1, "../../etc/passwd", wire.IMPLICIT)),
    "a class beyond ASCII": wire.associate(item(0x20, b"\1\0\0\0" + item(0x30, b"\xff" * 20))),
    "one class and a syntax that is no UID": wire.associate(offered(1, wire.VERIFICATION, "1.2.x")),
}

# What is odd, and may be let in or not.
ODD: dict[str, bytes] = {
    "two application contexts": wire.associate(item(0x10, wire.APPLICATION.encode()), ECHO),
    "one number for two contexts": wire.associate(ECHO, offered(1, wire.MAMMOGRAM, wire.EXPLICIT)),
    "the same context 128 times": wire.associate(
        *[offered(number, wire.VERIFICATION, wire.IMPLICIT) for number in range(1, 256, 2)]
    ),
    "128 contexts with 40 syntaxes each": wire.associate(
        *[
            offered(number, wire.MAMMOGRAM, *[f"1.2.840.10008.1.2.{n}" for n in range(40)])
            for number in range(1, 256, 2)
        ]
    ),
    "128 contexts with 200 syntaxes each": wire.associate(
        *[
            offered(number, wire.MAMMOGRAM, *[f"1.2.840.10008.1.2.{n}" for n in range(200)])
            for number in range(1, 256, 2)
        ]
    ),
    "a longest PDU of 1": wire.associate(ECHO, user=wire.user_information(largest=1)),
    "a longest PDU of 4 GiB": wire.associate(
        ECHO, user=wire.user_information(largest=wire.LARGEST)
    ),
    "user information twice": wire.associate(ECHO, wire.user_information()),
    "user items a hundred times": wire.associate(
        ECHO, user=wire.user_information(*[item(0x52, b"1.2.3")] * 100)
    ),
    "a window of 65535": wire.associate(
        ECHO, user=wire.user_information(item(0x53, b"\xff\xff\xff\xff"))
    ),
    "a role nobody has": wire.associate(
        ECHO, user=wire.user_information(wire.role(wire.VERIFICATION, scu=0, scp=0))
    ),
    "both roles for every class": wire.associate(
        ECHO,
        user=wire.user_information(
            *[wire.role(f"1.2.840.10008.5.1.4.1.1.{n}", scu=1, scp=1) for n in range(500)]
        ),
    ),
    "a role of 255 and 255": wire.associate(
        ECHO, user=wire.user_information(wire.role(wire.VERIFICATION, scu=255, scp=255))
    ),
    "a role whose UID is longer than it": wire.associate(
        ECHO, user=wire.user_information(item(0x54, b"\xff\xff1.2"))
    ),
    "a name and a password": wire.associate(
        ECHO, user=wire.user_information(wire.identity(2, b"root", b"x" * 5000))
    ),
    "an identity of an unknown kind": wire.associate(
        ECHO, user=wire.user_information(wire.identity(99, b"\0" * 100))
    ),
    "an identity longer than its item": wire.associate(
        ECHO, user=wire.user_information(item(0x58, b"\1\1\xff\xffroot"))
    ),
    "extended negotiation of rubbish": wire.associate(
        ECHO, user=wire.user_information(item(0x56, b"\0\x111.2.840.10008.1.1" + b"\xff" * 900))
    ),
    "common extended negotiation of rubbish": wire.associate(
        ECHO, user=wire.user_information(item(0x57, b"\xff" * 99))
    ),
    "an unknown user item": wire.associate(ECHO, user=wire.user_information(item(0x77, b"x" * 77))),
    "an implementation that is no UID": wire.associate(
        ECHO, user=item(0x50, item(0x51, bytes(4)) + item(0x52, b"not a uid") + item(0x55, b""))
    ),
    "a version of a thousand letters": wire.associate(
        ECHO, user=wire.user_information(item(0x55, b"V" * 1000))
    ),
    "two requests at once": wire.associate(ECHO) * 2,
    "a request and data at once": wire.associate(ECHO) + wire.echo_request(),
    "a request and its abort": wire.associate(ECHO) + pdu(wire.ABORT, bytes(4)),
    "a request and its release": wire.associate(ECHO) + pdu(wire.RELEASE, bytes(4)),
    "a request that says it is shorter": wire.associate(ECHO, length=100),
    "a request that says it is longer": wire.associate(ECHO, length=1000),
}
