"""Read a header into words and numbers, whatever letters it is written in.

Where the words are wrong about their own letters, the bytes decide: UTF-8 is what reads as UTF-8,
an escape sequence names its character set itself, and what is left is taken for Western European.
"""

import re
from collections.abc import Sequence as Many

from pydicom.charset import CODES_TO_ENCODINGS, decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName, format_number_as_ds

UNREADABLE = (ValueError, TypeError, AttributeError, NotImplementedError, OverflowError)
CHARACTER_SET = BaseTag(0x00080005)
LONG_TEXTS = {"LT", "ST", "UT"}  # of several lines, and never of several values
WORDS = {"LO", "SH", "PN", "UC"} | LONG_TEXTS
LATIN = {"", "ISO_IR 6", "ISO_IR 100", "ISO 2022 IR 6", "ISO 2022 IR 100"}
# What is written for a character set beside the standard's own terms (PS3.3, C.12.1.1.2).
SYNONYMS = {
    **dict.fromkeys(("UTF8", "UTF-8", "UNICODE", "ISO 10646"), "ISO_IR 192"),
    **dict.fromkeys(("LATIN1", "LATIN-1", "CP1252", "WINDOWS-1252", "ANSI"), "ISO_IR 100"),
    **dict.fromkeys(("GB2312", "GB 2312"), "GBK"),
    **dict.fromkeys(("SHIFT JIS", "SHIFT-JIS", "SJIS", "CP932"), "ISO_IR 13"),
    **dict.fromkeys(("EUC-KR", "KSC5601", "KS C 5601"), "ISO 2022 IR 149"),
    **dict.fromkeys(("ASCII", "US-ASCII", "ISO646"), "ISO_IR 6"),
}
ISO_8859 = {1: 100, 2: 101, 3: 109, 4: 110, 5: 144, 6: 127, 7: 126, 8: 138, 9: 148, 11: 166}
LATIN_9 = ("ISO_IR 203", "ISO 2022 IR 203")  # newer than pydicom's list
# Line feed, form feed, tabulator and carriage return belong into a text of several lines.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
CONTROLS_BETWEEN_LINES = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
# Escape sequences that stay standing in what pydicom decodes, as those of ISO 2022 IR 58 do.
ESCAPES = re.compile("\x1b[$()+,./-]{1,3}[@-Z]")
DELIMITERS = set(b"^=\\\r\n\t\f")  # behind which a value begins in its first character set
IS_RANGE = range(-(1 << 31), 1 << 31)


def readable(header: Dataset, around: Many[str] = ()) -> Dataset:
    """Copy what can be read, in Unicode; `around` are the character sets of what encloses it."""
    terms = _terms(header) if CHARACTER_SET in header else around
    clean = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating the dataset itself reads every value
        if tag.group % 2 or tag.group >= 0x6000 or tag == CHARACTER_SET:  # noqa: PLR2004 - overlays, pixels
            continue
        try:
            clean.add(_copied(header, tag, terms))
        except UNREADABLE:
            continue
    return clean


def _copied(header: Dataset, tag: BaseTag, terms: Many[str]) -> DataElement:
    """Copy an element: words become Unicode, numbers become numbers, items are copied too."""
    raw = header.get_item(tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes):
        vr = _vr(raw)
        if vr in WORDS:
            return DataElement(tag, vr, _words(raw.value, vr, terms))
        if vr in ("DS", "IS"):
            return DataElement(tag, vr, _numbers(raw.value, vr))
    element = header[tag]
    value = element.value
    if element.VR == "SQ":
        value = Sequence([readable(each, terms) for each in value])
    elif element.VR == "PN":
        value = [PersonName(str(name)) for name in value] if element.VM > 1 else str(value or "")
    elif element.VR in WORDS and isinstance(value, str):
        value = without_controls(value, element.VR)
    return DataElement(element.tag, element.VR, value)


def _vr(raw: RawDataElement) -> str:
    """Say what an element holds; of words and numbers, the dictionary knows it better."""
    try:
        known = dictionary_VR(raw.tag)
    except KeyError:
        return raw.VR or "UN"
    readable_as_known = known in WORDS | {"DS", "IS"}
    written_in_letters = raw.VR is None or raw.VR in WORDS | {"DS", "IS", "CS", "UN"}
    return known if readable_as_known and written_in_letters else raw.VR or known


def _words(value: bytes, vr: str, terms: Many[str]) -> str | list[str]:
    words = decoded(value, terms)
    if vr in LONG_TEXTS:
        return without_controls(words, vr).rstrip(" ")
    several = [without_controls(each, vr).strip(" ") for each in words.split("\\")]
    return several if len(several) > 1 else several[0]


def without_controls(words: str, vr: str) -> str:
    """Take out the characters that print nothing."""
    return (CONTROLS_BETWEEN_LINES if vr in LONG_TEXTS else CONTROLS).sub("", words)


def _numbers(value: bytes, vr: str) -> str | list[str]:
    """Read numbers, with a comma where some countries write one; what is none makes a fault."""
    written = value.decode("latin-1").replace("\0", " ").replace(",", ".").split("\\")
    found = [_number(each.strip(), vr) for each in written]
    if len(found) > 1 and not all(found):
        raise ValueError("some of these numbers are missing")
    return found if len(found) > 1 else found[0]


def _number(written: str, vr: str) -> str:
    if not written:
        return ""
    number = float(written)
    if vr == "IS":
        if not number.is_integer() or int(number) not in IS_RANGE:
            raise ValueError("this is no integer string")
        return str(int(number))
    return written if len(written) <= 16 else format_number_as_ds(number)  # noqa: PLR2004 - PS3.5, 6.2


def decoded(value: bytes, terms: Many[str]) -> str:
    """Read bytes as the terms of Specific Character Set say, or as they say themselves."""
    known = [term for term in map(_term, terms) if term is not None]
    misnamed = len(known) < len(terms)
    western = not known or (known[0] in LATIN and b"\x1b" not in value)
    if (misnamed or western) and (words := _as_utf_8(value)) is not None:
        return words
    try:
        codecs = [*_codecs(known), *CODES_TO_ENCODINGS.values()]
        words = ESCAPES.sub("", decode_bytes(value, codecs, DELIMITERS))
    except (LookupError, UnicodeError):
        words = "\ufffd"
    if "\ufffd" not in words and not (western and CONTROLS.search(words)):
        return words
    return _as_utf_8(value) or _as_western(value)


def _terms(header: Dataset) -> list[str]:
    """Return what a header says of its letters, term by term."""
    raw = header.get_item(CHARACTER_SET)
    said = raw.value if raw is not None else ""
    if isinstance(said, bytes):
        said = said.decode("latin-1").split("\\")
    return [said] if isinstance(said, str) else [str(term) for term in said or ()]


def _term(written: str) -> str | None:
    """Return the standard's term for what was written; None where nobody knows it."""
    words = re.sub(r"[_\s]+", " ", written.strip(" \0").upper())
    if named := re.fullmatch(r"ISO[ -]?8859[ -](\d+)", words):
        number = ISO_8859.get(int(named[1]))
        return f"ISO_IR {number}" if number else LATIN_9[0] if int(named[1]) == 15 else None  # noqa: PLR2004
    if named := re.fullmatch(r"ISO[ -]?(2022)?[ -]?(?:IR)?[ -]?(\d+)", words):
        words = f"ISO 2022 IR {int(named[2])}" if named[1] else f"ISO_IR {int(named[2])}"
    words = SYNONYMS.get(words, words)
    return words if words in python_encoding or words in LATIN_9 else None


def _codecs(known: Many[str]) -> list[str]:
    codecs = ["iso8859_15" if term in LATIN_9 else python_encoding[term] for term in known]
    return codecs or [python_encoding[""]]


def _as_utf_8(value: bytes) -> str | None:
    if value.isascii():
        return None
    try:
        return value.decode("utf-8")
    except UnicodeError:
        return None


def _as_western(value: bytes) -> str:
    """Read bytes as Windows writes Latin-1, or as Latin-1 where that has no letter for them."""
    try:
        return value.decode("cp1252")
    except UnicodeError:
        return value.decode("latin-1")


def values(element: DataElement) -> list[object]:
    """Return an element's values as a list, whether it has one or many."""
    if element.value in (None, ""):
        return []
    return list(element.value) if isinstance(element.value, MultiValue | list) else [element.value]
