"""A CAD SR drawn as a workstation would: what is shown, and why something is not."""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.uid import KeyObjectSelectionDocumentStorage
from rich.markup import escape
from rich.table import Table
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.commands.at_hand import PlainConsole, foreign
from dicom_node.reporting import naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.drawing import INK
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import children, walk
from dicom_node.reporting.report import report
from dicom_node.watching.render import files_of, render
from dicom_node.watching.workstation import RULES, judged, status
from inference.findings import Box, ExamFindings, Finding, Kind, Mask, ViewFindings
from inference.mammogram import Projection, Side
from phantom.dicom import datasets
from phantom.patient import Wanted
from phantom.study import Study, study

LESIONS = (Wanted("mass", True, side="R"), Wanted("calcification", True, side="L"))
VIEWS = ("RCC", "LCC", "RMLO", "LMLO")
Spoiler = Callable[[Dataset], object]


@pytest.fixture(scope="module")
def truth() -> Study:
    return study(21, pitch_mm=0.4, lesions=LESIONS)


@pytest.fixture(scope="module")
def images(truth: Study) -> list[Dataset]:
    return datasets(truth)


@pytest.fixture(scope="module")
def made(truth: Study, images: list[Dataset]) -> Dataset:
    """Hold the CAD SR of what is truly in the phantom."""
    views = []
    for image, view in zip(images, truth.views, strict=True):
        (lesion,) = view.lesions
        box = Box(lesion.left, lesion.top, lesion.right, lesion.bottom)
        mask = Mask(lesion.left, lesion.top, lesion.mask)
        found = Finding(Kind(lesion.lesion.kind), box, 0.9, 0.7, mask, ("shared_trunk",))
        side, projection = Side(view.side), Projection(view.projection)
        views.append(ViewFindings(str(image.SOPInstanceUID), side, projection, 0.5, (found,)))
    exam = ExamFindings("shared_trunk", "1.0.0", "cd" * 32, "quiet", tuple(Kind), 0.7, tuple(views))
    maker = Maker("Nobody", "Four Views", "0.1.0", "SN-1", "For research use only.")
    now = Circumstances(1, datetime(2025, 9, 1, 10, 30, tzinfo=UTC), None, 0)
    (built,) = report(images, exam, maker, now, frozenset({"cad_sr"}))
    return built.dataset


@pytest.fixture
def cad_sr(made: Dataset) -> Dataset:
    return deepcopy(made)


def items(dataset: Dataset, code: str) -> list[Dataset]:
    return [
        item
        for _, item in walk(dataset)
        if any(name.CodeValue == code for name in item.get("ConceptNameCodeSequence", []))
    ]


def first_finding(dataset: Dataset) -> Dataset:
    return items(dataset, "111059")[0]


def without(dataset: Dataset, code: str) -> None:
    """Take an item from the first finding."""
    item = first_finding(dataset)
    item.ContentSequence = [child for child in children(item) if child not in items(item, code)]


def redrawn(dataset: Dataset, shape: str, numbers: list[float]) -> None:
    outline = items(first_finding(dataset), "111041")[0]
    outline.GraphicType, outline.GraphicData = shape, numbers


def called(dataset: Dataset, code: str, meaning: str) -> None:
    value = first_finding(dataset).ConceptCodeSequence[0]
    value.CodeValue, value.CodeMeaning = code, meaning


def intended(dataset: Dataset, code: str) -> None:
    items(first_finding(dataset), "111056")[0].ConceptCodeSequence[0].CodeValue = code


def by_value(dataset: Dataset) -> None:
    image = deepcopy(items(dataset, "111028")[0].ContentSequence[0])
    del image.ContentSequence
    for code in ("111010", "111041"):
        items(first_finding(dataset), code)[0].ContentSequence = [image]


def pointing(dataset: Dataset, position: list[int]) -> None:
    for code in ("111010", "111041"):
        drawn = items(first_finding(dataset), code)[0]
        drawn.ContentSequence[0].ReferencedContentItemIdentifier = position


def inks(picture: Path, kind: Kind) -> NDArray[np.int64]:
    """Find where a kind's color is in a picture, as (column, row)."""
    pixels = np.asarray(Image.open(picture))
    return np.argwhere((pixels == INK[kind]).all(axis=2))[:, ::-1]


def test_every_finding_is_drawn_around_its_lesion_and_nowhere_else(
    cad_sr: Dataset, images: list[Dataset], truth: Study, tmp_path: Path
) -> None:
    result = render([*images, cad_sr], RULES["strict"], tmp_path)
    assert result.drawn == len(result.findings) == 4
    assert result.status == "All algorithms succeeded; with findings"
    assert [path.name for path in result.pictures] == [
        *(f"{name}.png" for name in VIEWS),
        "lightbox.png",
    ]
    for view, image, name in zip(truth.views, images, VIEWS, strict=True):
        (lesion,) = view.lesions
        kind = Kind(lesion.lesion.kind)
        other = next(one for one in Kind if one is not kind)
        picture = tmp_path / f"{name}.png"
        scale = Image.open(picture).height / image.Rows
        drawn = inks(picture, kind)
        low, high = drawn.min(axis=0) / scale, drawn.max(axis=0) / scale
        assert np.allclose(low, (lesion.left, lesion.top), atol=3)
        assert np.allclose(high, (lesion.right, lesion.bottom), atol=3)
        assert len(inks(picture, other)) == 0


# What is done to the first finding; why `strict` does not draw it; whether the others do.
UNSEEN: dict[str, tuple[Spoiler, str, bool, bool]] = {
    "another finding": (
        lambda d: called(d, "129792006", "Architectural distortion"),
        "'Architectural distortion' is not on the list",
        False,
        True,
    ),
    "optional": (lambda d: intended(d, "111151"), "is optional to present", True, True),
    "hidden": (lambda d: intended(d, "111152"), "is not for presentation", False, False),
    "hidden from above": (
        lambda d: setattr(
            items(items(d, "111034")[0], "111056")[0].ConceptCodeSequence[0], "CodeValue", "111152"
        ),
        "is not for presentation",
        False,
        False,
    ),
    "no intent": (lambda d: without(d, "111056"), "no rendering intent", True, True),
    "no algorithm": (lambda d: without(d, "111001"), "its algorithm's name", True, True),
    "no version": (lambda d: without(d, "111003"), "its algorithm's version", True, True),
    "no center": (lambda d: without(d, "111010"), "no center", True, True),
    "by value": (by_value, "by value", True, True),
    "pointing at nothing": (lambda d: pointing(d, [1, 2, 99]), "no image", False, False),
    "pointing far away": (lambda d: pointing(d, [1, 50, 3]), "no image", False, False),
    "pointing elsewhere": (lambda d: pointing(d, [1, 3]), "no image", False, False),
    "open": (
        lambda d: redrawn(d, "POLYLINE", [10.0, 10.0, 50.0, 10.0, 50.0, 50.0, 10.0, 50.0]),
        "outline is open",
        False,
        False,
    ),
    "a polygon": (
        lambda d: redrawn(d, "POLYGON", [10.0, 10.0, 50.0, 10.0, 50.0, 50.0, 10.0, 10.0]),
        "is a POLYGON",
        False,
        False,
    ),
    "outside": (
        lambda d: redrawn(d, "CIRCLE", [10.0, 10.0, 10.0, 40.0]),
        "leaves its image",
        False,
        False,
    ),
}


@pytest.mark.parametrize("way", UNSEEN)
def test_what_is_not_drawn_has_a_reason(way: str, cad_sr: Dataset, images: list[Dataset]) -> None:
    spoil, reason, by_synapse, by_lenient = UNSEEN[way]
    cad_sr.Manufacturer = "iCAD"
    spoil(cad_sr)
    sizes = {str(image.SOPInstanceUID): (image.Rows, image.Columns) for image in images}
    first, *others = judged(cad_sr, RULES["strict"], sizes)
    assert reason in first.reason
    assert [one.reason for one in others] == ["", "", ""]
    for rules, is_drawn in (("synapse", by_synapse), ("lenient", by_lenient)):
        assert (judged(cad_sr, RULES[rules], sizes)[0].reason == "") == is_drawn, rules


def test_a_finding_of_an_image_that_is_not_here_is_not_drawn(
    cad_sr: Dataset, images: list[Dataset], tmp_path: Path
) -> None:
    result = render([*images[1:], cad_sr], RULES["strict"], tmp_path)
    assert [one.reason for one in result.findings] == ["its image is not here", "", "", ""]
    assert not (tmp_path / "RCC.png").exists()


def test_old_codes_are_drawn_too(cad_sr: Dataset, images: list[Dataset]) -> None:
    for item in items(cad_sr, "111059"):
        value = item.ConceptCodeSequence[0]
        value.CodeValue = {"129793001": "F-01796", "129769006": "F-01775"}[value.CodeValue]
        value.CodingSchemeDesignator = "SRT"
    sizes = {str(image.SOPInstanceUID): (image.Rows, image.Columns) for image in images}
    assert [one.reason for one in judged(cad_sr, RULES["strict"], sizes)] == ["", "", "", ""]


@pytest.mark.parametrize(
    ("shape", "numbers"),
    [
        ("CIRCLE", [300.0, 300.0, 300.0, 340.0]),
        ("ELLIPSE", [260.0, 300.0, 340.0, 300.0, 300.0, 260.0, 300.0, 340.0]),
    ],
)
def test_circles_and_ellipses_are_drawn_round(
    shape: str, numbers: list[float], cad_sr: Dataset, images: list[Dataset]
) -> None:
    redrawn(cad_sr, shape, numbers)
    sizes = {str(image.SOPInstanceUID): (image.Rows, image.Columns) for image in images}
    first = judged(cad_sr, RULES["strict"], sizes)[0]
    assert first.reason == ""
    away = np.hypot(*(np.array(first.outline) - 300).T)
    assert np.allclose(away, 40)


def test_a_vendor_that_is_not_listed_is_not_drawn_at_all(
    cad_sr: Dataset, images: list[Dataset], tmp_path: Path
) -> None:
    result = render([*images, cad_sr], RULES["synapse"], tmp_path)
    assert result.vendor_fault.startswith("vendor not supported: 'Nobody' is none of iCAD")
    assert result.drawn == 0
    assert all(len(inks(path, kind)) == 0 for path in result.pictures for kind in Kind)
    cad_sr.Manufacturer = "ScreenPoint Medical"
    assert render([*images, cad_sr], RULES["synapse"], tmp_path).drawn == 4


def test_a_report_that_was_taken_back_is_not_drawn(
    cad_sr: Dataset, images: list[Dataset], tmp_path: Path
) -> None:
    older = deepcopy(cad_sr)
    older.SOPInstanceUID = naming.uid("older")
    older.ContentTime = "000001"
    note = Dataset()
    note.SOPClassUID = KeyObjectSelectionDocumentStorage
    title, study_, series, one = Dataset(), Dataset(), Dataset(), Dataset()
    title.CodeValue = "113037"
    note.ConceptNameCodeSequence = [title]
    one.ReferencedSOPInstanceUID = cad_sr.SOPInstanceUID
    series.ReferencedSOPSequence = [one]
    study_.ReferencedSeriesSequence = [series]
    note.CurrentRequestedProcedureEvidenceSequence = [study_]
    newest = render([*images, older, cad_sr], RULES["strict"], tmp_path).report
    assert newest is cad_sr
    assert render([*images, older, cad_sr, note], RULES["strict"], tmp_path).report is older
    gone = render([*images, cad_sr, note], RULES["strict"], tmp_path)
    assert gone.report is None
    assert gone.status == "every report was taken back"


def test_a_report_says_how_its_processing_ended(cad_sr: Dataset) -> None:
    assert status(cad_sr) == "All algorithms succeeded; with findings"
    cad_sr.ContentSequence = []
    assert status(cad_sr) == "the report has no summary"


@pytest.fixture
def folder(cad_sr: Dataset, images: list[Dataset], tmp_path: Path) -> Path:
    place = tmp_path / "study" / "below"
    place.mkdir(parents=True)
    for number, one in enumerate([*images, cad_sr]):
        (place / f"{number}.dcm").write_bytes(encoded(one))
    (place / "notes.txt").write_text("not DICOM")
    return place.parent


def test_what_else_lies_on_a_disk_is_passed_over(
    folder: Path, cad_sr: Dataset, tmp_path: Path
) -> None:
    directory = Dataset()
    directory.file_meta = deepcopy(cad_sr.file_meta)
    directory.FileSetID = "DISK"
    directory.save_as(folder / "DICOMDIR", enforce_file_format=True)
    (folder / "empty.dcm").touch()
    (folder / "cut.dcm").write_bytes((folder / "below" / "4.dcm").read_bytes()[:400])
    assert render(files_of(folder), RULES["strict"], tmp_path / "out").drawn == 4


def test_the_command_draws_a_folder_and_says_what_it_drew(folder: Path, tmp_path: Path) -> None:
    assert len(files_of(folder)) == 5
    out = tmp_path / "out"
    told = CliRunner().invoke(app, ["render", str(folder), "--out", str(out)])
    assert told.exit_code == 0, told.output
    assert "4 of 4 findings drawn" in told.output
    assert "Phantom" not in told.output
    assert len(list(out.glob("*.png"))) == 5


NASTY = "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\r\n4 of 4 findings drawn [red]"


@pytest.mark.filterwarnings("ignore")  # of pydicom, about such values
def test_what_would_steer_a_terminal_is_shown_and_not_obeyed(
    tmp_path: Path, cad_sr: Dataset
) -> None:
    spoilt = deepcopy(cad_sr)
    spoilt.SpecificCharacterSet = "ISO_IR 192"
    for element in spoilt.iterall():
        if element.VR in {"LO", "ST", "UT"}:
            element.validation_mode = IGNORE
            element.value = NASTY
    naming_them = tmp_path / "nasty"
    naming_them.mkdir()
    (naming_them / "sr.dcm").write_bytes(encoded(spoilt))
    for rules in RULES:
        command = ["render", str(naming_them), "--out", str(tmp_path / "out"), "--rules", rules]
        said = CliRunner().invoke(app, command).output
        assert "owned" in said
        assert all(char.isprintable() or char == "\n" for char in said), said
        assert "\n4 of 4" not in said


def test_every_command_shows_what_would_steer_a_terminal() -> None:
    out = PlainConsole(file=StringIO(), force_terminal=True, color_system=None, width=200)
    table = Table()
    table.add_column("what")
    table.add_row(escape(NASTY))
    out.print(NASTY, markup=False)
    out.print(f"[red]{foreign(NASTY)}[/]", soft_wrap=True)
    out.print(table)
    out.rule(escape(NASTY))
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said), repr(said)
    assert said.count("\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\u202e") == 4
    assert foreign("Müller\t[b]") == "Müller\\t\\[b]"


def test_the_command_answers_scripts_and_takes_a_list_of_vendors(
    folder: Path, tmp_path: Path
) -> None:
    command = ["render", str(folder), "--out", str(tmp_path / "out"), "--json"]
    told = json.loads(CliRunner().invoke(app, [*command, "--rules", "synapse"]).output)
    assert told["drawn"] == 0
    assert "vendor not supported" in told["vendor_fault"]
    listed = [*command, "--rules", "synapse", "--vendors", "Hologic", "--vendors", "Nobody"]
    told = json.loads(CliRunner().invoke(app, listed).output)
    assert told["drawn"] == 4
    assert all(finding["drawn"] for finding in told["findings"])


def test_nothing_to_draw_is_said_and_is_exit_status_1(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["render", str(tmp_path), "--out", str(tmp_path / "out")])
    assert told.exit_code == 1
    assert "there is no Mammography CAD SR" in told.output
    unknown = ["render", str(tmp_path), "--out", str(tmp_path), "--rules", "kind"]
    assert CliRunner().invoke(app, unknown).exit_code == 2
