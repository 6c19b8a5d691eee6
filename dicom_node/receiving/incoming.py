"""The file that an arriving image is written to, straight from the network.

Trouble with the disk is swallowed while the image comes in, and remembered: a sender that is cut
off would hear nothing, and the answer after the last byte is A700.
"""

import os
import struct
from contextlib import suppress
from pathlib import Path

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from dicom_node.spool import GROUP_LENGTH, DataSetDigest

PREFIX = bytes(128) + b"DICM"
META_VERSION = b"\2\0\1\0OB\0\0\2\0\0\0\0\1"


class IncomingFile:
    """A file in the spool's incoming folder that never raises while it is written."""

    def __init__(self, path: Path, refusal: Exception | None = None) -> None:
        """Open the file, or none where it is known already that the image is refused."""
        self.path = path
        self.refusal = refusal
        self.trouble: str | None = None
        self.size = 0
        self._digest = DataSetDigest()
        self._handle = -1
        if refusal is None:
            try:
                self._handle = _opened(path)
            except OSError as trouble:
                self._give_up(trouble)

    @property
    def written(self) -> int | None:
        """Name the descriptor that writes, while it is open."""
        return self._handle if self._handle >= 0 else None

    @property
    def digest(self) -> str:
        """Name the image by its data set, which was hashed as it came."""
        return self._digest.hexdigest()

    def begin(self, sop_class_uid: str, sop_uid: str, transfer_syntax_uid: str) -> None:
        """Write what stands before the data set: nothing of it comes from the sender's file."""
        meta = META_VERSION
        meta += _element(0x0002, "UI", sop_class_uid) + _element(0x0003, "UI", sop_uid)
        meta += _element(0x0010, "UI", transfer_syntax_uid)
        meta += _element(0x0012, "UI", PYNETDICOM_IMPLEMENTATION_UID)
        meta += _element(0x0013, "SH", PYNETDICOM_IMPLEMENTATION_VERSION)
        self._put(PREFIX + GROUP_LENGTH + struct.pack("<L", len(meta)) + meta)

    def write(self, piece: memoryview) -> None:
        """Write a piece of the data set, or drop it once the disk is full."""
        self.size += len(piece)
        if self._handle >= 0:
            self._digest.update(piece)
            self._put(piece)

    def close(self) -> None:
        """Finish writing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            try:
                os.close(handle)
            except OSError as trouble:
                self._give_up(trouble)

    def discard(self) -> None:
        """Close and remove what nobody will be told about."""
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _put(self, piece: bytes | memoryview) -> None:
        try:
            while self._handle >= 0 and piece:
                piece = piece[os.write(self._handle, piece) :]
        except OSError as trouble:
            self._give_up(trouble)

    def _give_up(self, trouble: OSError) -> None:
        """Remember why, and give the room back at once: others may need it."""
        self.trouble = trouble.strerror or type(trouble).__name__
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):
                os.ftruncate(handle, 0)
            with suppress(OSError):
                os.close(handle)


def _opened(path: Path) -> int:
    """Open a new file, in a folder that is made again where somebody has removed it."""
    how = os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC
    try:
        return os.open(path, how)
    except FileNotFoundError:
        path.parent.mkdir(exist_ok=True)
        return os.open(path, how)


def _element(number: int, vr: str, text: str) -> bytes:
    """Encode a short element of the file meta (PS3.10 7.1): of six, pydicom makes objects first."""
    value = text.encode("ascii")
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 2, number, vr.encode(), len(value)) + value
