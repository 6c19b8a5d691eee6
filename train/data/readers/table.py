"""Any data set with a table, once a description says what its columns and words mean."""

import ast
import glob
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from inference.findings import Box
from train.data.readers import described
from train.data.readers.identity import Identity, identified
from train.data.readers.table_description import (
    COLUMN,
    EDGES,
    STEM,
    Regions,
    TableDescription,
    Words,
)
from train.data.readers.tables import Row, rows, says_something
from train.data.sample import MaskImage, Outline, Region, Sample, Samples

_BOTH = {"B", "BOTH"}
_NO_IMAGE = "lines of which no image is there"
_OTHER_SIDE = "images of a breast of which no line tells"
_EMPTY = "boxes with nothing in them"


def samples(folder: Path, description: Path) -> Samples:
    """Read the table, and put the lines of one image together."""
    told = described.described(description, TableDescription)
    found = Samples()
    lines: dict[Path, list[tuple[Row, Identity]]] = defaultdict(list)
    passed: set[Path] = set()
    for row in rows(folder / told.table, told.needed(), told.delimiter):
        unfit = [name for name, words in told.where.items() if row[name] not in words]
        if unfit:
            found.dropped[f"lines whose {unfit[0]} is not asked for"] += 1
            continue
        images = list(_images(row, folder, told))
        if not images and not told.partial:
            missing = _filled(told.image, row)
            raise row.refused(f"there is no {missing}: get it, or say partial = true")
        if not images:
            found.dropped[_NO_IMAGE] += 1
        for image in images:
            who = _who(row, image, folder, told)
            if who is None:
                passed.add(image)
            else:
                lines[image].append((row, who))
    alone = len(passed - lines.keys())
    if alone:
        found.dropped[_OTHER_SIDE] += alone
    found.extend(_sample(image, of_image, folder, told, found) for image, of_image in lines.items())
    return found


def _sample(
    image: Path,
    lines: list[tuple[Row, Identity]],
    folder: Path,
    told: TableDescription,
    found: Samples,
) -> Sample:
    first, who = lines[0]
    for row, other in lines[1:]:
        if other != who:
            raise row.refused(f"{image} is said to be another breast, view or patient than before")
    regions: list[Region | None] = []
    if told.region is not None:
        for row, _ in lines:
            regions += _regions(row, image, folder, told.region)
    if None in regions:
        found.dropped[_EMPTY] += regions.count(None)
    kept = tuple(region for region in regions if region is not None)
    complete = told.complete and None not in regions
    cancer = (
        described.shows_cancer([region.malignant for region in kept], complete=complete)
        if told.cancer is None
        else _cancer([_of_breast(told.cancer, row, who) for row, _ in lines])
    )
    if cancer is False and any(region.malignant for region in kept):
        raise first.refused(f"{image} shows no cancer, and a malignant lesion; correct one of them")
    return Sample(
        data_set=told.name,
        patient=who.patient,
        image=image,
        side=who.side,
        projection=who.projection,
        cancer=cancer,
        regions=kept,
        complete=complete,
        split=first.values.get(told.columns.get("split", ""), ""),
        spacing_mm=told.spacing_mm,
        inverted=told.inverted,
        facts=_said_by_all([row.facts(**told.facts) for row, _ in lines]),
    )


def _images(row: Row, folder: Path, told: TableDescription) -> Iterator[Path]:
    """Find the images of a line."""
    if "*" in told.image:
        yield from sorted(folder.glob(_filled(told.image, row, escaped=True)))
        return
    image = folder / _filled(told.image, row)
    if image.is_file():
        yield image


def _who(row: Row, image: Path, folder: Path, told: TableDescription) -> Identity | None:
    """Say whose image it is; None where a line is about the other breast."""
    said: dict[str, str] = {name: row[column] for name, column in told.columns.items()}
    if "*" not in told.image:
        return identified(image, folder, said, told.file_name, row.place)
    # A line that has several images says of none of them which one it is.
    side = row.side(told.columns["side"]) if "side" in said else None
    own = {"patient": said.get("patient", "")}
    who = identified(image, folder, own, told.file_name, row.place)
    return who if side in {None, who.side} else None


def _regions(row: Row, image: Path, folder: Path, told: Regions) -> Iterator[Region | None]:
    """Make regions of what a line marks; None for a box with nothing in it."""
    meaning = described.Meaning()
    if told.kind:
        word = row[told.kind]
        if word and word not in told.kinds:
            raise row.refused(f"{told.kind} is {word!r}, which the description does not explain")
        meaning = told.kinds.get(word, meaning)
    if meaning.ignored:
        return
    malignant = meaning.malignant if told.malignant is None else told.malignant.of(row)
    for outline in _outlines(row, image, folder, told):
        if outline is None:
            yield None
        else:
            for kind in meaning.kinds or [None]:
                yield Region(outline, kind, malignant, row.facts(**told.facts))


def _outlines(row: Row, image: Path, folder: Path, told: Regions) -> Iterator[Outline | None]:
    if told.mask:
        mask = folder / _filled(told.mask, row, image)
        if mask.is_file():
            yield MaskImage(mask)
    elif told.box is not None:
        numbers = [row.number(column) for column in told.box]
        if numbers != [None] * len(numbers):
            yield _box(row, numbers, told)
    elif says_something(row[told.boxes]):
        for numbers in _listed(row, told.boxes):
            yield _box(row, numbers, told)


def _box(row: Row, numbers: list[float | None], told: Regions) -> Box | None:
    edges = {name: n for name, n in zip(told.order, numbers, strict=True) if n is not None}
    if len(edges) < len(EDGES):
        raise row.refused(f"a box has {len(edges)} edges, and needs {', '.join(EDGES)}")
    box = Box(*(edges[name] for name in EDGES))
    return box if box.right > box.left and box.bottom > box.top else None


def _listed(row: Row, column: str) -> list[list[float | None]]:
    """Read boxes that stand in one value, as Python or JSON write lists."""
    try:
        said = ast.literal_eval(row[column])
        boxes = [said] if said and not isinstance(said[0], list | tuple) else list(said)
        listed: list[list[float | None]] = [[float(edge) for edge in box] for box in boxes]
    except (SyntaxError, ValueError, TypeError, KeyError):
        listed = [[]]
    if any(len(box) != len(EDGES) for box in listed):
        raise row.refused(f"{column} is {row[column]!r}, and no list of boxes; correct it")
    return listed


def _of_breast(words: Words, row: Row, who: Identity) -> bool | None:
    """Tell whether a line says so of the breast that the image shows."""
    answer = words.of(row)
    if not answer or not words.side or row[words.side].upper() in _BOTH:
        return answer
    return row.side(words.side) == who.side if says_something(row[words.side]) else None


def _cancer(said: list[bool | None]) -> bool | None:
    if True in said:
        return True
    return None if None in said else False


def _said_by_all(facts: list[Mapping[str, str]]) -> dict[str, str]:
    return {
        name: value
        for name, value in facts[0].items()
        if all(other.get(name) == value for other in facts)
    }


def _filled(template: str, row: Row, image: Path | None = None, *, escaped: bool = False) -> str:
    """Put the values of a line into the braces of a path."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        word = image.stem if image is not None and name == STEM else row[name]
        return glob.escape(word) if escaped else word

    return COLUMN.sub(value, template)
