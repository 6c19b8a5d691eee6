"""From the fragments of P-DATA to whole messages (PS3.8 annex E).

Commands are few bytes and are decoded by pynetdicom. A data set is written to its file as it comes,
however it was cut into fragments, and whichever way these share PDUs. What cannot be told apart for
sure, fragments of two messages mixed or a data set that nothing announced, ends the association.
"""

import struct
import time
from io import BytesIO
from typing import Protocol

from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_STORE, DimseServiceType
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext

from dicom_node.receiving.incoming import IncomingFile
from dicom_node.receiving.wire import CutOff, Wire

PDV_HEADER_BYTES = 6
PDU_OF_ONE = struct.Struct(">BxLLBB")  # the headers of a PDU and of its only fragment
P_DATA_TF = 0x04
COMMAND, LAST = 1, 2  # bits of the message control header
COMMAND_BYTES = 64 << 10
MOST_EMPTY = 1000  # fragments of a message that bring nothing; whoever sends so many sends no image
SMALL_DATA_SET_BYTES = 8 << 20  # of what is no image, and is held in memory
SLOWEST_BYTES_PER_SECOND = 4 << 10
INVALID_PARAMETER = 6


class Recipient(Protocol):
    """Who takes whole messages."""

    def image_begins(self, request: C_STORE, context: PresentationContext) -> IncomingFile:
        """Say where the data set of a C-STORE request is to be written."""

    def image_is_here(
        self, request: C_STORE, context: PresentationContext, file: IncomingFile | None
    ) -> None:
        """Answer a C-STORE request."""

    def message_is_here(self, request: DimseServiceType, context: PresentationContext) -> None:
        """Answer any other request."""


class Fragments:
    """What has come of one message."""

    def __init__(
        self, wire: Wire, recipient: Recipient, idle_seconds: float, most_bytes: int
    ) -> None:
        self.contexts: dict[int, PresentationContext] = {}
        self._wire = wire
        self._recipient = recipient
        self._idle_seconds = idle_seconds
        self._most_bytes = most_bytes
        self._began = 0.0
        self._read_before = 0
        self._forget()

    def _forget(self) -> None:
        self._context: PresentationContext | None = None
        self._command = bytearray()
        self._empty = 0
        self._message: DIMSEMessage | None = None
        self._request: DimseServiceType | None = None
        self._file: IncomingFile | None = None

    @property
    def between_messages(self) -> bool:
        """Say that no message is half here."""
        return self._context is None

    def abandon(self) -> None:
        """Remove what is half received."""
        if self._file is not None:
            self._file.discard()
        self._forget()

    def take(self, length: int) -> None:
        """Take one PDU of P-DATA, whose header was read."""
        self._be_quick()
        while length:
            if length < PDV_HEADER_BYTES:
                raise CutOff("a PDU whose parts do not fill it", INVALID_PARAMETER)
            size, context_id, control = struct.unpack(">LBB", self._wire.take(PDV_HEADER_BYTES))
            if not 2 <= size <= length - 4:  # noqa: PLR2004 - context and control are counted
                raise CutOff("a fragment that is longer than its PDU", INVALID_PARAMETER)
            length -= 4 + size
            self._enter(context_id)
            if size == 2 and not control & LAST:  # noqa: PLR2004 - as above
                self._note_an_empty_one()
            if control & COMMAND:
                self._take_command(size - 2, last=bool(control & LAST))
            else:
                self._take_data(size - 2, last=bool(control & LAST))

    def take_whole_ones(self, limit: int) -> None:
        """Take the PDUs of an image that lie whole in the buffer, all at once.

        They are the many: a fragment to a PDU, and not the last. Whatever else comes is left.
        """
        if self._file is None or self._context is None:
            return
        waiting, at = self._wire.waiting(), 0
        parts: list[memoryview] = []
        room = self._most_bytes - self._file.size
        while len(waiting) - at >= PDU_OF_ONE.size:
            kind, length, size, context_id, control = PDU_OF_ONE.unpack_from(waiting, at)
            begin, end = at + PDU_OF_ONE.size, at + PDU_OF_ONE.size + size - 2
            room -= end - begin
            is_plain = (kind, context_id, control) == (P_DATA_TF, self._context.context_id, 0)
            is_whole = length - 4 == size and begin < end <= len(waiting)
            if not is_plain or not is_whole or length > limit or room < 0:
                break
            parts.append(waiting[begin:end])
            at = end
        if parts:
            self._be_quick()
            self._file.write(memoryview(b"".join(parts)))
            self._wire.skip(at)

    def _be_quick(self) -> None:
        """Cut off a sender that keeps a place with a message of which next to nothing comes."""
        if self.between_messages:
            self._began, self._read_before = time.monotonic(), self._wire.bytes_read
        took = time.monotonic() - self._began
        came = self._wire.bytes_read - self._read_before
        if took > self._idle_seconds + came / SLOWEST_BYTES_PER_SECOND:
            raise CutOff(f"{came} bytes of a message came in {took:.0f} s")

    def _note_an_empty_one(self) -> None:
        """Cut off a sender of nothing: it is never slow, and never done."""
        self._empty += 1
        if self._empty > MOST_EMPTY:
            raise CutOff(f"more than {MOST_EMPTY} empty fragments", INVALID_PARAMETER)

    def _enter(self, context_id: int) -> None:
        """See that the fragments of a message are all of one context, an accepted one."""
        context = self.contexts.get(context_id)
        if context is None:
            raise CutOff("a fragment in a presentation context that was not accepted", 6)
        if self._context is not None and context is not self._context:
            raise CutOff("fragments of two presentation contexts, mixed", INVALID_PARAMETER)
        self._context = context

    def _take_command(self, size: int, *, last: bool) -> None:
        if self._message is not None:
            raise CutOff("a command in the middle of a data set", INVALID_PARAMETER)
        if len(self._command) + size > COMMAND_BYTES:
            raise CutOff(f"a command of more than {COMMAND_BYTES} bytes", INVALID_PARAMETER)
        for piece in self._wire.pieces(size):
            self._command += piece
        if last:
            self._decode_command()

    def _decode_command(self) -> None:
        assert self._context is not None
        assert self._context.context_id is not None
        whole = P_DATA()
        content = bytes([COMMAND | LAST]) + self._command
        whole.presentation_data_value_list.append((self._context.context_id, content))
        self._message = DIMSEMessage()
        try:
            _is_whole(self._command)
            alone = self._message.decode_msg(whole)
            _only_a_command(self._message)
            _without_bad_uids(self._message)
            self._request = self._message.message_to_primitive()  # type: ignore[assignment]
        except CutOff:
            raise
        except Exception as fault:
            sentence = f"a command that cannot be read ({type(fault).__name__})"
            raise CutOff(sentence, INVALID_PARAMETER) from fault
        if alone:
            self._deliver()
        elif self._is_an_image():
            assert isinstance(self._request, C_STORE)
            self._wire.widen()
            self._file = self._recipient.image_begins(self._request, self._context)

    def _is_an_image(self) -> bool:
        return isinstance(self._message, C_STORE_RQ)

    def _take_data(self, size: int, *, last: bool) -> None:
        if self._message is None:
            raise CutOff("a data set that no command announced", INVALID_PARAMETER)
        if self._file is not None:
            if self._file.size + size > self._most_bytes:
                raise CutOff(f"an object of more than {self._most_bytes >> 20} MB")
            for piece in self._wire.pieces(size):
                self._file.write(piece)
        else:
            assert self._message.data_set is not None
            if self._message.data_set.tell() + size > SMALL_DATA_SET_BYTES:
                raise CutOff(f"more than {SMALL_DATA_SET_BYTES >> 20} MB that are no image")
            for piece in self._wire.pieces(size):
                self._message.data_set.write(piece)
        if last:
            self._deliver()

    def _deliver(self) -> None:
        """Hand the whole message on; the next one may follow in the same PDU."""
        context, message, request, file = self._context, self._message, self._request, self._file
        assert context is not None
        assert message is not None
        assert request is not None
        self._wire.narrow()
        try:
            if self._is_an_image():
                assert isinstance(request, C_STORE)
                self._recipient.image_is_here(request, context, file)
            else:
                assert isinstance(message.data_set, BytesIO)
                self._recipient.message_is_here(_with_data(message), context)
        finally:
            if file is not None:
                file.discard()
            self._forget()
            self._began, self._read_before = time.monotonic(), self._wire.bytes_read


def _with_data(message: DIMSEMessage) -> DimseServiceType:
    request: DimseServiceType = message.message_to_primitive()  # type: ignore[assignment]
    return request


def _is_whole(command: bytearray) -> None:
    """See that the last element ends where the command does: pydicom takes what there is."""
    at = 0
    while at + 8 <= len(command):
        at += 8 + int(struct.unpack_from("<I", command, at + 4)[0])
    if at != len(command):
        raise CutOff("a command that cannot be read (elements that do not fill it)", 6)


def _only_a_command(message: DIMSEMessage) -> None:
    if any(element.tag.group for element in message.command_set):
        raise CutOff("a command with elements of another group", INVALID_PARAMETER)


def _without_bad_uids(message: DIMSEMessage) -> None:
    """Let a request be answered whose UIDs are none: pynetdicom would only raise."""
    if isinstance(message, C_STORE_RQ):
        for keyword in ("AffectedSOPInstanceUID", "AffectedSOPClassUID"):
            uid = message.command_set.get(keyword)
            if uid is not None and not getattr(uid, "is_valid", False):
                delattr(message.command_set, keyword)
