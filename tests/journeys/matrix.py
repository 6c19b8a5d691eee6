"""The matrix: styles of headers, systems, and states of a study; and what validators say of it.

A system's findings do not depend on the style of an image's header, as tests/inference shows. So
each bundle reads two phantoms once, one with lesions and one without, and its findings are reported
on the headers of every style, at the same places.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from io import BytesIO
from pathlib import Path

import validators
from dcmtk import getscu, storescu
from orthanc_server import OrthancServer
from pydicom import Dataset, config, dcmread

from dicom_node.analyzing.accept import judge_header, judge_study
from dicom_node.analyzing.rules import Judged, Terms
from dicom_node.eligibility import Accept
from dicom_node.life import State
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.notice import KIND as NOTICE
from dicom_node.reporting.notice import Attempt, Ending, notice
from dicom_node.reporting.report import KINDS, KINDS_ON_DEMAND, report
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from dicom_node.settings.receiving import VIEWS
from inference.analyzer import SYSTEMS, open_bundle
from inference.findings import ExamFindings
from inference.reading import exam
from phantom.dicom import PRESETS, datasets
from phantom.kinds import specimen
from phantom.patient import Wanted
from phantom.study import Study, study

ROOT = Path(__file__).parents[2]
ILL, WELL = 17, 9  # seeds: every system that marks marks something of the one, none of the other
LESIONS = (
    Wanted("mass", malignant=True, side="L", shape="spiculated"),
    Wanted("calcification", malignant=True, side="R"),
)
MAKER = Maker("Nobody", "Four Views", "0.1.0", "SN-1", "For research use only.")
WHEN = Circumstances(1, datetime(2025, 9, 1, 10, 30, tzinfo=UTC), None, 0)
# A study that is not eligible is another one for each system, so that five rules are met.
NOT_ELIGIBLE = dict(
    zip(sorted(SYSTEMS), ("raw", "implant", "lossy_once", "blank_maker", "displaced"), strict=True)
)
TERMS = Terms(Accept(rows_min=1), VIEWS)
REPORTS = {"cad_sr", "measurement_report", NOTICE}
SOURCE = "source"
# Whose headers need no repair of patient and study, and are in ASCII: dcentvfy compares bytes.
AS_THEY_ARE = {"plain", "hologic", "hologic_10_bit", "hologic_synthetic", "ge", "planmed"}
COLUMNS = ("dciodvfy", "dsrdump", "PixelMed", "dcmpschk", "dcentvfy")


class Outcome(StrEnum):
    """What became of a study."""

    WITH = "with findings"
    WITHOUT = "without findings"
    FAILED = "failed"
    NOT_ELIGIBLE = "not eligible"


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix."""

    preset: str
    system: str
    outcome: Outcome


def whole() -> list[Cell]:
    """List every cell."""
    return [
        Cell(preset, system, outcome)
        for preset in PRESETS
        for system in sorted(SYSTEMS)
        for outcome in Outcome
    ]


def slice_of() -> list[Cell]:
    """List an eighth of the cells: of each style, two or three systems, with one outcome each."""
    outcomes = list(Outcome)
    return [
        Cell(preset, system, outcomes[(row // 2 + column) % len(outcomes)])
        for row, preset in enumerate(PRESETS)
        for column, system in enumerate(sorted(SYSTEMS))
        if (row + column) % 2 == 0
    ]


@dataclass(frozen=True, slots=True)
class Patients:
    """The two phantoms, and a thumbnail of one where only the header counts."""

    ill: Study
    well: Study
    thumbnail: Study


def patients() -> Patients:
    """Image the two phantoms."""
    return Patients(
        study(ILL, lesions=LESIONS), study(WELL, lesions=()), study(ILL, pitch_mm=1.0, lesions=())
    )


def read_by_all(them: Patients) -> dict[tuple[str, Outcome], ExamFindings]:
    """Let every shipped bundle read both phantoms."""
    found = {}
    for system in sorted(SYSTEMS):
        analyzer = open_bundle(ROOT / "bundles" / f"{system}_phantom")
        for outcome, woman in ((Outcome.WITH, them.ill), (Outcome.WITHOUT, them.well)):
            found[system, outcome] = analyzer.analyze(exam("1.2.3", datasets(woman)))
    return found


@dataclass(frozen=True, slots=True)
class File:
    """One object as a file, and what it is."""

    cell: Cell
    kind: str
    study_uid: str
    sop_uid: str
    content: bytes

    @property
    def emptied(self) -> "File":
        """Let go of the bytes, which lie in the PACS."""
        return replace(self, content=b"")


def objects(
    preset: str,
    cells: Sequence[Cell],
    them: Patients,
    readings: dict[tuple[str, Outcome], ExamFindings],
) -> Iterator[File]:
    """Build every object of a style's cells; what they were made of lies beside them."""
    for outcome, woman in ((Outcome.WITH, them.ill), (Outcome.WITHOUT, them.well)):
        wanted = [cell for cell in cells if cell.outcome is outcome]
        if wanted:
            images = datasets(woman, preset=preset, uid_salt=outcome)
            yield from _reports(wanted, images, readings)
    for cell in cells:
        if cell.outcome is Outcome.FAILED:
            images = datasets(them.thumbnail, preset=preset, uid_salt=f"failed {cell.system}")
            yield from _notice(cell, images, _failed(images, readings[cell.system, Outcome.WITH]))
        if cell.outcome is Outcome.NOT_ELIGIBLE:
            images = specimen(NOT_ELIGIBLE[cell.system], them.thumbnail, preset=preset)
            yield from _notice(cell, images, _not_eligible(images))


def _arrived(image: Dataset) -> Dataset:
    """Read a header as the node does, from a file."""
    return dcmread(BytesIO(encoded(image)), stop_before_pixels=True)


def _reports(
    cells: Sequence[Cell],
    images: Sequence[Dataset],
    readings: dict[tuple[str, Outcome], ExamFindings],
) -> Iterator[File]:
    headers = [_arrived(image) for image in images]
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    lightbox = Lightbox(by_uid.__getitem__)
    yield from _sources(cells[0], images)
    for cell in cells:
        seen = readings[cell.system, cell.outcome]
        views = [
            replace(view, sop_instance_uid=str(image.SOPInstanceUID))
            for view, image in zip(seen.views, images, strict=True)
        ]
        found = replace(seen, views=tuple(views))
        for built in report(
            headers, found, MAKER, WHEN, KINDS | KINDS_ON_DEMAND, lightbox=lightbox
        ):
            yield _file(cell, built.kind, built.dataset)


def _failed(images: Sequence[Dataset], seen: ExamFindings) -> Ending:
    judges = seen.cancer_score is not None
    attempt = Attempt(seen.system, seen.version, seen.digest, seen.marks, judges)
    unread = tuple(_unread(Judged(_arrived(image), None)) for image in images)
    return Ending(State.FAILED, "RuntimeError at trunks.py:7", unread, (attempt,))


def _not_eligible(images: Sequence[Dataset]) -> Ending:
    headers = [_arrived(image) for image in images]
    judged = judge_study([Judged(one, judge_header(one, TERMS)) for one in headers], TERMS)
    assert judged.declined is not None
    unread = tuple(_unread(one) for one in judged.images)
    return Ending(State.DECLINED, str(judged.declined), unread)


def _unread(one: Judged) -> Unread:
    view = one.view if one.view in VIEWS else ""
    said = one.declined
    return Unread(tidy(one.header), view, said.code if said else "", said.sentence if said else "")


def _notice(cell: Cell, images: Sequence[Dataset], ending: Ending) -> Iterator[File]:
    yield from _sources(cell, images)
    yield _file(cell, NOTICE, notice(ending, MAKER, WHEN))


def _sources(cell: Cell, images: Sequence[Dataset]) -> Iterator[File]:
    for image in images:
        yield _file(cell, SOURCE, _arrived(image))


def _file(cell: Cell, kind: str, dataset: Dataset) -> File:
    uids = str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID)
    with config.disable_value_validation():
        return File(cell, kind, *uids, encoded(dataset))


def there_and_back(files: Sequence[File], orthanc: OrthancServer, folder: Path) -> dict[str, Path]:
    """Send objects to the PACS and fetch them from there, by DCMTK; by SOP instance UID.

    The headers that they were made of stay here, to be laid beside them.
    """
    out, back, sources = folder / "out", folder / "back", folder / "sources"
    for place in (out, back, sources):
        place.mkdir(parents=True)
    for number, file in enumerate(files):
        place = sources if file.kind == SOURCE else out
        (place / f"{number:04}.dcm").write_bytes(file.content)
    sent = storescu(sorted(out.iterdir()), orthanc.dicom_port, called=orthanc.aet)
    assert sent.returncode == 0, sent.stderr
    for uid in sorted({file.study_uid for file in files}):
        got = getscu(uid, back, orthanc.dicom_port, called=orthanc.aet)
        assert got.returncode == 0, got.stderr
    orthanc.clear()
    return {
        str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID): path
        for path in (*back.iterdir(), *sources.iterdir())
    }


def spoiled(file: File, number: int) -> bytes:
    """Take from an object what every validator that knows its kind has to miss."""
    dataset = dcmread(BytesIO(file.content))
    dataset.StudyID = str(number)  # another one in each object of one study
    del dataset.SeriesInstanceUID
    if file.kind in REPORTS:
        dataset.ContentSequence.pop(0)  # the language: every reference by position goes astray
    if file.kind == "presentation_state":
        del dataset.PresentationLUTShape
    return encoded(dataset)


def complaints(files: Sequence[File], places: dict[str, Path]) -> dict[tuple[str, str], list[str]]:
    """Ask every validator about every object; by style and validator."""
    by_preset: dict[tuple[str, str], list[str]] = {
        (file.cell.preset, column): [] for file in files for column in COLUMNS
    }
    studies: dict[tuple[str, str], list[Path]] = {}
    for file in files:
        if file.kind != SOURCE or file.cell.preset in AS_THEY_ARE:
            place = places[file.sop_uid]
            studies.setdefault((file.cell.preset, file.study_uid), []).append(place)
    files = [file for file in files if file.kind != SOURCE]
    paths = [places[file.sop_uid] for file in files]
    reports = [
        (file, path) for file, path in zip(files, paths, strict=True) if file.kind in REPORTS
    ]
    with ThreadPoolExecutor(2) as several:
        templates = several.submit(validators.pixelmed_says, [path for _, path in reports])
        modules = several.map(validators.dciodvfy_errors, paths)
        trees = several.map(validators.dsrdump_errors, [path for _, path in reports])
        entities = several.map(validators.dcentvfy_errors, studies.values())
        for file, said in zip(files, modules, strict=True):
            by_preset[file.cell.preset, "dciodvfy"] += said
        for (file, _), said in zip(reports, trees, strict=True):
            by_preset[file.cell.preset, "dsrdump"] += said
        for (preset, _), said in zip(studies, entities, strict=True):
            by_preset[preset, "dcentvfy"] += said
        for file, path in zip(files, paths, strict=True):
            if file.kind == "presentation_state":
                by_preset[file.cell.preset, "dcmpschk"] += validators.dcmpschk_errors(
                    _with_a_name_dcmtk_knows(path)
                )
        said_of = templates.result()
        for file, path in reports:
            by_preset[file.cell.preset, "PixelMed"] += [
                line for line in said_of[path] if not line.startswith("Warning")
            ]
    return by_preset


def _with_a_name_dcmtk_knows(path: Path) -> Path:
    """Return a presentation state as it is, or with an ASCII name: DCMTK 3.6.7 refuses all others.

    It takes any name in UTF-8 for a faulty one, which dciodvfy, asked about the original, does not.
    """
    dataset = dcmread(path)
    if str(dataset.PatientName).isascii():
        return path
    dataset.PatientName = "Phantom^Ada"
    copy = path.with_name(f"{path.name}-ascii")
    copy.write_bytes(encoded(dataset))
    return copy


def table(files: Sequence[File], errors: dict[tuple[str, str], list[str]]) -> str:
    """Count objects and errors by style, and objects by system and outcome."""
    files = [file for file in files if file.kind != SOURCE]
    kinds = sorted({file.kind for file in files})
    counted = Counter((file.cell.preset, file.kind) for file in files)
    lines = [_line("style", "cells", *kinds, *(f"errors of {name}" for name in COLUMNS))]
    lines.append("|" + " --- |" * (2 + len(kinds) + len(COLUMNS)))
    for preset in sorted({file.cell.preset for file in files}):
        cells = len({file.cell for file in files if file.cell.preset == preset})
        counts = [counted[preset, kind] for kind in kinds]
        lines.append(
            _line(preset, cells, *counts, *(len(errors[preset, name]) for name in COLUMNS))
        )
    outcomes = list(Outcome)
    placed = Counter((file.cell.system, file.cell.outcome) for file in files)
    lines += ["", _line("objects of", *outcomes), "|" + " --- |" * (1 + len(outcomes))]
    for system in sorted(SYSTEMS):
        lines.append(_line(system, *(placed[system, outcome] for outcome in outcomes)))
    total = sum(len(said) for said in errors.values())
    cells = len({file.cell for file in files})
    lines += ["", f"{len(files)} objects of {cells} cells: {total} errors."]
    return "\n".join(lines) + "\n"


def _line(*words: object) -> str:
    return "| " + " | ".join(str(word) for word in words) + " |"
