"""What other people's validators say of our objects: nothing."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import validators
from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import uid
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.report import KINDS, Built, report
from inference.findings import ExamFindings

REPORTS = ("cad_sr", "measurement_report")


def files(folder: Path, built: Sequence[Built]) -> list[tuple[str, Path]]:
    found = []
    for number, each in enumerate(built):
        path = folder / f"{number}-{each.kind}.dcm"
        path.write_bytes(encoded(each.dataset))
        found.append((each.kind, path))
    return found


def complaints(found: Sequence[tuple[str, Path]]) -> list[str]:
    return [
        *(line for _, path in found for line in validators.dciodvfy_errors(path)),
        *(
            line
            for kind, path in found
            if kind in REPORTS
            for line in validators.dsrdump_errors(path)
        ),
    ]


@pytest.fixture
def second_round(first_round: Circumstances) -> Circumstances:
    before = Predecessor(MammographyCADSRStorage, uid("before"), uid("series before"), 1)
    return Circumstances(2, first_round.made_at, before, 1)


def test_dciodvfy_and_dcmtk_accept_a_second_round(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    second_round: Circumstances,
) -> None:
    found = files(tmp_path, report(headers, exam, maker, second_round, KINDS))
    assert len(found) == 5
    assert complaints(found) == []


def test_dciodvfy_and_dcmtk_accept_a_report_without_findings(
    tmp_path: Path,
    headers: list[Dataset],
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    found = files(tmp_path, report(headers, clear_exam, maker, first_round, KINDS))
    assert len(found) == 1
    assert complaints(found) == []


def test_dciodvfy_and_dcmtk_accept_what_was_not_looked_for_or_not_judged(
    tmp_path: Path,
    headers: list[Dataset],
    masses_only: ExamFindings,
    scored_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = [
        each
        for exam in (masses_only, scored_only)
        for each in report(headers, exam, maker, first_round, KINDS)
    ]
    assert [each.kind for each in built].count("cad_sr") == 2
    assert complaints(files(tmp_path, built)) == []


def test_pixelmed_accepts_a_report_of_scores_alone(
    tmp_path: Path,
    headers: list[Dataset],
    scored_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = report(headers, scored_only, maker, first_round, frozenset(REPORTS))
    ((_, path),) = files(tmp_path, built)
    assert validators.pixelmed_errors([path]) == []


def test_pixelmed_accepts_reports_with_findings(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    second_round: Circumstances,
) -> None:
    # A mass and a calcification in one view: PixelMed's time grows with the tree.
    one_view = replace(exam, views=exam.views[1:2])
    built = report(headers, one_view, maker, second_round, frozenset(REPORTS))
    paths = [path for _, path in files(tmp_path, built)]
    assert len(paths) == 2
    assert validators.pixelmed_errors(paths) == []


@pytest.mark.slow
def test_pixelmed_accepts_a_whole_exam_and_one_without_findings(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = [
        *report(headers, exam, maker, first_round, frozenset(REPORTS)),
        *report(headers, clear_exam, maker, first_round, frozenset(REPORTS)),
    ]
    paths = [path for _, path in files(tmp_path, built)]
    assert len(paths) == 4
    assert validators.pixelmed_errors(paths) == []


def test_the_reports_in_old_codes(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    profile = Profile(codes="SRT", short_meanings=True)
    built = report(headers, exam, maker, first_round, KINDS, profile)
    assert complaints(files(tmp_path, built)) == []


def test_the_reports_of_headers_that_say_little(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    for header in headers:
        header.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        header.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
        for keyword in ("AccessionNumber", "PatientBirthDate", "ReferringPhysicianName"):
            del header[keyword]
        for keyword in ("PatientOrientation", "ImagerPixelSpacing", "Manufacturer", "StudyTime"):
            del header[keyword]
        header.FrameOfReferenceUID = uid("frame of reference")
    found = files(tmp_path, report(headers, exam, maker, first_round, KINDS))
    assert len(found) == 5
    assert complaints(found) == []


@pytest.mark.slow
def test_pixelmed_accepts_masses_without_calcifications_or_a_judgment(
    tmp_path: Path,
    headers: list[Dataset],
    masses_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = report(headers, masses_only, maker, first_round, frozenset(REPORTS))
    paths = [path for _, path in files(tmp_path, built)]
    assert len(paths) == 3
    assert validators.pixelmed_errors(paths) == []


@pytest.mark.slow
def test_pixelmed_would_complain(
    tmp_path: Path,
    headers: list[Dataset],
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = report(headers, clear_exam, maker, first_round, frozenset(REPORTS))
    built[0].dataset.ContentSequence.pop(0)
    ((_, path),) = files(tmp_path, built)
    assert validators.pixelmed_errors([path])


def test_dciodvfy_and_dcmtk_would_complain(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    built = report(headers, exam, maker, first_round, frozenset({"cad_sr"}))
    dataset = built[0].dataset
    del dataset.CurrentRequestedProcedureEvidenceSequence
    dataset.ContentSequence.pop(0)
    ((_, path),) = files(tmp_path, built)
    assert validators.dciodvfy_errors(path)
    assert validators.dsrdump_errors(path)


@pytest.mark.slow
def test_many_reports_at_once_are_judged_as_pixelmed_judges_each(
    tmp_path: Path,
    headers: list[Dataset],
    exam: ExamFindings,
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    one_view = replace(exam, views=exam.views[1:2])
    built = [
        *report(headers, one_view, maker, first_round, frozenset(REPORTS)),
        *report(headers, clear_exam, maker, first_round, frozenset(REPORTS)),
    ]
    for each in built[:2]:
        each.dataset.ContentSequence.pop(1)
    paths = [path for _, path in files(tmp_path, built)]
    at_once = validators.pixelmed_says(paths)
    # One with complaints, one without: each alone takes Java ten seconds.
    alone = {path: validators.pixelmed_says_alone(path) for path in paths[1:]}
    assert alone == {path: at_once[path] for path in paths[1:]}
    assert [bool(lines) for lines in at_once.values()] == [True, True, False]
