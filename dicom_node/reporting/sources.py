"""The images a report speaks of, each with its lesions, named and drawn once for all objects."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydicom.dataset import Dataset
from pydicom.uid import UID

from dicom_node.reporting.outline import Point, outline
from dicom_node.reporting.specks import counted, in_a_group
from dicom_node.reporting.tracking import Names, named, spots
from inference.findings import ExamFindings, Finding, ViewFindings


@dataclass(frozen=True, slots=True, eq=False)
class Lesion:
    """A finding with the name, the UID and the outline that every object gives it."""

    finding: Finding
    name: str  # "LCC mass 1"
    uid: UID
    center: Point
    outline: tuple[Point, ...]
    area_mm2: float | None  # at the detector; only where a mask and a spacing are known
    specks: int | None = None  # how many calcifications; only where a mask tells them apart
    grouped: bool = False  # they lie in a group

    @property
    def calcifications(self) -> str:
        """Say how many calcifications a lesion holds; nothing where they are not counted."""
        if self.specks is None:
            return ""
        return f"{self.specks} calcifications{' in a group' if self.grouped else ''}"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image that was read, by its header, and the lesions in it."""

    header: Dataset
    view: ViewFindings
    lesions: tuple[Lesion, ...]

    @property
    def name(self) -> str:
        """Name the view as radiologists do: LCC, RMLO."""
        return f"{self.view.side}{self.view.projection}"


class Read(Protocol):
    """What was read, or the record of it: both say by which bundle."""

    @property
    def system(self) -> str: ...  # noqa: D102 - the names say it
    @property
    def digest(self) -> str: ...  # noqa: D102
    @property
    def operating_point(self) -> str: ...  # noqa: D102


def bundle_words(exam: Read, operating_point: str = "") -> str:
    """Name the bundle and how it was set, for UIDs."""
    return f"{exam.system}/{exam.digest}/{operating_point or exam.operating_point}"


def edition_words(exam: Read, edition: str, operating_point: str = "") -> str:
    """Name the bundle, and the edition that a destination wants, for UIDs of objects.

    A record of what was read tells the node's own operating point; an edition may have another.
    """
    words = bundle_words(exam, operating_point)
    return f"{words}/{edition}" if edition else words


def sources(
    headers: Sequence[Dataset], exam: ExamFindings, names: Names | None = None
) -> tuple[Source, ...]:
    """Put headers and findings together, in the order of the exam's views.

    Without names, the exam is the first of its study, and all of it is here.
    """
    _same_study(headers)
    if not exam.marks and exam.cancer_score is None:
        raise ValueError("the exam was neither marked nor judged; there is nothing to report on")
    if exam.cancer_score is not None:
        _proper_score("the exam", exam.cancer_score)
    by_uid = {str(header.SOPInstanceUID): header for header in headers}
    names = named(exam, (), bundle_words(exam)) if names is None else names
    found = []
    for view in exam.views:
        name = f"{view.side}{view.projection}"
        header = by_uid.get(view.sop_instance_uid)
        if header is None:
            raise ValueError(
                f"{name} was read from {view.sop_instance_uid}; no header came with it"
            )
        if view.cancer_score is not None:
            _proper_score(name, view.cancer_score)
        lesions = tuple(_lesions(view, header, exam, names))
        found.append(Source(header, view, lesions))
    if not found:
        raise ValueError("the exam has no views; there is nothing to report on")
    return tuple(found)


def _same_study(headers: Sequence[Dataset]) -> None:
    studies = {str(header.StudyInstanceUID) for header in headers}
    if len(studies) > 1:
        raise ValueError(f"the headers are of {len(studies)} studies; report one at a time")


def _lesions(
    view: ViewFindings, header: Dataset, exam: ExamFindings, names: Names
) -> Iterator[Lesion]:
    rows, columns = int(header.Rows), int(header.Columns)
    for spot, finding in spots(view):
        name, uid = names[spot].words, names[spot].uid
        _proper_finding(name, finding, rows, columns)
        if len(exam.members) > 1 and not 0 < len(finding.systems) == len(finding.scores):
            raise ValueError(f"{name} does not say who of {len(exam.members)} saw it, and how sure")
        if finding.kind not in exam.marks:
            raise ValueError(f"{name} is of a kind that {exam.system} did not look for")
        yield Lesion(
            finding=finding,
            name=name,
            uid=uid,
            center=_center(finding, rows, columns),
            outline=outline(finding, rows, columns),
            area_mm2=_area_mm2(finding, header),
            specks=counted(finding),
            grouped=in_a_group(finding, header),
        )


def _center(finding: Finding, rows: int, columns: int) -> Point:
    column, row = finding.box.center
    return round(min(max(column, 0.0), columns), 2), round(min(max(row, 0.0), rows), 2)


def _area_mm2(finding: Finding, header: Dataset) -> float | None:
    spacing = header.get("ImagerPixelSpacing")
    if finding.mask is None or not spacing:
        return None
    return round(int(finding.mask.pixels.sum()) * float(spacing[0]) * float(spacing[1]), 2)


def _proper_finding(name: str, finding: Finding, rows: int, columns: int) -> None:
    _proper_score(name, finding.score)
    if finding.cancer_score is not None:
        _proper_score(name, finding.cancer_score)
    box = finding.box
    inside = box.left < columns and box.top < rows and box.right > 0 and box.bottom > 0
    if not (inside and box.left < box.right and box.top < box.bottom):
        raise ValueError(f"{name} lies at {box}; the image has {rows} rows, {columns} columns")
    if finding.mask is not None:
        height, width = finding.mask.pixels.shape
        left, top = finding.mask.left, finding.mask.top
        if left < 0 or top < 0 or left + width > columns or top + height > rows:
            raise ValueError(
                f"the mask of {name} is {height} x {width} pixels at row {top}, column {left}; "
                f"the image has {rows} rows, {columns} columns"
            )


def _proper_score(name: str, score: float) -> None:
    if not (math.isfinite(score) and 0 <= score <= 1):
        raise ValueError(f"the score of {name} is {score}; scores go from 0 to 1")
