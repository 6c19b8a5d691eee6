"""Hold a dataset against all that is expected of it, element by element.

What nobody expects is a fault, as is what is missing: nothing is in an object that leaves but what
its proof knows. The sentences name places, never values: those may be a patient's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_node.reporting.codes import Concept, Dialect, item

Facts = Mapping[str, object]


class Loose(Enum):
    """What is expected where the proof does not know a value."""

    SOME = "something has to stand there"
    FREE = "anything may stand there, or nothing"


SOME, FREE = Loose.SOME, Loose.FREE


@dataclass(frozen=True, slots=True)
class Near:
    """A number, and how far off it may be written."""

    number: float
    within: float


@dataclass(frozen=True, slots=True)
class Maybe:
    """What is expected where anything stands at all."""

    fact: object


@dataclass(frozen=True, slots=True)
class Path:
    """Points of which each may be off by the rounding of single floats."""

    points: Sequence[tuple[float, float]]
    within: float = 0.01


def copied(header: Dataset, keywords: Sequence[str]) -> Facts:
    """Expect what a header says, word for word, and nothing where it says nothing."""
    return {keyword: plain(header[keyword]) for keyword in keywords if keyword in header}


def faults(
    expected: Facts, dataset: Dataset, dialects: Sequence[Dialect], where: str = "the object"
) -> Iterator[str]:
    """Say where a dataset is not what is expected, its codes spelled in one of these dialects.

    A concept stands for a sequence of its code alone, a list of facts for as many items.
    """
    for keyword, fact in expected.items():
        if keyword in dataset:
            yield from _element_faults(fact, dataset[keyword], dialects, where)
        elif fact is not FREE and not isinstance(fact, Maybe):
            yield f"{where} has no {keyword}"
    for element in dataset:
        if element.keyword not in expected:
            yield f"{where} has {element.keyword or element.tag}, which has no place there"


def plain(element: DataElement) -> object:
    """Return a value in plain types, in which equal is equal; None where nothing stands."""
    value = element.value
    if element.VR == "SQ":
        return [plain_dataset(each) for each in value]
    if value is None or (isinstance(value, str | bytes | Sequence) and len(value) == 0):
        return None
    many = isinstance(value, MultiValue | list | tuple)
    values = [_one(each, element.VR) for each in (value if many else [value])]
    return values if many else values[0]


def plain_dataset(dataset: Dataset) -> Facts:
    """Return all elements in plain types."""
    return {element.keyword or str(element.tag): plain(element) for element in dataset}


def _one(value: object, vr: str) -> object:
    if vr in ("DS", "FL", "FD"):
        return float(str(value)) if vr == "DS" else value
    if vr in ("IS", "US", "SS", "UL", "SL", "AT"):
        return int(value) if isinstance(value, int) else int(str(value))
    return value if isinstance(value, bytes) else str(value)


def _element_faults(
    fact: object, element: DataElement, dialects: Sequence[Dialect], where: str
) -> Iterator[str]:
    if fact is FREE:
        return
    if isinstance(fact, Maybe):
        fact = fact.fact
    if isinstance(fact, list) and element.VR == "SQ":
        yield from _sequence_faults(fact, element, dialects, where)
        return
    said = plain(element)
    if isinstance(fact, Concept):
        agrees = any(said == [plain_dataset(item(fact, dialect))] for dialect in dialects)
    else:
        agrees = _agrees(fact, said)
    if not agrees:
        yield f"{where} has another {element.keyword} than expected"


def _agrees(fact: object, said: object) -> bool:
    if fact is SOME:
        return said not in (None, [])
    if isinstance(fact, Near):
        return isinstance(said, float | int) and abs(said - fact.number) <= fact.within
    if isinstance(fact, Path):
        flat = [number for point in fact.points for number in point]
        numbers = said if isinstance(said, list) else [said]
        return len(numbers) == len(flat) and all(
            _agrees(Near(one, fact.within), other) for one, other in zip(flat, numbers, strict=True)
        )
    return fact == said


def _sequence_faults(
    fact: Sequence[Facts], element: DataElement, dialects: Sequence[Dialect], where: str
) -> Iterator[str]:
    items, keyword = list(element.value), element.keyword
    if len(items) != len(fact):
        yield f"{where} has {len(items)} items in {keyword}, not {len(fact)}"
    for number, (wanted, found) in enumerate(zip(fact, items, strict=False), start=1):
        yield from faults(wanted, found, dialects, _below(where, keyword, wanted, number))


def _below(where: str, keyword: str, wanted: Facts, number: int) -> str:
    """Name an item: content by its name, as a reader of the report finds it."""
    if keyword != "ContentSequence":
        return f"{where} > {keyword} {number}"
    name = wanted.get("ConceptNameCodeSequence")
    return f"{where} > {name.meaning if isinstance(name, Concept) else 'item'} ({number})"
