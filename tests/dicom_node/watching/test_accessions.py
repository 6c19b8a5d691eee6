"""A case may be named by the accession number of its request, which no row of the ledger holds."""

import hashlib
import json
from pathlib import Path

import pytest
from came_in import came_in
from pydicom import Dataset, config
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from small_images import file_of, mammogram
from sqlalchemy import update
from typer.testing import CliRunner

from dicom_node.cli import app
from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.tables import Product
from dicom_node.life import State
from dicom_node.settings.file import ENVIRONMENT_VARIABLE
from dicom_node.watching.accessions import START_BYTES, Search, cases_meant, search
from dicom_node.wiring import Node
from inference.decoding.header import first_elements

ACCESSION = 0x00080050


def kept(node: Node, image: Dataset, syntax: UID = ExplicitVRLittleEndian) -> int:
    """Keep an image as it came in, and return its case."""
    content = file_of(image, syntax)
    digest = hashlib.sha256(content).hexdigest()
    return came_in(node, image, content, f"images/{image.SOPInstanceUID}.dcm", digest)


def meant(node: Node, name: str, **how: bool) -> list[int]:
    return [case.id for case in cases_meant(node, name, **how)]


@pytest.mark.parametrize(
    "syntax",
    [
        *(ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        *(ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
    ],
)
def test_a_study_is_found_by_the_number_of_its_request(node: Node, syntax: UID) -> None:
    case_id = kept(node, mammogram(AccessionNumber="A-2025.17"), syntax)
    kept(node, mammogram(AccessionNumber=""))
    with config.disable_value_validation():
        kept(node, mammogram(AccessionNumber="A-2025.17, and longer than it may be"))
    assert meant(node, "A-2025.17") == meant(node, " a-2025.17") == [case_id]


def test_all_rounds_of_the_study_are_meant(node: Node) -> None:
    first = mammogram(AccessionNumber="4711")
    late = mammogram("RCC", AccessionNumber="4711", StudyInstanceUID=first.StudyInstanceUID)
    one = kept(node, first)
    node.ledger.move(one, State.RECEIVING, State.DECLINED)
    two = kept(node, late)
    assert meant(node, "4711") == [one, two]
    assert one != two


def test_digits_are_a_case_before_all_else_and_accession_says_otherwise(node: Node) -> None:
    one = kept(node, mammogram(AccessionNumber="815"))
    two = kept(node, mammogram(AccessionNumber=str(one)))
    assert meant(node, str(one)) == [one]
    assert meant(node, str(one), accession=True) == [two]
    assert meant(node, "815") == [one]  # no case has this number


def test_of_several_studies_with_one_number_none_is_chosen(node: Node) -> None:
    one, two = (kept(node, mammogram(AccessionNumber="7x")) for _ in range(2))
    assert meant(node, "7X", several=True) == [two, one]  # the newest first
    studies = list(search(node, "7X").studies)
    with pytest.raises(NotYourTurn) as answer:
        meant(node, "7X")
    assert str(answer.value) == (
        "2 studies have the accession number 7X; name one by its case or its study: "
        f"case {two} of study {studies[0]}, case {one} of study {studies[1]}"
    )


def test_where_an_image_is_gone_another_file_says_the_number(node: Node) -> None:
    image = mammogram(AccessionNumber="4711")
    case_id = kept(node, image)
    (path,) = node.questions.files_of_studies()[image.StudyInstanceUID]
    content = node.spool.start(path, START_BYTES)
    node.spool.remove(path)
    assert search(node, "4711") == Search((), 0, 1)
    name = node.spool.case_name(case_id, "lease", "01-cad_sr.dcm")
    with node.ledger.writing() as session:
        session.add(product(case_id, name, node.spool.write(name, content)))
    assert meant(node, "4711") == [case_id]
    with node.ledger.writing() as session:
        session.execute(update(Product).values(purged_at=by_the_clock()))
    assert search(node, "4711") == Search((), 0, 1)


def product(case_id: int, path: str, sha256: str) -> Product:
    return Product(
        case_id=case_id, kind="cad_sr", profile="", transfer_syntax_uid="1.2", sop_class_uid="1.2",
        sop_uid="1.2.3", series_uid="1.2.3", size_bytes=1, sha256=sha256, path=path,
        made_at=by_the_clock(),
    )  # fmt: skip


def test_what_was_looked_at_is_said_where_nothing_was_found(node: Node) -> None:
    with pytest.raises(NotYourTurn, match=r"^the ledger knows no study or case 4711$"):
        cases_meant(node, "4711")
    kept(node, mammogram())  # says no number: nobody finds it by none
    broken = mammogram()
    kept(node, broken)
    node.spool.inside(f"images/{broken.SOPInstanceUID}.dcm").write_bytes(b"no DICOM" * 100)
    gone = mammogram(AccessionNumber="1")
    kept(node, gone)
    node.spool.remove(f"images/{gone.SOPInstanceUID}.dcm")
    asked = ": 2 asked, 1 without a file that can be read"
    with pytest.raises(NotYourTurn) as answer:
        cases_meant(node, "4711")
    assert str(answer.value) == (
        "the ledger knows no study or case 4711, and no study here has that accession number"
        + asked
    )
    for name in ("4711", ""):
        with pytest.raises(NotYourTurn) as answer:
            cases_meant(node, name, accession=True)
        assert str(answer.value) == f"no study here has the accession number {name}{asked}"


def test_a_disk_that_is_away_has_lost_no_number(node: Node, tmp_path: Path) -> None:
    kept(node, mammogram(AccessionNumber="4711"))
    node.spool.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(Busy, match="the folder of the spool is away"):
        cases_meant(node, "4711")


def test_no_more_is_inflated_than_a_header_needs() -> None:
    image = mammogram(AccessionNumber="4711", TextValue="x" * 10_000_000)
    start = file_of(image, DeflatedExplicitVRLittleEndian)[:START_BYTES]
    read = first_elements(start, ACCESSION)
    assert read.AccessionNumber == "4711"
    assert "TextValue" not in read


def test_commands_take_an_accession_number(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = kept(node, mammogram(AccessionNumber="RQ-4711"))
    config_ = tmp_path / "node.toml"
    config_.write_text(f'[node]\ndata = "{tmp_path}/var"\n')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(config_))

    def typed(*arguments: str) -> str:
        ended = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "300"})
        return f"{ended.output}{ended.exception or ''}"

    (told,) = json.loads(typed("trace", "RQ-4711", "--json"))
    assert told["case"] == case_id
    assert "RQ-4711" not in str(told)  # what the ledger tells leads to no request
    assert f"case {case_id} is RECEIVING" in typed("retry", "RQ-4711")
    assert f"case {case_id}" in typed("recall", "--accession", "RQ-4711")
    assert f"case {case_id} has no result" in typed("audit", "recompute", "RQ-4711")
    assert "there is no Mammography CAD SR" in typed(
        "render", "RQ-4711", "--out", str(tmp_path / "out")
    )
    for command in (["trace"], ["retry"], ["recall"], ["audit", "recompute"]):
        said = typed(*command, "--accession", str(case_id))
        assert said == f"no study here has the accession number {case_id}: 1 asked"
