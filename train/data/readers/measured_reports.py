"""Measurement reports (PS3.16, TID 1500): a region is an outline in a measurement group.

This node puts the outline right into its group; OHIF puts it under the number that was measured
with it. A length or an arrow has no area, so it marks something and says not how far it reaches.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydicom import Dataset

from train.data.readers.told import Told, kind_of, moment_of
from train.data.sample import Circle, Outline, Polygon, Region

_TITLE, _GROUP, _FINDING, _LIBRARY = "126000", "125007", "121071", "111028"
_OBSERVER_TYPE, _PERSON, _PERSON_NAME = "121005", "121006", "121008"
_CORNERS = 64  # of a polygon that stands for an ellipse
_SURFACE = 3  # as many points make one


def report(path: Path, dataset: Dataset) -> Told | None:
    """Read a report; None where it is one of another kind."""
    if _name(dataset) != _TITLE:
        return None
    told = Told(path, moment_of(dataset), _by_a_person(dataset), is_report=True)
    for item in _below(dataset):
        if _name(item) == _LIBRARY:
            for image in _walk(item):
                if uid := _image(image):
                    told.regions.setdefault(uid, [])
    for group in _walk(dataset):
        if _name(group) == _GROUP:
            _tell(group, told)
    return told


def _tell(group: Dataset, told: Told) -> None:
    """Add what a group outlines; of several outlines in one image, the largest."""
    drawn: dict[str, list[Outline]] = {}
    for item in _walk(group):
        if item.get("ValueType") == "SCOORD":
            uid = next(filter(None, map(_image, _below(item))), "")
            drawn.setdefault(uid, []).extend(_outlines(item))
    codes = [
        item.ConceptCodeSequence[0]
        for item in _below(group)
        if _name(item) == _FINDING and item.get("ConceptCodeSequence")
    ]
    facts = {"finding": str(codes[0].get("CodeMeaning") or "")} if codes else {}
    for uid, outlines in drawn.items():
        regions = told.regions.setdefault(uid, [])
        if outlines:
            kind = kind_of(codes[0]) if codes else None
            regions.append(Region(max(outlines, key=_area), kind, None, facts))
        else:
            told.incomplete.add(uid)


def _by_a_person(dataset: Dataset) -> bool:
    """Tell whether a person observed, or has verified what a device did."""
    if str(dataset.get("VerificationFlag") or "") == "VERIFIED":
        return True
    return any(
        _name(item) == _PERSON_NAME or (_name(item) == _OBSERVER_TYPE and _value(item) == _PERSON)
        for item in _below(dataset)
    )


def _outlines(item: Dataset) -> Iterator[Outline]:
    """Read coordinates, which count from the outer corner of the first pixel (C.18.6.1.2)."""
    flat = [float(number) - 0.5 for number in item.get("GraphicData") or []]
    points = tuple(zip(flat[::2], flat[1::2], strict=False))
    shape = item.get("GraphicType")
    if shape in {"POLYLINE", "POLYGON"} and len(set(points)) >= _SURFACE:
        yield Polygon(points)
    elif shape == "CIRCLE" and len(points) == 2:  # noqa: PLR2004 - the middle, and one around it
        yield Circle(*points[0], math.dist(*points))
    elif shape == "ELLIPSE" and len(points) == 4:  # noqa: PLR2004 - the ends of both axes
        yield _ellipse(points)


def _ellipse(ends: Sequence[tuple[float, float]]) -> Polygon:
    (left, top), (right, bottom), (one, upper), (other, lower) = ends
    middle = (left + right) / 2, (top + bottom) / 2
    turns = [2 * math.pi * number / _CORNERS for number in range(_CORNERS)]
    return Polygon(
        tuple(
            (
                middle[0]
                + math.cos(turn) * (right - left) / 2
                + math.sin(turn) * (other - one) / 2,
                middle[1]
                + math.cos(turn) * (bottom - top) / 2
                + math.sin(turn) * (lower - upper) / 2,
            )
            for turn in turns
        )
    )


def _area(outline: Outline) -> float:
    if isinstance(outline, Circle):
        return math.pi * outline.radius**2
    assert isinstance(outline, Polygon)
    ends = (*outline.points[1:], outline.points[0])
    pairs = zip(outline.points, ends, strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairs)) / 2


def _below(item: Dataset) -> Sequence[Dataset]:
    below: Sequence[Dataset] = item.get("ContentSequence") or []
    return below


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in _below(item):
        yield child
        yield from _walk(child)


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue") or "") if names else ""


def _value(item: Dataset) -> str:
    values = item.get("ConceptCodeSequence")
    return str(values[0].get("CodeValue") or "") if values else ""


def _image(item: Dataset) -> str:
    """Return the image that an item is; nothing where it is none."""
    if item.get("ValueType") != "IMAGE" or not item.get("ReferencedSOPSequence"):
        return ""
    return str(item.ReferencedSOPSequence[0].get("ReferencedSOPInstanceUID") or "")
