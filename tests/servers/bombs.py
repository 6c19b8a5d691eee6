"""Small files that ask for gigabytes, each a study of its own, made from one good image."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

MEGABYTE = 1 << 20
HUGE = 65535
PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)


@dataclass(frozen=True)
class Bomb:
    """A file, and what it is."""

    name: str
    path: Path
    study_uid: str
    sop_class: str
    sop_uid: str
    syntax: str
    offset: int  # where its data set begins

    @property
    def data_set(self) -> bytes:
        """Return the data set as it is sent."""
        return self.path.read_bytes()[self.offset :]


@dataclass(frozen=True)
class Deflated:
    """A data set that is deflated block by block, so that it is never whole in memory."""

    head: bytes
    blocks: tuple[tuple[bytes, int], ...]  # what is repeated, and how often


Content = bytes | Deflated
Maker = Callable[[Dataset], Content]


def bombs(image: Dataset, folder: Path, names: Iterable[str] | None = None) -> Iterator[Bomb]:
    """Write them all, or some."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in BOMBS if names is None else names:
        syntax, make = BOMBS[name]
        one = deepcopy(image)
        one.StudyInstanceUID, one.SOPInstanceUID = generate_uid(), generate_uid()
        one.SeriesInstanceUID = generate_uid()
        one.pop("PixelData", None)
        path = folder / f"{name.replace(' ', '-')}.dcm"
        offset = _write(path, one, syntax, make(one))
        uids = (str(one.StudyInstanceUID), str(one.SOPClassUID), str(one.SOPInstanceUID))
        yield Bomb(name, path, *uids, str(syntax), offset)


def _write(path: Path, image: Dataset, syntax: UID, content: Content) -> int:
    image.ensure_file_meta()
    meta = image.file_meta
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    with path.open("wb") as file:
        file.write(bytes(128) + b"DICM")
        start = BytesIO()
        write_file_meta_info(start, meta, enforce_standard=True)
        file.write(start.getvalue())
        offset = file.tell()
        if isinstance(content, bytes):
            file.write(content)
            return offset
        squeeze = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
        size = file.write(squeeze.compress(content.head))
        for block, times in content.blocks:
            for _ in range(times):
                size += file.write(squeeze.compress(block))
        size += file.write(squeeze.flush())
        file.write(bytes(size % 2))
    return offset


def _header(image: Dataset, **changes: object) -> bytes:
    image = deepcopy(image)
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, image)
    return bytes(stream.getvalue())


def _native(pixels: bytes, length: int | None = None) -> bytes:
    said = len(pixels) if length is None else length
    return PIXELS + b"OW\0\0" + struct.pack("<L", said) + pixels


def _fragments(*fragments: bytes) -> bytes:
    item = b"\xfe\xff\x00\xe0"
    body = b"".join(
        item + struct.pack("<L", len(one) + len(one) % 2) + one + bytes(len(one) % 2)
        for one in (b"", *fragments)
    )
    return PIXELS + b"OB\0\0\xff\xff\xff\xff" + body + b"\xfe\xff\xdd\xe0" + bytes(4)


def j2k(rows: int, columns: int, tile: int = 0) -> bytes:
    """Make a code stream of JPEG 2000 that is all promise: sizes, and nearly no data."""
    across, down = tile or columns, tile or rows
    size = (
        struct.pack(">HHLLLLLLLLH", 41, 0, columns, rows, 0, 0, across, down, 0, 0, 1) + b"\x0b\1\1"
    )
    code = struct.pack(">HBBHBBBBBB", 12, 0, 0, 1, 0, 5, 4, 4, 0, 1)
    quantities = struct.pack(">HB", 19, 0x40) + bytes(16)
    part = struct.pack(">HHLBB", 10, 0, 14 + 20, 0, 1)
    body = b"\xff\x93" + bytes(20) + b"\xff\xd9"
    head = b"\xff\x4f\xff\x51" + size + b"\xff\x52" + code + b"\xff\x5c" + quantities
    return head + b"\xff\x90" + part + body


def jpeg(frame: int, rows: int, columns: int, body: bytes = bytes(2000), bits: int = 12) -> bytes:
    """Make a code stream of JPEG or JPEG-LS in the same way."""
    sizes = struct.pack(">HBHHB", 11, bits, rows, columns, 1) + b"\1\x11\0"
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0) + b"\1" + bytes(15) + b"\0"
    scan = struct.pack(">HB", 8, 1) + b"\1\0\1\0\0"
    if frame == 0xF7:
        table, scan = b"", struct.pack(">HB", 8, 1) + b"\1\0\0\0\0"
    head = b"\xff\xd8\xff" + bytes([frame]) + sizes + table
    return head + b"\xff\xda" + scan + body + b"\xff\xd9"


def rle(segments: int, body: bytes) -> bytes:
    """Make a frame of RLE: its header, and the same body for each segment."""
    offsets = [64 + number * len(body) for number in range(segments)]
    return struct.pack("<16L", segments, *offsets, *[0] * (15 - segments)) + body * segments


def _deflated(element: bytes, megabytes: int, image: Dataset, **changes: object) -> Deflated:
    """Let an element before the pixels, or the pixels themselves, be that long."""
    head = _header(image, **changes) + element + struct.pack("<L", megabytes * MEGABYTE)
    return Deflated(head, ((bytes(MEGABYTE), megabytes),))


def _empty_items(image: Dataset) -> Content:
    """Let a sequence have millions of items, each of which takes a thousand bytes when parsed."""
    sequence = struct.pack("<HH2sHL", 0x5000, 0x0101, b"SQ", 0, 0xFFFFFFFF)
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 100_000
    return Deflated(_header(image) + sequence, ((items, 80),))


def _many_numbers(image: Dataset) -> Content:
    """Let a window have millions of widths, each of which takes hundreds of bytes when read."""
    del image.WindowWidth
    del image.WindowCenter
    element = struct.pack("<HH2sH", 0x5000, 0x0103, b"SH", 2) + b"A "
    many = struct.pack("<HH2sHL", 0x5000, 0x0105, b"UC", 0, 30 * MEGABYTE)
    window = b"1\\" * (MEGABYTE // 2)
    return Deflated(_header(image) + element + many, ((window, 30),))


def _nested(image: Dataset) -> bytes:
    sequence = struct.pack("<HH2sHL", 0x5000, 0x0101, b"SQ", 0, 0xFFFFFFFF)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return _header(image) + (sequence + item) * 10_000 + _native(bytes(100))


def _lut(image: Dataset) -> Content:
    sequence = struct.pack("<HH2sHL", 0x0028, 0x3010, b"SQ", 0, 0xFFFFFFFF)
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    descriptor = struct.pack("<HH2sHHHH", 0x0028, 0x3002, b"US", 6, 0, 0, 16)
    data = struct.pack("<HH2sHL", 0x0028, 0x3006, b"OW", 0, 400 * MEGABYTE)
    head = Dataset({tag: image[tag] for tag in image.keys() if tag < 0x00283010})  # noqa: SIM118
    return Deflated(_header(head) + sequence + item + descriptor + data, ((bytes(MEGABYTE), 400),))


def _as_large_as_allowed(image: Dataset) -> bytes:
    return _header(image, Rows=6000, Columns=6000) + _fragments(j2k(6000, 6000))


def _cut_off(image: Dataset) -> bytes:
    head = _header(image, Rows=6000, Columns=6000)
    return head + _fragments(jpeg(0xC3, 6000, 6000, b"\xaa" * 5000))


BOMBS: dict[str, tuple[UID, Maker]] = {
    "deflated pixels": (
        DeflatedExplicitVRLittleEndian,
        lambda image: _deflated(PIXELS + b"OW\0\0", 1024, image),
    ),
    "deflated header": (
        DeflatedExplicitVRLittleEndian,
        lambda image: _deflated(struct.pack("<HH", 0x5001, 0x0010) + b"OB\0\0", 1024, image),
    ),
    "deflated overlay": (
        DeflatedExplicitVRLittleEndian,
        lambda image: _deflated(struct.pack("<HH", 0x6000, 0x3000) + b"OW\0\0", 700, image),
    ),
    "deflated table": (DeflatedExplicitVRLittleEndian, _lut),
    "deflated items": (DeflatedExplicitVRLittleEndian, _empty_items),
    "deflated numbers": (DeflatedExplicitVRLittleEndian, _many_numbers),
    "J2K that lies": (
        JPEG2000Lossless,
        lambda image: _header(image) + _fragments(j2k(HUGE, HUGE)),
    ),
    "J2K of tiles": (
        JPEG2000Lossless,
        lambda image: _header(image) + _fragments(j2k(image.Rows, image.Columns, tile=10)),
    ),
    "J2K as large as allowed": (JPEG2000Lossless, _as_large_as_allowed),
    "J2K as large as said": (
        JPEG2000Lossless,
        lambda image: _header(image, Rows=HUGE, Columns=HUGE) + _fragments(j2k(HUGE, HUGE)),
    ),
    "JPEG-LS that lies": (
        JPEGLSLossless,
        lambda image: _header(image) + _fragments(jpeg(0xF7, HUGE, HUGE)),
    ),
    "JPEG that lies": (
        JPEGLosslessSV1,
        lambda image: _header(image) + _fragments(jpeg(0xC3, HUGE, HUGE)),
    ),
    "JPEG cut off": (JPEGLosslessSV1, _cut_off),
    "JPEG of markers": (
        JPEGBaseline8Bit,
        lambda image: (
            _header(image, BitsAllocated=8, BitsStored=8, HighBit=7)
            + _fragments(b"\xff\xd8" + b"\xff\xe0\0\2" * (2 * MEGABYTE))
        ),
    ),
    "RLE that runs": (
        RLELossless,
        lambda image: _header(image) + _fragments(rle(2, b"\x81\x7f" * (4 * MEGABYTE))),
    ),
    "RLE of segments": (
        RLELossless,
        lambda image: _header(image) + _fragments(rle(15, b"\x81\x7f" * 1000)),
    ),
    "fragments": (
        JPEGLSLossless,
        lambda image: _header(image) + _fragments(*[b"\xff\xd8"] * 10_000),
    ),
    "native sides": (
        ExplicitVRLittleEndian,
        lambda image: _header(image, Rows=HUGE, Columns=HUGE) + _native(bytes(1000)),
    ),
    "native length": (
        ExplicitVRLittleEndian,
        lambda image: _header(image) + _native(bytes(1000), 0xFFFFFFF0),
    ),
    "frames": (
        RLELossless,
        lambda image: (
            _header(image, NumberOfFrames=100_000) + _fragments(rle(2, b"\x81\x7f" * 1000))
        ),
    ),
    "nested sequences": (ExplicitVRLittleEndian, _nested),
}
