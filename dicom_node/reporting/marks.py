"""What a viewer would draw from a report, and what a person would read in it.

These readers know nothing of the builders: they follow the standard, so that a mark counts
only where a stranger's viewer would find it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept

Position = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something drawn on an image."""

    sop_instance_uid: str
    kind: str  # the meaning of the finding's code
    shape: str  # POINT or POLYLINE
    points: tuple[tuple[float, float], ...]  # (column, row)
    scores: tuple[tuple[str, float], ...]  # (name, percent)
    tracking_id: str
    tracking_uid: str


def marks(dataset: Dataset) -> list[Mark]:
    """List what a viewer draws from a CAD SR or a measurement report."""
    items = dict(walk(dataset))
    if dataset.SOPClassUID == MammographyCADSRStorage:
        holders = [item for position, item in items.items() if _is_shown(position, items)]
        finding = codes.SINGLE_IMAGE_FINDING
    else:
        holders = [item for item in items.values() if is_named(item, codes.MEASUREMENT_GROUP)]
        finding = codes.FINDING
    return [mark for holder in holders for mark in _marks(_meaning(holder, finding), holder, items)]


def walk(dataset: Dataset, position: Position = (1,)) -> Iterator[tuple[Position, Dataset]]:
    """Go through the content items, each with its position in the tree."""
    yield position, dataset
    for place, child in enumerate(children(dataset), start=1):
        yield from walk(child, (*position, place))


def children(item: Dataset) -> Sequence[Dataset]:
    """Return the items below an item."""
    below: Sequence[Dataset] = item.get("ContentSequence") or []
    return below


def is_named(item: Dataset, concept: Concept) -> bool:
    """Say whether an item's concept name is this one."""
    return name_value(item) == (concept.value, concept.scheme)


def name_value(item: Dataset) -> tuple[str, str] | None:
    """Return the code and the scheme of an item's concept name."""
    names = item.get("ConceptNameCodeSequence")
    if not names:
        return None
    return str(names[0].get("CodeValue", "")), str(names[0].get("CodingSchemeDesignator", ""))


def named(item: Dataset, concept: Concept) -> Dataset | None:
    """Return the first item below this one with the concept's name."""
    return next((child for child in children(item) if is_named(child, concept)), None)


def source_uid(drawn: Dataset, items: dict[Position, Dataset]) -> str | None:
    """Find the image coordinates are drawn on, by reference or by value."""
    for selected in children(drawn):
        image = selected
        if "ReferencedContentItemIdentifier" in selected:
            image = items.get(identifier(selected), Dataset())
        if image.get("ValueType") == "IMAGE" and image.get("ReferencedSOPSequence"):
            return str(image.ReferencedSOPSequence[0].get("ReferencedSOPInstanceUID", ""))
    return None


def identifier(item: Dataset) -> Position:
    """Return where a by-reference item points."""
    value = item.ReferencedContentItemIdentifier
    return (int(value),) if isinstance(value, int) else tuple(int(step) for step in value)


def points(drawn: Dataset) -> tuple[tuple[float, float], ...]:
    """Return graphic data as (column, row) pairs."""
    flat = [float(number) for number in drawn.get("GraphicData") or []]
    return tuple(zip(flat[::2], flat[1::2], strict=False))


def _is_shown(position: Position, items: dict[Position, Dataset]) -> bool:
    """Say whether a viewer must present a finding: it and all above it say so (PS3.4, O.2.2.1)."""
    if not is_named(items[position], codes.SINGLE_IMAGE_FINDING):
        return False
    above = [items[position[:depth]] for depth in range(1, len(position) + 1)]
    intents = [intent for item in above if (intent := named(item, codes.RENDERING_INTENT))]
    has_own = named(items[position], codes.RENDERING_INTENT) is not None
    return has_own and all(
        code_value(intent) == codes.PRESENTATION_REQUIRED.value for intent in intents
    )


def code_value(item: Dataset) -> str:
    """Return the code of a CODE item's value."""
    values = item.get("ConceptCodeSequence")
    return str(values[0].get("CodeValue", "")) if values else ""


def _meaning(holder: Dataset, finding: Concept) -> str:
    item = holder if is_named(holder, finding) else named(holder, finding)
    if item is None or not item.get("ConceptCodeSequence"):
        return ""
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def _marks(kind: str, holder: Dataset, items: dict[Position, Dataset]) -> Iterator[Mark]:
    tracking_id = named(holder, codes.TRACKING_IDENTIFIER)
    tracking_uid = named(holder, codes.TRACKING_UNIQUE_IDENTIFIER)
    for child in children(holder):
        if child.get("ValueType") != "SCOORD":
            continue
        image_uid = source_uid(child, items)
        if image_uid is not None:
            yield Mark(
                sop_instance_uid=image_uid,
                kind=kind,
                shape=str(child.get("GraphicType", "")),
                points=points(child),
                scores=tuple(_scores(holder)),
                tracking_id="" if tracking_id is None else str(tracking_id.TextValue),
                tracking_uid="" if tracking_uid is None else str(tracking_uid.UID),
            )


def _scores(holder: Dataset) -> Iterator[tuple[str, float]]:
    for child in children(holder):
        measured = child.get("MeasuredValueSequence")
        if child.get("ValueType") == "NUM" and measured:
            unit = measured[0].MeasurementUnitsCodeSequence[0].CodeValue
            if unit == codes.PERCENT.value:
                name = str(child.ConceptNameCodeSequence[0].CodeMeaning)
                yield name, float(measured[0].NumericValue)


def plain_text(dataset: Dataset) -> str:
    """Write the content tree of an SR as indented lines."""
    if "ValueType" not in dataset:
        raise ValueError(f"an object of SOP class {dataset.SOPClassUID} has no text to read")
    items = dict(walk(dataset))
    return "\n".join(
        "  " * (len(position) - 1) + _line(item, items) for position, item in items.items()
    )


def _line(item: Dataset, items: dict[Position, Dataset]) -> str:
    if "ReferencedContentItemIdentifier" in item:
        target = items.get(identifier(item))
        steps = ".".join(map(str, identifier(item)))
        return f"-> {steps} {'(nowhere)' if target is None else _line(target, items)}"
    names = item.get("ConceptNameCodeSequence")
    name = str(names[0].CodeMeaning) if names else str(item.ValueType).capitalize()
    value = _value(item)
    return f"{name}: {value}" if value else name


def _value(item: Dataset) -> str:
    write = _VALUES.get(str(item.get("ValueType")))
    return "" if write is None else write(item)


def _measured(item: Dataset) -> str:
    measured = item.MeasuredValueSequence[0]
    return f"{measured.NumericValue} {measured.MeasurementUnitsCodeSequence[0].CodeValue}"


def _referred(item: Dataset) -> str:
    return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def _drawn(item: Dataset) -> str:
    path = points(item)
    if len(path) == 1:
        return f"column {path[0][0]:.1f}, row {path[0][1]:.1f}"
    columns, rows = [column for column, _ in path], [row for _, row in path]
    return (
        f"{item.GraphicType} of {len(path)} points, columns {min(columns):.0f} to "
        f"{max(columns):.0f}, rows {min(rows):.0f} to {max(rows):.0f}"
    )


_VALUES: dict[str, Callable[[Dataset], str]] = {
    "CODE": lambda item: str(item.ConceptCodeSequence[0].CodeMeaning),
    "TEXT": lambda item: str(item.TextValue),
    "UIDREF": lambda item: str(item.UID),
    "DATE": lambda item: str(item.Date),
    "TIME": lambda item: str(item.Time),
    "NUM": _measured,
    "IMAGE": _referred,
    "COMPOSITE": _referred,
    "SCOORD": _drawn,
}
