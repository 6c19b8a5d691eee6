"""The site's own rules, [[analyzing.accept.rules]]: conditions on attributes, and what to do.

They are asked after every fixed rule that a header answers, in the order of the file, and the
first that applies decides. `accept` lets an image past the own rules below it, never past a fixed
one. What is told is the rule's name and its `why`, both the administrator's words, and nothing of
the header.
"""

from collections.abc import Iterator, Sequence
from math import isnan

from pydicom import Dataset
from pydicom.multival import MultiValue

from dicom_node.analyzing.rules import Rule
from dicom_node.eligibility import Condition, OwnRule
from dicom_node.patterns import fits

OWN = Rule(
    "I25",
    "own rules",
    "no rule of the site's own declines it",
    "an image that your site has decided not to have read; the sentence says why",
    ("rules",),
)
MOST_CHARACTERS = 4096  # of all values that one condition compares


def own_answers(header: Dataset, rules: Sequence[OwnRule]) -> Iterator[tuple[Rule, str | None]]:
    """Ask the own rules: what is wrong, nothing, or None for those that were asked no more."""
    decided = False
    for rule in rules:
        applies = not decided and _applies(rule, header)
        told = Rule(OWN.code, rule.name, _in_words(rule, applies=applies), OWN.plain, OWN.keys)
        if decided:
            yield told, None
        else:
            yield told, f"{rule.name}: {rule.why}" if applies and rule.do == "decline" else ""
        decided = decided or applies


def own_fault(header: Dataset, rules: Sequence[OwnRule]) -> str:
    """Return what the first own rule that declines says, or nothing."""
    return next((said for _, said in own_answers(header, rules) if said), "")


def sentence(rule: OwnRule) -> str:
    """Write a rule as a sentence."""
    asked = " and ".join(_asked(one) for one in (rule, *rule.also))
    return f"{rule.do} an image whose {asked}: {rule.why}"


def _in_words(rule: OwnRule, *, applies: bool) -> str:
    if not applies:
        return f"does not apply; it would {sentence(rule)}"
    return f"applies, and the own rules below are not asked: {rule.why}"


def _asked(one: Condition) -> str:
    parts = [
        ("is one of", one.one_of),
        ("is none of", one.none_of),
        ("contains", one.contains),
        ("matches", one.matches),
    ]
    said = [f"{verb} {' or '.join(words)}" for verb, words in parts if words]
    if one.at_least is not None:
        said.append(f"is at least {one.at_least:.12g}")
    if one.at_most is not None:
        said.append(f"is at most {one.at_most:.12g}")
    if one.present is not None:
        said.append("is there" if one.present else "is missing")
    return f"{one.tag} {' and '.join(said)}"


def _applies(rule: OwnRule, header: Dataset) -> bool:
    return all(_holds(one, header) for one in (rule, *rule.also))


def _holds(asked: Condition, header: Dataset) -> bool:
    """Say whether all that is asked of one attribute is so; any of several values will do."""
    found = [value for value in _values(header, asked.tag.split(".")) if value]
    if sum(map(len, found)) > MOST_CHARACTERS:
        raise ValueError("too long to be compared")
    said = [value.casefold() for value in found]
    wanted, unwanted = _folded(asked.one_of), _folded(asked.none_of)
    return (
        (asked.present is None or asked.present == bool(found))
        and (not wanted or any(value in wanted for value in said))
        and not any(value in unwanted for value in said)
        and (not asked.contains or _any_holds(said, _folded(asked.contains)))
        and (not asked.matches or any(fits(one, value) for one in asked.matches for value in said))
        and _within(asked, found)
    )


def _folded(words: Sequence[str]) -> set[str]:
    return {word.casefold() for word in words}


def _any_holds(said: Sequence[str], parts: set[str]) -> bool:
    return any(part in value for part in parts for value in said)


def _within(asked: Condition, found: Sequence[str]) -> bool:
    """Compare numbers; a missing one is neither large nor small, and what is none raises."""
    least, most = asked.at_least, asked.at_most
    if least is None and most is None:
        return True
    numbers = [float(value) for value in found]
    if any(map(isnan, numbers)):  # it says so itself, and would be within no limits
        raise ValueError("no number")
    return any(
        (least is None or number >= least) and (most is None or number <= most)
        for number in numbers
    )


def _values(header: Dataset, path: Sequence[str]) -> Iterator[str]:
    """Return the values that lie at a path, as text; sequences give those of all their items."""
    keyword, *inside = path
    value = header.get(keyword)
    if value is None:
        return
    if inside:
        for item in value:
            yield from _values(item, inside)
        return
    for one in value if isinstance(value, MultiValue | list) else [value]:
        if isinstance(one, bytes | Dataset):  # the file says another kind of value than it has
            raise TypeError(keyword)
        yield str(one).strip()
