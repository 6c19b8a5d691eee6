"""A view comes late, a result is recalled, the study is read again: as the PACS sees it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage, MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node
from validators import dciodvfy_errors, dsrdump_errors, pixelmed_errors

from dicom_node.life import State
from dicom_node.reporting.marks import marks, name_value, plain_text
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASSES = (
    Wanted(kind="mass", malignant=True, side="L"),
    Wanted(kind="mass", malignant=True, side="R"),
)


@pytest.fixture(scope="module")
def node(orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path_factory.mktemp("node"), [pacs]) as one:
        one.start("up")
        one.wait_until_listening()
        yield one


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four views of a study with a mass in each breast."""
    return write(datasets(study(7, lesions=MASSES)), tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def study_uid() -> str:
    return str(datasets(study(7, lesions=MASSES))[0].StudyInstanceUID)


def sent(node: RunningNode, files: list[Path]) -> None:
    answer = storescu(files, node.port)
    assert answer.returncode == 0, answer.stderr


def of_round(orthanc: OrthancServer, study_uid: str, round_: int) -> list[Dataset]:
    """Return what a round sent, by its series numbers."""
    return [
        one
        for one in orthanc.datasets(study_uid)
        if 9000 <= one.SeriesNumber - 1000 * (round_ - 1) < 10000
    ]


def report_of(orthanc: OrthancServer, study_uid: str, round_: int) -> Dataset:
    found = of_round(orthanc, study_uid, round_)
    (report,) = [one for one in found if one.SOPClassUID == MammographyCADSRStorage]
    return report


def names(report: Dataset) -> dict[str, str]:
    return {mark.tracking_id: mark.tracking_uid for mark in marks(report)}


@pytest.fixture(scope="module")
def two_rounds(
    node: RunningNode, orthanc: OrthancServer, files: list[Path], study_uid: str
) -> tuple[Dataset, Dataset]:
    sent(node, files[:3])
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    sent(node, files[3:])
    assert node.wait_for_end(study_uid, 2).state == State.DELIVERED
    return report_of(orthanc, study_uid, 1), report_of(orthanc, study_uid, 2)


def test_a_late_view_makes_a_report_that_names_its_predecessor_and_says_what_is_new(
    two_rounds: tuple[Dataset, Dataset],
) -> None:
    first, second = two_rounds
    former = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert former.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    new = sorted(set(names(second)) - set(names(first)))
    assert new
    plural = "" if len(new) == 1 else "s"
    words = plain_text(second)
    assert "Round 2: replaces the report of round 1." in words
    said = re.search(r"Since round 1: (\w+) added; (\d+) findings? new \(([^)]*)\)", words)
    assert said is not None, words
    late, count, listed = said.groups()
    assert (int(count), sorted(listed.split(", "))) == (len(new), new), plural
    assert all(name.startswith(late) for name in new)


def test_lesions_keep_their_names_over_the_rounds(two_rounds: tuple[Dataset, Dataset]) -> None:
    first, second = map(names, two_rounds)
    assert first
    assert {name: second.get(name) for name in first} == first


def test_a_recalled_round_is_rejected_in_the_pacs_and_read_again_as_another(
    node: RunningNode,
    orthanc: OrthancServer,
    two_rounds: tuple[Dataset, Dataset],
    study_uid: str,
    tmp_path: Path,
) -> None:
    objects = of_round(orthanc, study_uid, 2)
    answer = node.run("recall", study_uid, "--round", "2", "--reason", "113001")
    assert answer.returncode == 0, answer.stderr
    assert "round 2, is recalled (113001, Rejected for Quality Reasons); pacs will be told" in (
        answer.stdout
    )
    node.wait_until(
        lambda: (case := node.case(study_uid, 2)) is not None and case.state == State.DELIVERED,
        "the note delivered",
    )
    (note,) = [
        one
        for one in of_round(orthanc, study_uid, 2)
        if one.SOPClassUID == KeyObjectSelectionDocumentStorage
    ]
    assert name_value(note) == ("113001", "DCM")
    evidence = [
        (series.SeriesInstanceUID, one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID)
        for series in note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    assert sorted(evidence) == sorted(
        (one.SeriesInstanceUID, one.SOPClassUID, one.SOPInstanceUID) for one in objects
    )
    path = tmp_path / "note.dcm"
    note.save_as(path, enforce_file_format=True)
    assert dciodvfy_errors(path) == []
    assert dsrdump_errors(path) == []
    assert pixelmed_errors([path]) == []
    told = node.run("trace", study_uid).stdout
    assert told.count("RECALLED ") == 1
    assert node.run("recall", study_uid, "--round", "2").returncode == 1

    answer = node.run("retry", study_uid)
    assert "was recalled: round 3 reads the study again" in answer.stdout
    assert node.wait_for_end(study_uid, 3).state == State.DELIVERED
    third = report_of(orthanc, study_uid, 3)
    former = third.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    first, second = two_rounds
    assert former.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    words = plain_text(third)
    assert "The result of round 2 was recalled: Rejected for Quality Reasons." in words
    assert "Since round 1: " in words
    assert names(third) == names(second), "the same lesions, whatever was recalled"
    uids = {one.SOPInstanceUID for one in of_round(orthanc, study_uid, 3)}
    assert not uids & {one.SOPInstanceUID for one in objects}
