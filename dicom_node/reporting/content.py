"""A small tree of SR content items, in which one item may point at another.

A by-reference item names its target by position in the tree (PS3.3, C.17.3.2.5), so the tree
is numbered first and written second.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from dicom_node.reporting.changes import decimals
from dicom_node.reporting.codes import PERCENT, STANDARD, Concept, Dialect, item

CONTAINS = "CONTAINS"
HAS_PROPERTIES = "HAS PROPERTIES"
HAS_CONCEPT_MOD = "HAS CONCEPT MOD"
HAS_ACQ_CONTEXT = "HAS ACQ CONTEXT"
HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
INFERRED_FROM = "INFERRED FROM"
SELECTED_FROM = "SELECTED FROM"


class Item:
    """One content item and what hangs below it."""

    def __init__(self, value_type: str, name: Concept | None, **values: Any) -> None:  # noqa: ANN401 - DICOM attributes have many types
        self.value_type = value_type
        self.name = name
        self.values = values
        self.children: list[tuple[str, Item | Reference]] = []
        self.position: tuple[int, ...] = ()

    def add(self, relationship: str, *children: "Item | Reference") -> "Item":
        """Hang items below this one, and return this one."""
        self.children.extend((relationship, child) for child in children)
        return self

    def number(self, position: tuple[int, ...] = (1,)) -> None:
        """Tell every item where it stands."""
        self.position = position
        for place, (_, child) in enumerate(self.children, start=1):
            if isinstance(child, Item):
                child.number((*position, place))

    def write(self, dataset: Dataset, dialect: Dialect = STANDARD) -> None:
        """Write a numbered item into a dataset."""
        dataset.ValueType = self.value_type
        if self.name is not None:
            dataset.ConceptNameCodeSequence = [item(self.name, dialect)]
        for keyword, value in self.values.items():
            setattr(dataset, keyword, _spelled(value, dialect))
        if self.children:
            dataset.ContentSequence = [
                _child(relationship, child, dialect) for relationship, child in self.children
            ]


class Reference:
    """An item by reference: no value of its own, only the way to another item."""

    def __init__(self, target: Item) -> None:
        self.target = target


def _child(relationship: str, child: Item | Reference, dialect: Dialect) -> Dataset:
    dataset = Dataset()
    dataset.RelationshipType = relationship
    if isinstance(child, Item):
        child.write(dataset, dialect)
    else:
        dataset.ReferencedContentItemIdentifier = list(child.target.position)
    return dataset


def _spelled(value: object, dialect: Dialect) -> object:
    """Turn concepts inside a value into code items, spelled for the destination."""
    if isinstance(value, Concept):
        return [item(value, dialect)]
    return value


def container(name: Concept) -> Item:
    """Make a heading."""
    return Item("CONTAINER", name, ContinuityOfContent="SEPARATE")


def code(name: Concept, value: Concept) -> Item:
    """Make an item with a coded value."""
    return Item("CODE", name, ConceptCodeSequence=value)


def text(name: Concept, value: str) -> Item:
    """Make an item of words."""
    return Item("TEXT", name, TextValue=value)


def uid_reference(name: Concept, value: str) -> Item:
    """Make an item that holds a UID."""
    return Item("UIDREF", name, UID=value)


def date(name: Concept, value: str) -> Item:
    """Make an item that holds a day."""
    return Item("DATE", name, Date=value)


def time(name: Concept, value: str) -> Item:
    """Make an item that holds a time of day."""
    return Item("TIME", name, Time=value)


def number(name: Concept, value: float, unit: Concept) -> Item:
    """Make an item with a measured value of at most 16 characters."""
    if not math.isfinite(value):
        raise ValueError(f"{name.meaning} is {value}; a report holds finite numbers only")
    measured = Dataset()
    measured.NumericValue = format_number_as_ds(float(value))
    measured.MeasurementUnitsCodeSequence = [item(unit)]
    return Item("NUM", name, MeasuredValueSequence=[measured])


def percent(name: Concept, share: float) -> Item:
    """Make an item with a share of 0 to 1, as percent with one decimal, or two below 1 %."""
    return number(name, round(100 * share, decimals(share)), PERCENT)


def image(sop_class_uid: str, sop_instance_uid: str) -> Item:
    """Make an item that is an image."""
    return reference("IMAGE", sop_class_uid, sop_instance_uid)


def reference(value_type: str, sop_class_uid: str, sop_instance_uid: str) -> Item:
    """Make an item that is another object: an IMAGE, or any other COMPOSITE one."""
    referred = Dataset()
    referred.ReferencedSOPClassUID = sop_class_uid
    referred.ReferencedSOPInstanceUID = sop_instance_uid
    return Item(value_type, None, ReferencedSOPSequence=[referred])


def coordinates(name: Concept, shape: str, points: Iterable[Sequence[float]]) -> Item:
    """Make an item drawn in an image: POINT or POLYLINE, in (column, row)."""
    flat = [float(number) for point in points for number in point]
    return Item("SCOORD", name, GraphicType=shape, GraphicData=flat)
