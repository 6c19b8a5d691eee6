"""The file that an arriving image is written to, straight from the network.

pynetdicom makes this file itself and would raise in its network thread when the disk is full;
then the sender hears nothing. This one swallows the trouble and remembers it, so that the
answer can be A700.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from pynetdicom import dimse_messages


class IncomingFile:
    """A file in the spool's incoming folder that never raises while it is written."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.trouble: str | None = None
        self._handle: BinaryIO | None = None
        self._size = 0
        try:
            self._handle = path.open("wb")
        except OSError as trouble:
            self._give_up(trouble)

    @property
    def file(self) -> "IncomingFile":
        """Stand in for the file that tempfile wraps."""
        return self

    def write(self, block: bytes) -> int:
        """Write, or drop everything once the disk is full."""
        self._size += len(block)
        if self._handle is not None and self.trouble is None:
            try:
                self._handle.write(block)
            except OSError as trouble:
                self._give_up(trouble)
        return len(block)

    def flush(self) -> None:
        """Do nothing: blocks are flushed once, at the end, and synced before the answer."""

    def tell(self) -> int:
        """Say how much came in."""
        return self._size

    def close(self) -> None:
        """Finish writing."""
        if self._handle is not None:
            try:
                self._handle.close()
            except OSError as trouble:
                self._give_up(trouble)
            self._handle = None

    def discard(self) -> None:
        """Close and remove what nobody will be told about."""
        self.close()
        Path(self.name).unlink(missing_ok=True)

    def _give_up(self, trouble: OSError) -> None:
        self.trouble = trouble.strerror or type(trouble).__name__
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(OSError):
                os.truncate(self.name, 0)  # by name: the handle would write its buffer first
            with suppress(OSError):
                handle.close()


def write_to(folder: Path) -> None:
    """Let pynetdicom write arriving images into this folder."""

    def incoming_file(**_: object) -> IncomingFile:
        return IncomingFile(folder / f"{uuid.uuid4().hex}.dcm")

    dimse_messages.NamedTemporaryFile = incoming_file  # type: ignore[assignment, attr-defined]
