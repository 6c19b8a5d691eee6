"""CONFORMANCE.md says what the code sends and takes: its tables are those of the enums."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import get_args

from checkout import ROOT
from pydicom.uid import UID

from dicom_node.receiving import contexts
from dicom_node.reporting import codes
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.profile import TRANSFER_SYNTAXES, Profile
from dicom_node.settings.delivering import Geometry, ObjectKind

PAGE = (ROOT / "CONFORMANCE.md").read_text(encoding="utf-8")
OF_THE_CAD_SR = ("cad_document", "cad_sr", "composite", "notice")
HEADINGS: dict[str, str] = {
    "cad_sr": "### Mammography CAD SR",
    "measurement_report": "### Measurement report",
    "segmentation": "### Segmentation",
    "presentation_state": "### Presentation state",
    "secondary_capture": "### Picture",
    "summary": "### Summary",
    "notice": "### Notice",
}


def section(heading: str) -> str:
    """Return what stands below a heading, up to the next one of its kind or above."""
    _, found, rest = PAGE.partition(f"\n{heading}\n")
    assert found, f"no heading {heading}"
    depth = heading.index(" ")
    return re.split(rf"^#{{2,{depth}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str, columns: int) -> list[list[str]]:
    """Return the cells of all tables that have so many columns, their heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in lines]
    return [row for row in cells if len(row) == columns]


def concepts_used(module: str) -> Iterator[Concept]:
    """Find the concepts that a module names, by the code itself."""
    tree = ast.parse((ROOT / "dicom_node" / "reporting" / f"{module}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "codes":
            named = getattr(codes, node.attr)
            for one in named.values() if isinstance(named, Mapping) else [named]:
                if isinstance(one, Concept):
                    yield one


def test_every_answer_of_a_cad_report_is_named() -> None:
    report, notice = section(HEADINGS["cad_sr"]), section(HEADINGS["notice"])
    for answer in codes.ANSWERS.values():
        assert f'({answer.value}) "{answer.meaning}"' in report
    for status in (codes.SUCCEEDED, codes.PARTIALLY_SUCCEEDED, codes.NOT_ATTEMPTED):
        assert f'({status.value}) "{status.meaning}"' in report
    for one in (codes.NONE_SUCCEEDED, codes.FAILED, codes.NOT_ATTEMPTED):
        assert f'({one.value}) "{one.meaning}"' in notice


def test_the_transfer_syntaxes_of_objects_are_those_that_can_be_wished_for() -> None:
    told = [
        (row[0].split(",")[0], row[1], row[2])
        for row in rows(section("## 4. Deliverer"), 3)
        if row[0].startswith('`"')
    ]
    assert told == [(f'`"{name}"`', uid.name, uid) for name, uid in TRANSFER_SYNTAXES.items()]


def test_every_wish_of_a_destination_is_described() -> None:
    wishes = section("### What a destination may wish otherwise")
    told = [key for row in rows(wishes, 3) for key in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(field.name for field in fields(Profile))
    geometries = [
        row[0].split(",")[0]
        for row in rows(section(HEADINGS["segmentation"]), 2)
        if row[0].startswith('`"')
    ]
    assert geometries == [f'`"{name}"`' for name in get_args(Geometry)]


def test_every_retired_code_of_a_cad_report_is_listed() -> None:
    used = {one for module in OF_THE_CAD_SR for one in concepts_used(module) if one.retired}
    wishes = rows(section("### What a destination may wish otherwise"), 3)
    told = {tuple(row) for row in wishes if re.fullmatch(r"[0-9]+", row[0])}
    assert told == {(one.value, one.retired, one.meaning) for one in used}


def test_every_kind_of_object_has_a_section() -> None:
    assert set(HEADINGS) == {*get_args(ObjectKind), "notice"}
    assert all(section(heading).strip() for heading in HEADINGS.values())


def test_what_the_listener_takes_is_what_the_page_says() -> None:
    taken = section("### SOP classes accepted")
    classes = [UID(row[1]) for row in rows(taken, 3) if row[2] == "all below"]
    assert classes == list(contexts.SOP_CLASSES)
    syntaxes = [UID(row[2]) for row in rows(taken, 3) if row[0].isdigit()]
    assert syntaxes == list(contexts.TRANSFER_SYNTAXES)
