"""The file that an arriving image is written to, straight from the network.

Trouble with the disk is swallowed while the image comes in, and remembered: a sender that is cut
off would hear nothing, and the answer after the last byte is A700.
"""

import os
from contextlib import suppress
from pathlib import Path

from pynetdicom.dsutils import create_file_meta, encode_file_meta

from dicom_node.spool import DataSetDigest

PREFIX = bytes(128) + b"DICM"


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
                self._handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC)
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
        meta = create_file_meta(
            sop_class_uid=sop_class_uid,  # type: ignore[arg-type]
            sop_instance_uid=sop_uid,  # type: ignore[arg-type]
            transfer_syntax=transfer_syntax_uid,  # type: ignore[arg-type]
        )
        self._put(PREFIX + encode_file_meta(meta))

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
