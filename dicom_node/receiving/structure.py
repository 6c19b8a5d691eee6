"""Whether a data set is whole and is what it says: looked at without reading a single value.

pydicom is kind: it reads what is cut off as far as it goes, guesses another encoding where the one
that was agreed on does not fit, and takes elements of group 0002 for the node's own file meta,
wherever they stand. What it would guess at is refused here, before it is asked: the sender hears
of it, instead of whoever needs the image later.
"""

import mmap
import struct
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import UID
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from dicom_node.spool import data_set_offset

DEEPEST = 64  # sequences within sequences: pydicom reads each with a call of its own
MOST_ELEMENTS = 100_000  # a tomosynthesis of a hundred frames has a few thousand; 0.3 s of a core
MOST_WANTED_BYTES = 64 << 10  # of an element that is read here: a number, a code, some words

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
FIRST_GROUP, PADDING_GROUP = 0x0008, 0xFFFF

_KNOWN = {one.value.encode() for one in VR if len(one.value) == 2}  # noqa: PLR2004 - as coded
_LONG = {one.value.encode() for one in EXPLICIT_VR_LENGTH_32}


class Unsound(Exception):
    """Say what is wrong with a data set, by kind and place; never with a value of it."""


class _Kind(Enum):
    ELEMENTS = "elements"  # of the data set or of an item
    ITEMS = "items"  # of a sequence
    FRAGMENTS = "fragments"  # of compressed pixels


class _Level(NamedTuple):
    """What is being walked through, and where it must have ended."""

    kind: _Kind
    end: int
    is_open: bool  # it ends with a delimiter
    implicit: bool


def check(path: Path, syntax: UID, wanted: Collection[int] = ()) -> bytes:
    """Raise `Unsound` where the data set of a file is not whole; return the wanted elements of it.

    Whoever reads these alone is spared what else somebody may have put there: pydicom reads whole
    sequences to get behind them, and makes a list of each value, whatever its length is.
    """
    start = data_set_offset(path)
    if path.stat().st_size <= start:
        raise Unsound("there is nothing in it")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        walk = _Walk(content, start, syntax, wanted)
        walk.go()
        return b"".join(walk.found)


class _Walk:
    """A walk from each element to the next, by their lengths."""

    def __init__(
        self, content: mmap.mmap, start: int, syntax: UID, wanted: Collection[int]
    ) -> None:
        self.content = content
        self.wanted = frozenset(wanted)
        self.found: list[bytes] = []
        self.reading: tuple[int, int] | None = None  # a wanted element that has not ended yet
        self.at = start
        order = "<" if syntax.is_little_endian else ">"
        self.tag_at = struct.Struct(f"{order}HH").unpack_from
        self.short_at = struct.Struct(f"{order}H").unpack_from
        self.long_at = struct.Struct(f"{order}I").unpack_from
        self.compressed = syntax.is_encapsulated
        self.levels = [_Level(_Kind.ELEMENTS, len(content), False, syntax.is_implicit_VR)]
        self.seen: set[int] = set()

    def go(self) -> None:
        """Walk until everything has ended."""
        for _ in range(MOST_ELEMENTS):
            while self.levels and self._has_ended(self.levels[-1]):
                self.levels.pop()
            if len(self.levels) <= 1:
                self._take()
            if not self.levels:
                return
            self._step(self.levels[-1])
        raise Unsound(f"it has more than {MOST_ELEMENTS} elements")

    def _take(self) -> None:
        """Keep the wanted element that has just ended."""
        if self.reading is not None:
            (tag, start), self.reading = self.reading, None
            if self.at - start > MOST_WANTED_BYTES:
                raise Unsound(f"{_named(tag)} is longer than any such element")
            self.found.append(self.content[start : self.at])

    def _has_ended(self, level: _Level) -> bool:
        return not level.is_open and self.at == level.end

    def _step(self, level: _Level) -> None:
        self._fits(8, level)
        group, number = self.tag_at(self.content, self.at)
        tag = group << 16 | number
        if tag in {ITEM_END, SEQUENCE_END}:
            wanted = ITEM_END if level.kind is _Kind.ELEMENTS else SEQUENCE_END
            if tag != wanted or not level.is_open:
                raise Unsound("something ends that had not begun")
            self.at += 8
            self.levels.pop()
        elif level.kind is _Kind.ELEMENTS:
            self._element(tag, level)
        elif tag == ITEM:
            self._item(level)
        else:
            raise Unsound(f"there is {_named(tag)} where an item is to be")

    def _fits(self, size: int, level: _Level) -> None:
        if self.at + size > level.end:
            raise Unsound("it is cut off")

    def _item(self, level: _Level) -> None:
        (length,) = self.long_at(self.content, self.at + 4)
        self.at += 8
        if level.kind is _Kind.ITEMS:
            self._enter(_Kind.ELEMENTS, length, level)
        elif length == UNDEFINED:
            raise Unsound("a fragment of its pixels has no length")
        else:
            self._fits(length, level)
            self.at += length

    def _element(self, tag: int, level: _Level) -> None:
        if len(self.levels) == 1:
            self._belongs(tag)
            if tag in self.wanted:
                self.reading = tag, self.at
        vr, length = self._header(tag, level)
        implicit = level.implicit or vr == b"UN"  # whose items have no VR: PS3.5 6.2.2
        below = level._replace(implicit=implicit)
        if tag == PIXEL_DATA and self._is_odd(length):
            raise Unsound("its pixels are compressed or not, its transfer syntax says otherwise")
        if tag == PIXEL_DATA and length == UNDEFINED:
            self._enter(_Kind.FRAGMENTS, length, below)
        elif vr == b"SQ" or (length == UNDEFINED and vr in {b"UN", b""}):
            self._enter(_Kind.ITEMS, length, below)
        elif length == UNDEFINED:
            raise Unsound(f"{_named(tag)} has no length")
        elif self.at + length > level.end:
            raise Unsound(f"{_named(tag)} is longer than what came")
        else:
            self.at += length

    def _is_odd(self, length: int) -> bool:
        """Say whether pixels are not as the transfer syntax says; an icon's need no compression."""
        in_fragments = length == UNDEFINED
        return in_fragments != self.compressed and (in_fragments or len(self.levels) == 1)

    def _belongs(self, tag: int) -> None:
        """Refuse what no data set may hold, or holds twice: then nobody knows which is meant."""
        if tag >> 16 < FIRST_GROUP or tag >> 16 == PADDING_GROUP:
            raise Unsound(f"{_named(tag)} is of a group that no data set has")
        if tag in self.seen:
            raise Unsound(f"{_named(tag)} is there twice")
        self.seen.add(tag)

    def _header(self, tag: int, level: _Level) -> tuple[bytes, int]:
        """Read VR and length, and go to the value; where there is no VR, the dictionary knows."""
        at = self.at
        if level.implicit:
            self.at += 8
            is_sequence = dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"
            return b"SQ" if is_sequence else b"", self.long_at(self.content, at + 4)[0]
        vr = bytes(self.content[at + 4 : at + 6])
        if vr not in _KNOWN:
            raise Unsound(f"{_named(tag)} has no VR: it is cut off, or its encoding is another")
        if vr not in _LONG:
            self.at += 8
            return vr, self.short_at(self.content, at + 6)[0]
        self._fits(12, level)
        self.at += 12
        return vr, self.long_at(self.content, at + 8)[0]

    def _enter(self, kind: _Kind, length: int, level: _Level) -> None:
        if len(self.levels) > DEEPEST:
            raise Unsound(f"its sequences are nested more than {DEEPEST} deep")
        is_open = length == UNDEFINED
        end = level.end if is_open else self.at + length
        if end > level.end:
            raise Unsound("a sequence or an item is longer than what holds it")
        self.levels.append(_Level(kind, end, is_open, level.implicit))


def _named(tag: int) -> str:
    return f"the element ({tag >> 16:04X},{tag & 0xFFFF:04X})"
