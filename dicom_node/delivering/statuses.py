"""What the answers of a destination mean (PS3.4 B.2.3, PS3.7 annex C)."""

from enum import Enum


class Meaning(Enum):
    """What to do with an answer."""

    ARRIVED = "it has the object"
    LATER = "it may take the object later"
    NEVER = "it will not take the object"


DUPLICATE = 0x0111  # it has the object already: that is what was wanted
WARNINGS = {0xB000, 0xB006, 0xB007}  # stored, with coerced or unmatched elements
OUT_OF_RESOURCES = range(0xA700, 0xA800)
PROCESSING_FAILURE = 0x0110


def meaning(status: int | None) -> Meaning:
    """Judge an answer; no answer at all means that the road broke."""
    if status is None or status in OUT_OF_RESOURCES or status == PROCESSING_FAILURE:
        return Meaning.LATER
    if status in {0x0000, DUPLICATE} or status in WARNINGS:
        return Meaning.ARRIVED
    return Meaning.NEVER
