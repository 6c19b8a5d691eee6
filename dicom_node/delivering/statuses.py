"""What the answers of a destination mean (PS3.4 B.2.3, PS3.7 annex C)."""

from enum import Enum


class Meaning(Enum):
    """What to do with an answer."""

    ARRIVED = "it has the object"
    LATER = "it may take the object later"
    NEVER = "it will not take the object"


DUPLICATE = 0x0111  # it has the object already: that is what was wanted
# Stored, with coerced or unmatched elements, or whatever else there was to warn of (PS3.7, C-1).
WARNINGS = {*range(0xB000, 0xC000), 0x0001, 0x0107, 0x0116}
OUT_OF_RESOURCES = range(0xA700, 0xA800)
PROCESSING_FAILURE = 0x0110
RESOURCE_LIMITATION = 0x0213
PASSING = {*OUT_OF_RESOURCES, PROCESSING_FAILURE, RESOURCE_LIMITATION, None}
HTTP = 0x10000  # beyond all of DICOM's: the status of an HTTP answer that says no more


# dcm4chee-arc's answers to a rejection note, in the range that else means a lack of room
SAME_NOTE = 0xA770  # it has this note already
REJECTED_BEFORE = 0xA774  # what the note rejects is rejected
CANNOT_REJECT = {0xA772, 0xA773}  # it has no such object, or one of another class


def said(status: int | None) -> str:
    """Write a status for people."""
    if status is None:
        return "no answer"
    return f"HTTP {status - HTTP}" if status >= HTTP else f"status {status:04X}"


def meaning(status: int | None, *, is_rejection: bool = False) -> Meaning:
    """Judge an answer; no answer at all means that the road broke."""
    if is_rejection and status in {SAME_NOTE, REJECTED_BEFORE}:
        return Meaning.ARRIVED
    if is_rejection and status in CANNOT_REJECT:
        return Meaning.NEVER
    if status in PASSING:
        return Meaning.LATER
    if status in {0x0000, DUPLICATE} or status in WARNINGS:
        return Meaning.ARRIVED
    return Meaning.NEVER


WORDS = {
    0x0110: "processing failure",
    0x0117: "it says that the object's UID is invalid",
    0x0122: "it does not know this kind of object",
    0x0124: "it does not allow this sender to",
    0x0210: "it says that it had this message before",
    0x0211: "it does not know this request",
    0x0213: "it has not enough room",
    0xA901: "it has another object with the same UID",
}
RANGES = {
    range(0xA700, 0xA800): "it has not enough room, or cannot write now; try again later",
    range(0xA900, 0xAA00): "the object is not what the request announced",
    range(0xC000, 0xD000): "it cannot make sense of the object",
}


def words_of(status: int | None) -> str:
    """Say an answer in words (PS3.4 table B.2-1, PS3.7 annex C)."""
    if status is None:
        return "the connection ended, or its time was up"
    ranges = (words for numbers, words in RANGES.items() if status in numbers)
    return WORDS.get(status) or next(ranges, "it will not take the object")
