"""The summary: one page, read by other people's PDF readers."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import validators
from conftest import finding, lightbox_of, specks
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.drawing import INK
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import uid
from dicom_node.reporting.pdf import Page, wrapped
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import report
from dicom_node.reporting.unread import not_received
from inference.findings import ExamFindings, Kind

WANTED = frozenset({"summary"})


def built(
    headers: Sequence[Dataset], exam: ExamFindings, maker: Maker, when: Circumstances
) -> Dataset:
    (one,) = report(headers, exam, maker, when, WANTED, lightbox=lightbox_of(headers))
    prove(one.dataset, headers, exam, lightbox_of(headers))
    return one.dataset


def pdf(of: Dataset, folder: Path) -> Path:
    path = folder / "summary.pdf"
    path.write_bytes(of.EncapsulatedDocument[: of.EncapsulatedDocumentLength])
    return path


def text(path: Path) -> str:
    """Read the page as poppler does, line ends as spaces."""
    command = ["pdftotext", "-layout", str(path), "-"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    return " ".join(answer.stdout.split())


def shown(path: Path) -> Image.Image:
    """Draw the page as poppler does, at the picture's own resolution or finer."""
    command = ["pdftoppm", "-r", "200", "-singlefile", str(path), str(path.with_suffix(""))]
    subprocess.run(command, check=True, capture_output=True)
    return Image.open(path.with_suffix(".ppm"))


def test_the_page_says_what_was_read_by_whom_and_what_came_out(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    said = text(pdf(built(headers, exam, maker, first_round), tmp_path))
    for words in (
        "AI RESULT - research use only, not for diagnosis",
        "For research use only.",
        "5 findings; cancer score of the exam 82.5 %",
        "shared_trunk 1.2.0 at operating point screening: 5 findings in RCC (score 3.0 %)",
        "Looked for masses and calcifications.",
        "Round 1.",
        "Nobody Four Views 0.1.0",
        "1 LCC mass 1 91.3 % 83.0 % column 200, row 300; shared_trunk 1.2.0",
        "5 LMLO mass 3 31.0 % - column 140, row 95; shared_trunk 1.2.0",
    ):
        assert words in said


def test_the_page_shows_the_marks_in_their_colors(
    headers: list[Dataset],
    exam: ExamFindings,
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    for who, there in ((exam, True), (clear_exam, False)):
        page = np.asarray(shown(pdf(built(headers, who, maker, first_round), tmp_path)))
        for kind in Kind:
            distance = np.abs(page.astype(int) - INK[kind]).max(axis=2)
            rows, columns = np.nonzero(distance < 30)
            assert bool(rows.size > 20) is there
            if there:
                assert (columns > page.shape[1] / 2).all()  # all are in the left breast


def test_no_findings_are_a_page_too(
    headers: list[Dataset],
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    said = text(pdf(built(headers, clear_exam, maker, first_round), tmp_path))
    assert "No findings; cancer score of the exam 82.5 %" in said
    assert "place; seen by" not in said


def test_the_page_names_no_patient(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    made = built(headers, exam, maker, first_round)
    said = text(pdf(made, tmp_path)) + made.EncapsulatedDocument.decode("latin-1")
    for words in ("arcía", "Zoë", "SYN001", "19650412", "ACC1"):
        assert words not in said
    assert made.PatientID == "SYN001"
    assert made.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("said", ["YES", "", None])
def test_where_one_image_may_name_the_patient_the_page_does_not_say_that_it_does_not(
    headers: list[Dataset],
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    said: str | None,
) -> None:
    headers[-1].BurnedInAnnotation = said
    if said is None:
        del headers[-1].BurnedInAnnotation
    assert built(headers, clear_exam, maker, first_round).BurnedInAnnotation == "YES"


def test_a_second_round_says_what_it_replaces(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, tmp_path: Path
) -> None:
    before = Predecessor(EncapsulatedPDFStorage, uid("before"), uid("series before"), 1)
    again = Circumstances(2, datetime(2025, 9, 1, 11, tzinfo=UTC), before, 1)
    made = built(headers, exam, maker, again)
    assert "Round 2: replaces the report of round 1; 1 image added." in text(pdf(made, tmp_path))
    (study,) = made.PredecessorDocumentsSequence
    named = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert named.ReferencedSOPInstanceUID == uid("before")
    path = tmp_path / "summary.dcm"
    path.write_bytes(encoded(made))
    assert validators.dciodvfy_errors(path) == []


def test_more_findings_than_there_is_room_for_are_counted(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    places = [(20 + 60 * (n % 6), 20 + 40 * (n // 6)) for n in range(48)]
    many = tuple(
        finding(Kind.CALCIFICATION, specks(*place), 0.9 - n / 100, 0.1)
        for n, place in enumerate(places)
    )
    crowded = replace(exam, views=(replace(exam.views[1], findings=many), *exam.views[2:]))
    path = pdf(built(headers, crowded, maker, first_round), tmp_path)
    said = text(path)
    assert "51 findings" in said
    assert "less sure findings, in the pictures alone" in said
    assert pages(path) == 1


def pages(path: Path) -> int:
    command = ["qpdf", "--show-npages", str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("who", ["exam", "clear_exam", "masses_only", "scored_only", "agreement"])
def test_validators_of_dicom_and_of_pdf_accept_it(
    who: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    headers: list[Dataset],
    maker: Maker,
    first_round: Circumstances,
) -> None:
    made = built(headers, request.getfixturevalue(who), maker, first_round)
    (tmp_path / "summary.dcm").write_bytes(encoded(made))
    assert validators.dciodvfy_errors(tmp_path / "summary.dcm") == []
    path = pdf(made, tmp_path)
    checked = subprocess.run(["qpdf", "--check", path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "No syntax or stream encoding errors" in checked.stdout
    assert pages(path) == 1


def test_more_words_than_there_is_room_for_leave_room_for_the_picture(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    long = replace(first_round, remarks=("This is said at length. " * 200,))
    path = pdf(built(headers, exam, maker, long), tmp_path)
    said = text(path)
    assert "More is said in the CAD SR." in said
    assert "1 LCC mass 1 91.3 %" in said
    assert pages(path) == 1


def test_the_page_says_which_view_was_not_received_and_the_proof_asks_for_it(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    (missing,) = not_received(["LCC", "RMLO", "LMLO"], {"LCC", "LMLO"})
    made = built(headers, exam, maker, replace(first_round, remarks=(missing,)))
    assert text(pdf(made, tmp_path)).count("Not received: RMLO.") == 1
    silent = built(headers, exam, maker, first_round)
    with pytest.raises(Unsound, match="does not say 'Not received: RMLO"):
        prove(silent, headers, exam, lightbox_of(headers), remarks=(missing,))


def test_a_long_outcome_stays_on_the_page(
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    tmp_path: Path,
) -> None:
    (one,) = report(
        headers,
        exam,
        maker,
        replace(first_round, given=0.153),
        WANTED,
        lightbox=lightbox_of(headers),
    )
    said = text(pdf(one.dataset, tmp_path)).lower()
    score = "82.5 %, the highest of its parts (as a whole it was given 15.3 %)"
    assert f"cancer score of the exam {score}" in said
    assert f"cancer score of the exam: {score}." in said


def test_qpdf_would_complain(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    path = pdf(built(headers, exam, maker, first_round), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"/Type /Catalog", b"", 1))
    assert subprocess.run(["qpdf", "--check", path], capture_output=True, check=False).returncode


def test_the_same_inputs_make_the_same_bytes(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    once, again = (built(headers, exam, maker, first_round) for _ in range(2))
    assert encoded(once) == encoded(again)


def test_words_with_marks_of_their_own_stay_whole(tmp_path: Path) -> None:
    page = Page()
    page.text(50, 50, r"Zoë (\1) 5 € \ ) 山", 12)
    page.picture(50, 100, 200, Image.new("RGB", (40, 20), (1, 2, 3)))
    path = tmp_path / "page.pdf"
    path.write_bytes(page.document("A page"))
    assert text(path) == r"Zoë (\1) 5 € \ ) ?"
    assert shown(path).getpixel((300, 400)) == (1, 2, 3)


def test_no_line_is_wider_than_its_column() -> None:
    lines = wrapped("WWW mmm " * 40, 200, 9)
    assert len(lines) > 3
    assert " ".join(lines) == ("WWW mmm " * 40).strip()
