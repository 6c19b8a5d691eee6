"""How objects are spoiled: ways that have a name, and every change of every element.

Whoever builds a new kind of object gives a Scene of it, some Ways, and a list of the changes that
are harmless; the rest is the same for all kinds.

    SCENES = {"a key object": Scene(KIND, content, lambda dataset: prove(dataset, headers, exam))}
    WAYS = [Way("no reference", "a key object", spoil, "what the proof says")]
    assert unnoticed(scene, HARMLESS) == []
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

from pydicom import config, dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_node.reporting.frame import encoded
from dicom_node.reporting.naming import uid
from dicom_node.reporting.proof import Unsound

Spoiler = Callable[[Dataset], object]
NUMBERS = ("US", "SS", "UL", "SL", "FL", "FD", "DS", "IS", "AT")


@dataclass(frozen=True, slots=True)
class Scene:
    """A sound object as its file holds it, and how it is proved."""

    kind: str
    content: bytes
    prove: Callable[[Dataset], object]

    def read(self) -> Dataset:
        """Return the sound object, to be spoiled."""
        return dcmread(BytesIO(self.content))

    def complaint(self, dataset: Dataset) -> str:
        """Return what the proof says of an object; nothing where it lets it go."""
        try:
            self.prove(dataset)
        except Unsound as unsound:
            return str(unsound)
        return ""


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which an object can be wrong, and what the proof says to it."""

    name: str
    scene: str
    spoil: Spoiler
    reason: str

    def spoiled(self, scenes: Mapping[str, Scene]) -> Dataset:
        """Return the scene's object, spoiled."""
        dataset = scenes[self.scene].read()
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.spoil(dataset)
            return dataset

    def file(self, scenes: Mapping[str, Scene]) -> bytes:
        """Return the spoiled object as a file would hold it, for other people's validators."""
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return encoded(self.spoiled(scenes))


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one element: where it stands, and what is done to it."""

    where: str  # "Mammography CAD Report/Image Library/IMAGE/ReferencedSOPSequence"
    steps: tuple[tuple[str, int], ...]  # sequences and items on the way down
    keyword: str
    what: str

    def __str__(self) -> str:
        """Name the change as lists of harmless changes do."""
        return f"{self.where} {self.what}"

    def apply(self, dataset: Dataset) -> None:
        """Change the element."""
        for keyword, place in self.steps:
            dataset = dataset[keyword].value[place]
        if self.where.startswith("file meta"):
            dataset = dataset.file_meta
        CHANGES[self.what](dataset, self.keyword)


def changes(dataset: Dataset) -> Iterator[Change]:
    """List the changes of every element; of those at like places, such as points, of the first."""
    seen: set[str] = set()
    elements = [("file meta", (), element) for element in dataset.file_meta]
    for where, steps, element in [*elements, *_elements(dataset, "", ())]:
        place = f"{where}/{element.keyword or element.tag}" if where else element.keyword
        for what in _possible(element):
            change = Change(place, steps, element.keyword, what)
            if str(change) not in seen:
                seen.add(str(change))
                yield change


def unnoticed(scene: Scene, harmless: Mapping[str, str], step: int = 1) -> list[str]:
    """List the changes of an object that its proof lets go, but for the harmless.

    A key of the harmless is a pattern that a change's whole name has to match; its value says
    why. With a step, only so many of the changes are tried; without one, a pattern that stands for
    nothing is listed as well: it would hide the next one.
    """
    found = []
    for change in list(changes(scene.read()))[::step]:
        dataset = scene.read()
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            change.apply(dataset)
        if not scene.complaint(dataset):
            found.append(str(change))
    unused = [key for key in harmless if not any(re.fullmatch(key, one) for one in found)]
    left = [one for one in found if not any(re.fullmatch(key, one) for key in harmless)]
    return left if step > 1 else [*left, *(f"{key} stands for nothing" for key in unused)]


def _elements(
    dataset: Dataset, where: str, steps: tuple[tuple[str, int], ...]
) -> Iterator[tuple[str, tuple[tuple[str, int], ...], DataElement]]:
    for element in dataset:
        yield where, steps, element
        if element.VR == "SQ":
            for place, item in enumerate(element.value):
                below = f"{where}/{_called(element.keyword, item, place)}".lstrip("/")
                yield from _elements(item, below, (*steps, (element.keyword, place)))


def _called(keyword: str, item: Dataset, place: int) -> str:
    """Name an item of a sequence by what tells it from its neighbors: a content item, its name."""
    if keyword != "ContentSequence":
        return f"{keyword} {place + 1}" if place else keyword
    names = item.get("ConceptNameCodeSequence")
    if names:
        return str(names[0].CodeMeaning)
    return str(item.get("ValueType", "by reference"))


def _possible(element: DataElement) -> list[str]:
    if element.value in (None, "", b"", []):
        return ["deleted", "filled"]
    if element.VR == "SQ":
        return ["deleted", "blanked", "doubled", "shortened", "burdened"]
    return ["deleted", "blanked", "changed"]


def _delete(dataset: Dataset, keyword: str) -> None:
    del dataset[keyword]


def _blank(dataset: Dataset, keyword: str) -> None:
    dataset[keyword] = DataElement(dataset[keyword].tag, dataset[keyword].VR, None)


def _fill(dataset: Dataset, keyword: str) -> None:
    element = dataset[keyword]
    if element.VR == "SQ":
        item = Dataset()
        item.CodeMeaning = "Filled"
        dataset[keyword] = DataElement(element.tag, "SQ", [item])
    else:
        value = {"DA": "20010203", "TM": "010203", "UI": uid("filled")}.get(element.VR, "1")
        dataset[keyword] = DataElement(element.tag, element.VR, value)


def _double(dataset: Dataset, keyword: str) -> None:
    dataset[keyword].value.append(dataset[keyword].value[-1])


def _shorten(dataset: Dataset, keyword: str) -> None:
    dataset[keyword].value.pop()


def _burden(dataset: Dataset, keyword: str) -> None:
    """Put something into the first item that has no business there."""
    dataset[keyword].value[0].add_new("PatientComments", "LT", "Somebody's")


def _change(dataset: Dataset, keyword: str) -> None:
    element = dataset[keyword]
    many = isinstance(element.value, MultiValue | list)
    values = list(element.value) if many else [element.value]
    middle = len(values) // 2
    values[middle] = _other(values[middle], element.VR)
    dataset[keyword] = DataElement(element.tag, element.VR, values if many else values[0])


def _other(value: object, vr: str) -> object:
    """Return a proper value that is another one."""
    if vr in NUMBERS:
        number = float(int(value) if vr == "AT" else str(value)) + 3
        return (
            number if vr in ("FL", "FD") else str(round(number, 3)) if vr == "DS" else int(number)
        )
    if isinstance(value, bytes):
        middle = len(value) // 2
        return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
    written = str(value)
    others = {"TM": ("000102", "010203"), "AS": ("001Y", "002Y"), "UI": (uid("another", written),)}
    letters = ("19" + written[2:], "20" + written[2:]) if vr in ("DA", "DT") else ()
    possible = (*others.get(vr, letters), "X" + written[1:], "Y" + written[1:])
    return next(each for each in possible if each != written)


CHANGES: dict[str, Callable[[Dataset, str], None]] = {
    "deleted": _delete,
    "blanked": _blank,
    "filled": _fill,
    "changed": _change,
    "doubled": _double,
    "shortened": _shorten,
    "burdened": _burden,
}


def names(ways: Sequence[Way]) -> list[str]:
    """Name ways for pytest; two of one name in one scene would hide each other."""
    found = [f"{way.scene}: {way.name}" for way in ways]
    assert len(set(found)) == len(found)
    return found
