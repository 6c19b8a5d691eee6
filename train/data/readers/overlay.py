"""An `.OVERLAY` of DDSM: abnormalities of one film, and a chain code around each.

Its count of outlines is wrong in some files, so outlines are read as they come. A mass with
calcifications is one abnormality of two types.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from train.errors import Refused

# From the last point to the next, in columns and rows: north, then clockwise.
_STEPS = ((0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1))
_END = "#"
_DESCRIBED = {"MASS", "CALCIFICATION"}  # other types are told in words of no order
_KEYWORDS = {
    *("TOTAL_ABNORMALITIES", "ABNORMALITY", "LESION_TYPE", "ASSESSMENT", "SUBTLETY", "PATHOLOGY"),
    *("TOTAL_OUTLINES", "BOUNDARY", "CORE"),
}
_PROPERTIES = {"SHAPE": "shape", "MARGINS": "margins", "TYPE": "type"} | {
    "DISTRIBUTION": "distribution"
}

Points = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Abnormality:
    """What one radiologist outlined, and what it turned out to be."""

    pathology: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    types: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    outline: Points = ()  # (column, row) of its corners; empty where there is none


def abnormalities(path: Path) -> list[Abnormality]:
    """Read a file; some of them are compressed."""
    stored = path.read_bytes()
    try:
        text = (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode("ascii")
    except (OSError, EOFError, UnicodeDecodeError) as fault:
        raise Refused(f"{path} is no text: get it anew") from fault
    told, found = 0, list[Abnormality]()
    for line, keyword, words in _parts(path, text):
        try:
            if keyword == "TOTAL_ABNORMALITIES":
                told = int(words[0])
            elif keyword == "ABNORMALITY":
                found.append(Abnormality())
            else:
                _add(found[-1], keyword, words)
        except (IndexError, KeyError, ValueError) as fault:
            raise Refused(
                f"{path}, line {line}: what stands behind {keyword} is none: get the file anew"
            ) from fault
    if len(found) != told:
        raise Refused(f"{path} tells of {told} abnormalities, and has {len(found)}: get it anew")
    return found


def _parts(path: Path, text: str) -> list[tuple[int, str, list[str]]]:
    """Cut the words at the keywords, whatever stands on one line."""
    parts = list[tuple[int, str, list[str]]]()
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.split():
            if word in _KEYWORDS:
                parts.append((number, word, []))
            elif parts:
                parts[-1][2].append(word)
            else:
                raise Refused(f"{path}, line {number}: {word!r} is no keyword of an overlay")
    return parts


def _add(one: Abnormality, keyword: str, words: list[str]) -> None:
    if keyword == "LESION_TYPE":
        described = words[0] in _DESCRIBED
        one.types.append((words[0], _properties(words[1:]) if described else {}))
    elif keyword == "PATHOLOGY":
        one.pathology = words[0]
    elif keyword == "BOUNDARY":
        one.outline = _corners(words)
    elif keyword == "CORE":
        _corners(words)
        one.facts["cores"] = str(int(one.facts.get("cores", 0)) + 1)
    elif keyword != "TOTAL_OUTLINES":
        one.facts[keyword.lower()] = words[0]


def _properties(words: list[str]) -> dict[str, str]:
    """Read names and values in turns; N/A is no value."""
    pairs = zip(words[::2], words[1::2], strict=True)
    return {_PROPERTIES[name]: value for name, value in pairs if value != "N/A"}


def _corners(words: list[str]) -> Points:
    """Follow a chain code, and note each point where it turns."""
    code = words[: words.index(_END)] if _END in words else words
    column, row, *steps = (int(word) for word in code)
    points, heading = [(column, row)], None
    for step in steps:
        if step not in range(len(_STEPS)):
            raise ValueError(step)
        if step != heading and heading is not None:
            points.append((column, row))
        column, row = column + _STEPS[step][0], row + _STEPS[step][1]
        heading = step
    if (column, row) != points[-1]:
        points.append((column, row))
    return tuple(points)
