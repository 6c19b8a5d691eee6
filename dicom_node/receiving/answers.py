"""What is answered to C-STORE and C-ECHO, encoded at once (PS3.7 9.3, PS3.8 annex E).

pynetdicom makes an object of each element first, twice, while the sender waits with its next image.
"""

import struct

from pynetdicom.dimse_primitives import C_ECHO, C_STORE

ANSWER_TO_STORE, ANSWER_TO_ECHO = 0x8001, 0x8030
NO_DATA_SET = 0x0101
P_DATA = 0x04
COMMAND, LAST = 1, 2
PDV_HEADER_BYTES = 6
USUAL_BYTES = 16 << 10


def answer_to(request: C_STORE | C_ECHO, status: int) -> bytes:
    """Encode the command set of an answer."""
    is_store = isinstance(request, C_STORE)
    body = _uid(0x0002, request.AffectedSOPClassUID)
    body += _number(0x0100, ANSWER_TO_STORE if is_store else ANSWER_TO_ECHO)
    body += _number(0x0120, request.MessageID or 0)
    body += _number(0x0800, NO_DATA_SET) + _number(0x0900, status)
    if isinstance(request, C_STORE):
        body += _uid(0x1000, request.AffectedSOPInstanceUID)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def in_pdus(command: bytes, context_id: int, most: int) -> bytes:
    """Cut a command into PDUs no longer than the peer takes them; 0: of any length."""
    step = (most or USUAL_BYTES) - PDV_HEADER_BYTES
    pdus = b""
    for at in range(0, len(command), step):
        piece = command[at : at + step]
        control = COMMAND | (LAST if at + step >= len(command) else 0)
        size = len(piece) + 2
        pdus += struct.pack(">BxLLBB", P_DATA, size + 4, size, context_id, control) + piece
    return pdus


def _uid(element: int, uid: str | None) -> bytes:
    """Encode a UID, or nothing where the request had none."""
    if uid is None:
        return b""
    value = uid.encode("ascii")
    value += bytes(len(value) % 2)
    return struct.pack("<HHL", 0, element, len(value)) + value


def _number(element: int, number: int) -> bytes:
    return struct.pack("<HHLH", 0, element, 2, number)
