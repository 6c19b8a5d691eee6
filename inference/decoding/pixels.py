"""From PixelData to an array: as large as the header says, or not at all.

What is not encoded is read in place; nothing of it is decoded, so nothing can go wrong. A code
stream goes to a child, once its own size is the header's.
"""

import io
import struct
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from inference.decoding import children
from inference.decoding.codestream import ENCODED, claim, fits_rle
from inference.decoding.header import UNDEFINED, Element
from inference.errors import Unreadable

NATIVE = {
    *(ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian),
    DeflatedExplicitVRLittleEndian,
}
MOST_PIXELS = 100_000_000  # of one image: ten thousand rows and columns
_MOST_FRAGMENTS = 1 << 16
_SLACK_BYTES = 1 << 16  # that a code stream may be longer than the pixels it stands for
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)


class Layout(NamedTuple):
    """What the header says of the pixels."""

    syntax: str
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def size_bytes(self) -> int:
        """Return how large the pixels are when they are decoded."""
        return self.rows * self.columns * self.bits_allocated // 8


def pixels_of(element: Element, layout: Layout) -> NDArray[np.integer]:
    """Read the pixels of one frame; `Unreadable` says why that cannot be."""
    if layout.rows * layout.columns > MOST_PIXELS:
        raise Unreadable(f"the image has more than {MOST_PIXELS // 1_000_000} million pixels")
    if layout.syntax in NATIVE:
        return _native(element, layout)
    if layout.syntax not in ENCODED:
        raise Unreadable("the pixels cannot be decoded: their transfer syntax is not read here")
    stream = _stream(element, layout)
    _compare(stream, layout)
    return children.decoded(stream, layout)


def _native(element: Element, layout: Layout) -> NDArray[np.integer]:
    """Read pixels that are not encoded, straight into the array."""
    wanted = layout.size_bytes
    kind = f"<{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
    if element.length == UNDEFINED or element.length >= 2 * wanted + 2:
        raise Unreadable(f"PixelData has more bytes than the {wanted} that are asked for")
    pixels = np.empty((layout.rows, layout.columns), dtype=kind)
    held = _fill(element.file, pixels) if element.length >= wanted else element.length
    if held < wanted:
        raise Unreadable(
            "the pixels cannot be decoded "
            f"(PixelData has {held} bytes where {wanted} are asked for)"
        )
    if layout.syntax == ExplicitVRBigEndian:
        pixels = _in_our_order(pixels, element, layout)
    return _without_unused_bits(pixels, layout)


def _in_our_order(
    pixels: NDArray[np.integer], element: Element, layout: Layout
) -> NDArray[np.integer]:
    """Turn what lies in big endian; single bytes lie in words of two (PS3.5 8.1.1)."""
    if layout.bits_allocated > 8:  # noqa: PLR2004 - a byte
        return pixels.byteswap(inplace=True)
    if element.vr == "OW" and pixels.size % 2 == 0:
        words = pixels.reshape(-1, 2)[:, ::-1]
        return np.ascontiguousarray(words).reshape(pixels.shape)
    return pixels


def _fill(file: BinaryIO, pixels: NDArray[np.integer]) -> int:
    target, held = pixels.data.cast("B"), 0
    while held < len(target) and (some := file.readinto(target[held:])):  # type: ignore[attr-defined]
        held += some
    return held


def _without_unused_bits(pixels: NDArray[np.integer], layout: Layout) -> NDArray[np.integer]:
    """Let nothing count that lies above the bits stored: overlays once lay there."""
    spare = layout.bits_allocated - layout.bits_stored
    if spare:
        np.left_shift(pixels, spare, out=pixels)
        np.right_shift(pixels, spare, out=pixels)
    return pixels


def _stream(element: Element, layout: Layout) -> bytes:
    """Put the fragments of the one frame together (PS3.5 A.4)."""
    most = 2 * layout.size_bytes + _SLACK_BYTES
    if element.length not in {UNDEFINED, 0} and element.length > 2 * most:
        raise Unreadable("PixelData has more bytes than its pixels would have without any code")
    fragments, held = list[bytes](), 0
    for number in range(_MOST_FRAGMENTS):
        head = element.file.read(8)
        if len(head) < 8 or struct.unpack_from("<HH", head) == _END:  # noqa: PLR2004 - tag, length
            break
        if struct.unpack_from("<HH", head) != _ITEM:
            raise Unreadable("the pixels cannot be decoded: PixelData is no sequence of fragments")
        (length,) = struct.unpack_from("<L", head, 4)
        held += length if number else 0
        if length > most or held > most:
            raise Unreadable("PixelData has more bytes than its pixels would have without any code")
        fragment = element.file.read(length)
        if number:  # the first item is the table of where frames begin
            fragments.append(fragment)
    else:
        raise Unreadable(f"PixelData has more than {_MOST_FRAGMENTS} fragments")
    return b"".join(fragments)


def _compare(stream: bytes, layout: Layout) -> None:
    """Let only a stream through that holds what the header says."""
    if not stream:
        raise Unreadable("the pixels cannot be decoded: PixelData is empty")
    if layout.syntax == RLELossless:
        if not fits_rle(stream, layout.bits_allocated // 8):
            raise Unreadable("the pixels cannot be decoded: their RLE segments are in no order")
        return
    told = claim(layout.syntax, stream)
    assert told is not None
    if (told.rows, told.columns) != (layout.rows, layout.columns):
        raise Unreadable(
            f"its code stream has {told.rows} x {told.columns} pixels, "
            f"and its header says {layout.rows} x {layout.columns}"
        )
    if told.samples != 1:
        raise Unreadable(f"its code stream has {told.samples} samples a pixel, a mammogram has 1")
    if told.bits > layout.bits_allocated:
        raise Unreadable(
            f"its code stream has {told.bits} bits a pixel, "
            f"and its header says {layout.bits_allocated}"
        )


def held_by(value: bytes, vr: str, layout: Layout) -> Element:
    """Read PixelData that is in memory as if it lay in a file."""
    encoded = layout.syntax not in NATIVE
    return Element(io.BytesIO(value), vr, UNDEFINED if encoded else len(value))
