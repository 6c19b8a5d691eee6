"""A file's header, and where its pixels begin; of either, no more bytes than a header needs."""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info, read_dataset, read_preamble
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from inference.errors import Unreadable

UNDEFINED = 0xFFFFFFFF
TOO_LARGE = "its header is larger than any mammogram's"
_BLOCK = 1 << 16
_LONG = {b"OB", b"OW", b"UN", b"OD", b"OF", b"OL", b"OV"}


class TooLarge(Unreadable):
    """Say that a header has more bytes than were allowed for."""


class Element(NamedTuple):
    """The beginning of PixelData: a file behind its length."""

    file: BinaryIO
    vr: str
    length: int  # UNDEFINED where it is encapsulated


class _Rationed(io.BufferedReader):
    """A file of which only so many bytes are read; what is skipped does not count."""

    def __init__(self, path: Path, ration: int) -> None:
        super().__init__(io.FileIO(path))
        self.ration = ration

    def read(self, size: int | None = -1, /) -> bytes:
        most = self.ration + 1
        got = super().read(most if size is None or size < 0 else min(size, most))
        self.ration -= len(got)
        if self.ration < 0:
            raise TooLarge(TOO_LARGE)
        return got


def header_at(path: Path, most_bytes: int) -> tuple[Dataset, int]:
    """Read a header, and say where its pixels begin: in the file, or in what it inflates to.

    Of a deflated file no more is inflated than asked for: a small one may hold gigabytes.
    """
    with _Rationed(path, most_bytes) as file:
        read_preamble(file, force=False)
        meta = _read_file_meta_info(file)
        if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            return _inflated_header(path, meta, most_bytes)
        file.seek(0)
        header = dcmread(file, stop_before_pixels=True)
        return header, file.tell()


def first_elements(start: bytes, last: int) -> Dataset:
    """Read a header's elements up to one, from the first bytes of a file; a few more inflated."""
    file = io.BytesIO(start)
    read_preamble(file, force=False)
    syntax = UID(str(_read_file_meta_info(file).TransferSyntaxUID))
    if syntax == DeflatedExplicitVRLittleEndian:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        file = io.BytesIO(inflate.decompress(file.read(), len(start)))
    return read_dataset(
        file,
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=lambda tag, _vr, _length: tag > last,
    )


def _inflated_header(path: Path, meta: FileMetaDataset, most_bytes: int) -> tuple[Dataset, int]:
    start = bytearray()
    for block in _inflated(path):
        start += block
        if len(start) > most_bytes:
            break
    content = io.BytesIO(start)
    try:
        header = read_dataset(
            content, is_implicit_VR=False, is_little_endian=True, stop_when=_at_pixels
        )
    except Exception as fault:
        if len(start) > most_bytes:  # whatever a parser says of what was cut off
            raise TooLarge(TOO_LARGE) from fault
        raise
    if content.tell() >= most_bytes:
        raise TooLarge(TOO_LARGE)
    header.file_meta = meta
    header.set_original_encoding(is_implicit_vr=False, is_little_endian=True)
    return header, content.tell()


def _at_pixels(tag: int, _vr: str | None, _length: int) -> bool:
    return tag in {0x7FE00008, 0x7FE00009, 0x7FE00010}


def _inflated(path: Path) -> Iterator[bytes]:
    """Inflate a file's data set, block by block."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    with _Rationed(path, _BLOCK) as file:
        read_preamble(file, force=False)
        _read_file_meta_info(file)
        start = file.tell()
    with path.open("rb") as file:
        file.seek(start)
        while not inflate.eof and (block := inflate.unconsumed_tail or file.read(_BLOCK)):
            yield inflate.decompress(block, _BLOCK)
    yield inflate.flush()


class Inflated(io.RawIOBase):
    """A deflated data set as a file that is read once, from its start to its end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._blocks, self._left = _inflated(path), memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, target: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the next block goes."""
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._left = memoryview(block)
        some = min(len(target), len(self._left))
        target[:some] = self._left[:some]
        self._left = self._left[some:]
        return some


def element_at(file: BinaryIO, syntax: str) -> Element | None:
    """Read the beginning of the element that a file stands at; None where it holds no pixels."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    head = file.read(8)
    if len(head) < 8:  # noqa: PLR2004 - tag, and length or VR
        return None
    group, number = struct.unpack_from(order + "HH", head)
    if (group, number) != (0x7FE0, 0x0010):
        return None
    if syntax == ImplicitVRLittleEndian or head[4:6] not in _LONG:
        return Element(file, "OW", struct.unpack_from(order + "L", head, 4)[0])
    length = file.read(4)
    if len(length) < 4:  # noqa: PLR2004
        return None
    return Element(file, head[4:6].decode(), struct.unpack(order + "L", length)[0])
