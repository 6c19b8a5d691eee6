"""Patterns for words: `*`, `?` and brackets, compared in a time that no pattern can blow up.

They are no regular expressions, on purpose. A regular expression of a few characters can keep a
worker busy for hours over a value that a stranger sent; the comparison here takes at most as many
steps as pattern and value have characters, multiplied.
"""

from collections.abc import Callable, Iterator

Fits = Callable[[str], bool]
ANY_RUN = None  # what `*` becomes: as many characters as it takes


def parsed(pattern: str) -> tuple[Fits | None, ...]:
    """Read a pattern, or say in a ValueError what is wrong with it."""
    return tuple(_parts(pattern.casefold()))


def _parts(pattern: str) -> Iterator[Fits | None]:
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            yield ANY_RUN
        elif char == "?":
            yield lambda _: True
        elif char == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise ValueError("its bracket [ is not closed; [[] stands for a bracket itself")
            yield _one_of(pattern[at + 1 : end])
            at = end
        else:
            yield char.__eq__
        at += 1


def _one_of(inside: str) -> Fits:
    """Read what stands in brackets: characters and ranges, or, behind a `!`, all but these."""
    others, listed = inside.startswith("!"), inside.removeprefix("!")
    if not listed:
        raise ValueError("there is nothing between its brackets")
    ranges, at = [], 0
    while at < len(listed):
        is_range = listed[at + 1 : at + 2] == "-" and at + 2 < len(listed)
        first, last = listed[at], listed[at + 2] if is_range else listed[at]
        if first > last:
            raise ValueError(f"its range [{first}-{last}] runs backward")
        ranges.append((first, last))
        at += 3 if is_range else 1
    return lambda char: others != any(first <= char <= last for first, last in ranges)


def fits(pattern: str, value: str) -> bool:
    """Compare a whole value, in any case. Going back is only ever to the last `*`."""
    parts, chars = parsed(pattern), value.casefold()
    part = char = 0
    star, resumed = -1, 0
    while char < len(chars):
        asked = parts[part] if part < len(parts) else ANY_RUN
        if part < len(parts) and asked is ANY_RUN:
            star, resumed = part, char
            part += 1
        elif asked is not None and asked(chars[char]):
            part, char = part + 1, char + 1
        elif star >= 0:
            resumed += 1
            part, char = star + 1, resumed
        else:
            return False
    return all(one is ANY_RUN for one in parts[part:])
