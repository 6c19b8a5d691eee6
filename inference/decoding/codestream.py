"""What a code stream says of itself, read before anything is decoded.

A few bytes may ask a decoder for gigabytes. So the size that the stream gives is compared with the
header's; nothing is believed of either that the other one does not say.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from inference.errors import Unreadable

# Which frame headers (SOF) each process of ISO 10918-1 and 14495-1 begins a frame with.
_FRAMES: dict[str, set[int]] = {
    JPEGBaseline8Bit: {0xC0},
    JPEGExtended12Bit: {0xC0, 0xC1},
    JPEGLossless: {0xC3},
    JPEGLosslessSV1: {0xC3},
    JPEGLSLossless: {0xF7},
    JPEGLSNearLossless: {0xF7},
}
_WAVELETS: set[str] = {JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K}
ENCODED: set[str] = {*_FRAMES, *_WAVELETS, RLELossless}

_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_SCAN, _PARAMETERS = 0xDA, 0xF8
_OVERSIZE = 4  # the kind of JPEG-LS parameters that replaces the size of the frame
_OTHER_FRAMES = {*range(0xC0, 0xD0), 0xDE, 0xF7} - {0xC4, 0xC8, 0xCC}
_MOST_MARKERS = 2000
_MOST_TILES = 1 << 14
_CODESTREAM = b"\xff\x4f\xff\x51"  # start of code stream, and its sizes
_BOXED = b"\x00\x00\x00\x0cjP  "
_RLE_HEADER = struct.Struct("<16L")


class Claim(NamedTuple):
    """The picture that a code stream says it holds."""

    rows: int
    columns: int
    samples: int
    bits: int


def claim(syntax: str, stream: bytes) -> Claim | None:
    """Say what a stream claims to hold; RLE says nothing of rows and columns."""
    try:
        if syntax in _FRAMES:
            return _jpeg(stream, _FRAMES[syntax])
        if syntax in _WAVELETS:
            return _jpeg_2000(stream)
    except (struct.error, IndexError) as fault:
        raise Unreadable("the pixels cannot be decoded: their code stream is cut off") from fault
    return None


def _jpeg(stream: bytes, wanted: set[int]) -> Claim:
    """Walk over the markers up to the first scan."""
    if stream[:2] != b"\xff\xd8":
        raise Unreadable("the pixels cannot be decoded: they are no JPEG code stream")
    found, place = None, 2
    for _ in range(_MOST_MARKERS):
        if stream[place] != 0xFF:  # noqa: PLR2004 - every marker begins with it
            raise Unreadable("the pixels cannot be decoded: their code stream has no order")
        marker = stream[place + 1]
        if marker in _ALONE or marker == 0xFF:  # noqa: PLR2004 - a fill byte
            place += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        (length,) = struct.unpack_from(">H", stream, place + 2)
        if marker == _SCAN and found is not None:
            return found
        if marker == _PARAMETERS and stream[place + 4] == _OVERSIZE:
            raise Unreadable("the pixels cannot be decoded: their code stream gives two sizes")
        if marker in wanted and found is None:
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, place + 4)
            found = Claim(rows, columns, samples, bits)
        elif marker in _OTHER_FRAMES:
            raise Unreadable("the pixels cannot be decoded: their code stream is of another kind")
        place += 2 + length
    raise Unreadable(f"the pixels cannot be decoded: over {_MOST_MARKERS} markers before any pixel")


def _jpeg_2000(stream: bytes) -> Claim:
    """Read the sizes, which stand first (ISO 15444-1 A.5.1), also inside the boxes of a JP2."""
    place = _boxed(stream) if stream.startswith(_BOXED) else 0
    if stream[place : place + 4] != _CODESTREAM:
        raise Unreadable("the pixels cannot be decoded: they are no JPEG 2000 code stream")
    right, bottom, left, top, width, height, first, above = struct.unpack_from(
        ">8L", stream, place + 8
    )
    (samples,) = struct.unpack_from(">H", stream, place + 40)
    bits, across, down = struct.unpack_from(">3B", stream, place + 42)
    if (across, down) != (1, 1) or not width or not height or right < left or bottom < top:
        raise Unreadable("the pixels cannot be decoded: their code stream has no sound size")
    tiles = -(-(right - min(first, right)) // width) * -(-(bottom - min(above, bottom)) // height)
    if tiles > _MOST_TILES:
        raise Unreadable(f"the pixels cannot be decoded: over {_MOST_TILES} tiles")
    return Claim(bottom - top, right - left, samples, (bits & 0x7F) + 1)


def _boxed(stream: bytes) -> int:
    """Find the code stream among the boxes of a JP2 file."""
    place = 0
    for _ in range(100):
        length, kind = struct.unpack_from(">L4s", stream, place)
        if kind == b"jp2c":
            return place + (16 if length == 1 else 8)
        if length < 8:  # noqa: PLR2004 - a box's own header; 0 and 1 stand for what only jp2c needs
            break
        place += length
    raise Unreadable("the pixels cannot be decoded: there is no code stream in their boxes")


def fits_rle(stream: bytes, segments: int) -> bool:
    """Say whether the segments are as many as asked for, in order, and inside (PS3.5 G.5)."""
    try:
        count, *offsets = _RLE_HEADER.unpack_from(stream)
    except struct.error:
        return False
    if count != segments:
        return False
    edges = [*offsets[:count], len(stream)]
    in_order = all(one < other for one, other in pairwise(edges))
    return edges[0] == _RLE_HEADER.size and in_order
