"""Draw CAD SR reports over their images as a workstation would, from the objects alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image
from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from dicom_node.analyzing.pixel_rules import opened
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.tables import Case
from dicom_node.reporting import drawing
from dicom_node.reporting.drawing import INK, Mark
from dicom_node.reporting.labels import MARKING
from dicom_node.reporting.lightbox import reduced
from dicom_node.spool import Spool
from dicom_node.watching.workstation import (
    CAD_SR,
    CLUSTER,
    Judged,
    Rules,
    judged,
    status,
    vendor_fault,
)
from inference.decoding.files import Opened, open_file
from inference.findings import Kind
from inference.mammogram import Mammogram
from inference.reading import read

REJECTED = {"113001", "113037", "113038", "113039"}  # titles of notes that hide what they name
WORDS_SIZE = 16
CAPTIONS = {"Certainty of Finding": "lesion", "Probability of cancer": "cancer"}


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """What was drawn, what was not, and where the pictures lie."""

    report: Dataset | None
    status: str  # of the processing, or why there is no report to draw
    vendor_fault: str
    findings: tuple[Judged, ...]
    pictures: tuple[Path, ...]

    @property
    def drawn(self) -> int:
        """Count the marks."""
        return sum(not finding.reason for finding in self.findings)


def files_of(folder: Path) -> list[Opened]:
    """Open the DICOM files of a folder and of those below; whatever else lies there is passed."""
    found: list[Opened] = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            file = opened(path)
            if isinstance(file, Opened):
                found.append(file)
    return found


def kept_objects(questions: Questions, spool: Spool, cases: Sequence[Case]) -> list[Opened]:
    """Open a study's images and what was made of them, as far as the spool still has them."""
    paths = [image.path for image in questions.images_of(cases[-1])] if cases else []
    paths += [product.path for case in cases for product in questions.products_of(case.id)]
    return [open_file(spool.path(path)) for path in paths if spool.has(path)]


def render(objects: Sequence[Dataset | Opened], rules: Rules, folder: Path) -> Rendered:
    """Draw each view, and all of them on one sheet, into a folder."""
    views = dict(_views(objects))
    sizes = {uid: view.pixels.shape for uid, (_, view) in views.items()}
    try:
        report, said = _newest_report([_header(one) for one in objects])
        fault = vendor_fault(report, rules) if report is not None else ""
        found = judged(report, rules, sizes) if report is not None else []
    except Exception as trouble:  # noqa: BLE001 - anybody's objects: reading values raises anything
        kind = type(trouble).__name__
        report, said, fault, found = None, f"an object cannot be read ({kind})", "", []
    if fault:
        found = [replace(one, reason="its vendor is not supported") for one in found]
    folder.mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    tiles: dict[str, Image.Image] = {}
    captions: dict[str, str] = {}
    for uid, (name, view) in views.items():
        marks = [_mark(one) for one in found if not one.reason and one.sop_instance_uid == uid]
        tile = drawing.tile(reduced(view), marks)
        pictures.append(_saved(tile, folder / f"{name}.png"))
        tiles[view.name] = tile  # of a repeated view, the newest
        captions[view.name] = f"{view.name}: {len(marks)} mark{'' if len(marks) == 1 else 's'}"
    if tiles:
        sheet = drawing.hang(tiles, captions)
        words = drawing.strip(sheet.width, [*_words(rules, said, fault, found)], WORDS_SIZE)
        pictures.append(_saved(drawing.stacked([sheet, words]), folder / "lightbox.png"))
    return Rendered(report, said, fault, tuple(found), tuple(pictures))


def _header(one: Dataset | Opened) -> Dataset:
    return one.header if isinstance(one, Opened) else one


def _views(objects: Sequence[Dataset | Opened]) -> Iterator[tuple[str, tuple[str, Mammogram]]]:
    """Read the mammograms, each with a name of its own for its file, the oldest first."""
    names: dict[str, int] = {}
    for one in sorted(objects, key=lambda one: _age(_header(one))):
        view = _mammogram(one)
        if view is not None:
            names[view.name] = names.get(view.name, 0) + 1
            number = f"-{names[view.name]}" if names[view.name] > 1 else ""
            yield view.sop_instance_uid, (f"{view.name}{number}", view)


def _mammogram(one: Dataset | Opened) -> Mammogram | None:
    """Read an object's pixels where it is a mammogram, and where they can be read."""
    try:
        return read(one) if _header(one).get("Modality") == "MG" else None
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as above; whatever is not drawn is told, mark by mark
        return None


def _newest_report(objects: Sequence[Dataset]) -> tuple[Dataset | None, str]:
    """Return the newest CAD SR that no note has taken back, and how the processing ended."""
    reports = [one for one in objects if one.get("SOPClassUID") == CAD_SR]
    hidden = {uid for one in objects for uid in _taken_back(one)}
    standing = [one for one in reports if str(one.SOPInstanceUID) not in hidden]
    if not standing:
        return None, "every report was taken back" if reports else "there is no Mammography CAD SR"
    newest = max(standing, key=_age)
    return newest, status(newest)


def _taken_back(note: Dataset) -> Iterator[str]:
    if note.get("SOPClassUID") != KeyObjectSelectionDocumentStorage:
        return
    titles = note.get("ConceptNameCodeSequence") or []
    if titles and titles[0].CodeValue in REJECTED:
        for study in note.get("CurrentRequestedProcedureEvidenceSequence", []):
            for series in study.ReferencedSeriesSequence:
                for one in series.ReferencedSOPSequence:
                    yield str(one.ReferencedSOPInstanceUID)


def _age(one: Dataset) -> tuple[str, str, int]:
    """Return what tells the newer of two; nothing where it cannot be read."""
    try:
        date, time = one.get("ContentDate") or "", one.get("ContentTime") or ""
        return str(date), str(time), int(one.get("SeriesNumber") or 0)
    except Exception:  # noqa: BLE001 - as above
        return "", "", 0


def _mark(finding: Judged) -> Mark:
    kind = Kind.CALCIFICATION if finding.code in CLUSTER else Kind.MASS
    scores = [f"{CAPTIONS.get(name, name)} {score:.1f} %" for name, score in finding.scores]
    lines = (finding.name, *([", ".join(scores)] if scores else []))
    return Mark(finding.outline, lines, INK[kind])


def _words(rules: Rules, said: str, fault: str, found: Sequence[Judged]) -> Iterator[str]:
    yield MARKING
    yield f"CAD SR by the rules '{rules.name}': {rules.words}"
    yield said
    if fault:
        yield fault
        return
    for finding in found:
        if finding.reason:
            yield f"not drawn: {finding.name}: {finding.reason}"


def _saved(picture: Image.Image, path: Path) -> Path:
    picture.save(path)
    return path
