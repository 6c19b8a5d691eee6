"""Open a DICOM file: its header now, its pixels when they are asked for."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from inference.decoding import children
from inference.decoding.header import Element, Inflated, TooLarge, element_at, header_at
from inference.decoding.pixels import Layout, pixels_of
from inference.errors import Unreadable

_USUAL_BYTES = 512 << 10  # of a header; it cannot grow to much more than hundred times as much
_MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file whose header was read."""

    path: Path
    header: Dataset
    at: int  # where its pixels begin: in the file, or in what it inflates to

    @property
    def syntax(self) -> str:
        """Return the transfer syntax."""
        return str(self.header.file_meta.get("TransferSyntaxUID") or "")

    def pixels(self, layout: Layout) -> NDArray[np.integer]:
        """Read the pixels."""
        if self.syntax == DeflatedExplicitVRLittleEndian:
            with io.BufferedReader(Inflated(self.path), 1 << 20) as file:
                skipped = 0
                while skipped < self.at and (some := file.read(min(1 << 20, self.at - skipped))):
                    skipped += len(some)
                return pixels_of(self._element(cast("BinaryIO", file)), layout)
        with self.path.open("rb") as file:
            file.seek(self.at)
            return pixels_of(self._element(file), layout)

    def _element(self, file: BinaryIO) -> Element:
        element = element_at(file, self.syntax)
        if element is None:
            raise Unreadable("the image has no PixelData")
        return element


def open_file(path: Path) -> Opened:
    """Open a file; a header that is unusually large is tried by a child first.

    A few bytes may become a thousand: an empty item, or a number among many.
    """
    try:
        try:
            return Opened(path, *header_at(path, _USUAL_BYTES))
        except TooLarge:
            children.tried(path, _MOST_BYTES)
            return Opened(path, *header_at(path, _MOST_BYTES))
    except (RecursionError, OSError) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            raise  # trouble with the disk; a parser's own has no number
        raise Unreadable(
            "the header cannot be parsed: it is cut off, or its sequences lie too deep"
        ) from fault
