"""Read a Mammography CAD SR as a workstation does: by its own list of what it draws.

This reader knows nothing of the builders. Where it draws nothing it says why, finding by finding.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting.marks import Position, children, identifier, points, walk

Point = tuple[float, float]

CAD_SR = str(MammographyCADSRStorage)
REPORT, LIBRARY, SUMMARY = "111036", "111028", "111017"
IMPRESSION, COMPOSITE, FINDING = "111034", "111015", "111059"
INTENT, CENTER, OUTLINE = "111056", "111010", "111041"
ALGORITHM = {"111001": "name", "111003": "version"}
TRACKING = "112039"
DENSITY = {"129793001", "F-01796"}  # SNOMED CT, and the older SNOMED RT
CLUSTER = {"129769006", "F-01775"}
DRAWN_BY_ALL = frozenset(DENSITY | CLUSTER)
REQUIRED, OPTIONAL, NOT_FOR_PRESENTATION = "111150", "111151", "111152"
INTENTS = {
    REQUIRED: "has to be presented",
    OPTIONAL: "is optional to present",
    NOT_FOR_PRESENTATION: "is not for presentation",
}
SHAPES = {"POINT": 1, "POLYLINE": 4, "CIRCLE": 2, "ELLIPSE": 4}  # the fewest points each has

ROUND = 48  # points of a circle


@dataclass(frozen=True, slots=True)
class Rules:
    """What a workstation asks for before it draws."""

    name: str
    words: str
    intents: frozenset[str]
    findings: frozenset[str] = DRAWN_BY_ALL  # empty: whatever is called a finding
    vendors: tuple[str, ...] = ()  # empty: any
    strict: bool = True  # every mandatory item has to be there, images by reference


RULES: Mapping[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            "strict",
            "densities and calcification clusters that have to be presented, if they are complete",
            frozenset({REQUIRED}),
        ),
        Rules(
            "synapse",
            "densities and calcification clusters, required or optional, of listed vendors",
            frozenset({REQUIRED, OPTIONAL}),
            vendors=("iCAD", "Hologic", "R2", "ScreenPoint", "VuCOMP"),
            strict=False,
        ),
        Rules(
            "lenient",
            "whatever lies on an image and is not hidden",
            frozenset({REQUIRED, OPTIONAL}),
            findings=frozenset(),
            strict=False,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding of the report, and why it is not drawn; no reason: it is."""

    name: str
    kind: str  # the meaning of its code
    code: str
    sop_instance_uid: str
    outline: tuple[Point, ...]
    scores: tuple[tuple[str, float], ...]  # (name, percent)
    reason: str


def vendor_fault(report: Dataset, rules: Rules) -> str:
    """Say that a report's vendor is not on the list, where there is a list."""
    vendor = str(report.get("Manufacturer") or "")
    listed = any(word.casefold() in vendor.casefold() for word in rules.vendors)
    if not rules.vendors or listed:
        return ""
    return f"vendor not supported: '{vendor}' is none of {', '.join(rules.vendors)}"


def status(report: Dataset) -> str:
    """Say how the processing ended, as the study list of a workstation does."""
    found = [item for item in children(report) if _name(item) == SUMMARY]
    return _meaning(found[0]) if found else "the report has no summary"


def judged(report: Dataset, rules: Rules, sizes: Mapping[str, tuple[int, int]]) -> list[Judged]:
    """Judge each finding of a report; the sizes are rows and columns of the images at hand."""
    items = dict(walk(report))
    return [
        _judged(position, items, rules, sizes)
        for position, item in items.items()
        if _name(item) == FINDING and item.get("ValueType") == "CODE"
    ]


def _judged(
    position: Position,
    items: Mapping[Position, Dataset],
    rules: Rules,
    sizes: Mapping[str, tuple[int, int]],
) -> Judged:
    item = items[position]
    outline = next((c for c in children(item) if _name(c) == OUTLINE), None)
    center = next((c for c in children(item) if _name(c) == CENTER), None)
    drawn = center if outline is None else outline
    uid = "" if drawn is None else _image_of(drawn, items)[0]
    faults = (
        *_faults_of_kind(item, rules),
        *_faults_of_intent(position, items, rules),
        *(_faults_of_items(position, items) if rules.strict else ()),
        *_faults_of_place(drawn, items, rules, sizes),
    )
    return Judged(
        name=next((str(c.TextValue) for c in children(item) if _name(c) == TRACKING), "unnamed"),
        kind=_meaning(item),
        code=_code(item),
        sop_instance_uid=uid,
        outline=() if drawn is None else _path(drawn),
        scores=tuple(_scores(item)),
        reason=faults[0] if faults else "",
    )


def _faults_of_kind(item: Dataset, rules: Rules) -> Iterator[str]:
    if rules.findings and _code(item) not in rules.findings:
        yield f"'{_meaning(item)}' is not on the list of what is drawn"


def _faults_of_intent(
    position: Position, items: Mapping[Position, Dataset], rules: Rules
) -> Iterator[str]:
    """Check the finding's own rendering intent and those above it (PS3.4, O.2.2.1)."""
    own = [_code(child) for child in children(items[position]) if _name(child) == INTENT]
    if rules.strict and not own:
        yield "it has no rendering intent"
    for depth in range(1, len(position) + 1):
        for child in children(items[position[:depth]]):
            if _name(child) == INTENT and _code(child) not in rules.intents:
                yield f"it {INTENTS.get(_code(child), 'has an unknown rendering intent')}"


def _faults_of_items(position: Position, items: Mapping[Position, Dataset]) -> Iterator[str]:
    """Check what TID 4003 and TID 4006 make mandatory."""
    above = [_name(items[position[:depth]]) for depth in range(1, len(position))]
    if above[:1] != [REPORT] or SUMMARY not in above or IMPRESSION not in above:
        yield "it hangs beneath no impression of the summary"
    item = items[position]
    for code, what in ALGORITHM.items():
        if not any(_name(child) == code and child.get("TextValue") for child in children(item)):
            yield f"it does not give its algorithm's {what}"
    centers = [child for child in children(item) if _name(child) == CENTER]
    if not any(c.get("GraphicType") == "POINT" and len(points(c)) == 1 for c in centers):
        yield "it has no center"


def _faults_of_place(
    drawn: Dataset | None,
    items: Mapping[Position, Dataset],
    rules: Rules,
    sizes: Mapping[str, tuple[int, int]],
) -> Iterator[str]:
    if drawn is None:
        yield "it has neither a center nor an outline"
        return
    uid, by_reference = _image_of(drawn, items)
    if not uid:
        yield "its coordinates belong to no image of the library"
        return
    if rules.strict and not by_reference:
        yield "it names its image by value; a workstation looks into the library"
    if uid not in sizes:
        yield "its image is not here"
        return
    shape, path = str(drawn.get("GraphicType")), points(drawn)
    if len(path) < SHAPES.get(shape, len(path) + 1):
        yield f"its outline is a {shape} of {len(path)} points"
        return
    rows, columns = sizes[uid]
    if shape == "POLYLINE" and path[0] != path[-1]:
        yield "its outline is open"
    elif not all(0 <= x <= columns and 0 <= y <= rows for x, y in _path(drawn)):
        yield "it leaves its image"


def _image_of(drawn: Dataset, items: Mapping[Position, Dataset]) -> tuple[str, bool]:
    """Find the image that coordinates are selected from, and whether the library holds it."""
    for child in children(drawn):
        where = identifier(child) if "ReferencedContentItemIdentifier" in child else None
        image = child if where is None else items.get(where, Dataset())
        held = where is not None and any(
            _name(items.get(where[:depth], Dataset())) == LIBRARY for depth in range(1, len(where))
        )
        named: Sequence[Dataset] = image.get("ReferencedSOPSequence") or []
        if image.get("ValueType") == "IMAGE" and named and (held or where is None):
            return str(named[0].get("ReferencedSOPInstanceUID", "")), held
    return "", False


def _path(drawn: Dataset) -> tuple[Point, ...]:
    """Return the line of an outline; a circle or an ellipse is given by the ends of its axes."""
    path, shape = points(drawn), drawn.get("GraphicType")
    if shape not in {"CIRCLE", "ELLIPSE"} or len(path) < SHAPES[str(shape)]:
        return path
    if shape == "CIRCLE":
        (x, y), edge = path[:2]
        major, minor = (edge[0] - x, edge[1] - y), (y - edge[1], edge[0] - x)
    else:
        left, right, _, bottom = path[:4]
        x, y = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
        major, minor = (right[0] - x, right[1] - y), (bottom[0] - x, bottom[1] - y)
    turns = [math.tau * step / ROUND for step in range(ROUND + 1)]
    return tuple(
        (
            x + major[0] * math.cos(turn) + minor[0] * math.sin(turn),
            y + major[1] * math.cos(turn) + minor[1] * math.sin(turn),
        )
        for turn in turns
    )


def _scores(item: Dataset) -> Iterator[tuple[str, float]]:
    for child in children(item):
        for measured in child.get("MeasuredValueSequence", []):
            units: Sequence[Dataset] = measured.get("MeasurementUnitsCodeSequence") or []
            names: Sequence[Dataset] = child.get("ConceptNameCodeSequence") or []
            if units and names and units[0].get("CodeValue") == "%":
                yield str(names[0].get("CodeMeaning")), float(measured.NumericValue)


def _name(item: Dataset) -> str:
    names: Sequence[Dataset] = item.get("ConceptNameCodeSequence") or []
    of_dicom = names and names[0].get("CodingSchemeDesignator") == "DCM"
    return str(names[0].get("CodeValue", "")) if of_dicom else ""


def _code(item: Dataset) -> str:
    codes: Sequence[Dataset] = item.get("ConceptCodeSequence") or []
    return str(codes[0].get("CodeValue", "")) if codes else ""


def _meaning(item: Dataset) -> str:
    codes: Sequence[Dataset] = item.get("ConceptCodeSequence") or []
    return str(codes[0].get("CodeMeaning", "")) if codes else ""
