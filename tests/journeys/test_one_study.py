"""The whole way of a study: sent by DCMTK, read, reported, delivered into Orthanc, looked at."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import dcmcjpeg, storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MammographyCADSRStorage,
    SegmentationStorage,
)
from running_node import Pacs, RunningNode, running_node
from validators import dciodvfy_errors, dsrdump_errors, pixelmed_errors

from dicom_node.life import State
from dicom_node.reporting.marks import marks, plain_text
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import Study, study

pytestmark = pytest.mark.journey

MALIGNANT = (
    Wanted(kind="mass", malignant=True, side="L"),
    Wanted(kind="mass", malignant=True, side="R"),
)
SEED = 7


@pytest.fixture(scope="module")
def node(orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path_factory.mktemp("node"), [pacs]) as one:
        one.start("up")
        one.wait_until_listening()
        yield one


def sent(node: RunningNode, files: list[Path]) -> None:
    answer = storescu(files, node.port)
    assert answer.returncode == 0, answer.stderr


def results(orthanc: OrthancServer, study_uid: str) -> dict[str, list[Dataset]]:
    found: dict[str, list[Dataset]] = {}
    for one in orthanc.datasets(study_uid):
        found.setdefault(str(one.SOPClassUID), []).append(one)
    return found


def replaced_by(report: Dataset) -> str | None:
    """Return which earlier report this one names as the one it replaces."""
    for study_ in report.get("PredecessorDocumentsSequence", []):
        (series,) = study_.ReferencedSeriesSequence
        (one,) = series.ReferencedSOPSequence
        return str(one.ReferencedSOPInstanceUID)
    return None


@pytest.fixture(scope="module")
def with_lesions(
    node: RunningNode, orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Study, list[Dataset], dict[str, list[Dataset]]]:
    """A study with a mass in each breast, sent uncompressed."""
    made = study(SEED, lesions=MALIGNANT)
    images = datasets(made)
    sent(node, write(images, tmp_path_factory.mktemp("study")))
    study_uid = str(images[0].StudyInstanceUID)
    case = node.wait_for_end(study_uid)
    assert case.state == State.DELIVERED, (case.reason, node.log()[-3000:])
    return made, images, results(orthanc, study_uid)


def test_the_pacs_holds_both_reports_and_the_segmentations(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
) -> None:
    _, images, found = with_lesions
    assert len(found[MammographyCADSRStorage]) == 1
    marked = {mark.sop_instance_uid for mark in marks(found[MammographyCADSRStorage][0])}
    measured = [marks(one) for one in found[ComprehensiveSRStorage]]
    assert len(measured) == len(marked)
    assert {mark.sop_instance_uid for drawn in measured for mark in drawn} == marked
    assert 1 <= len(found[SegmentationStorage]) <= 4
    for one in (one for kind in found.values() for one in kind):
        assert one.StudyInstanceUID == images[0].StudyInstanceUID
        assert one.PatientID == images[0].PatientID


def test_every_validator_finds_no_error_in_what_the_pacs_returns(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]], tmp_path: Path
) -> None:
    _, _, found = with_lesions
    reports = []
    for number, one in enumerate(one for kind in found.values() for one in kind):
        path = tmp_path / f"{number}.dcm"
        one.save_as(path, enforce_file_format=True)
        assert dciodvfy_errors(path) == []
        if one.Modality == "SR":
            assert dsrdump_errors(path) == []
            reports.append(path)
    assert len(reports) == 1 + len(found[ComprehensiveSRStorage])
    assert pixelmed_errors(reports) == []


def test_the_marks_sit_on_the_lesions(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
) -> None:
    made, images, found = with_lesions
    drawn = marks(found[MammographyCADSRStorage][0])
    hit = 0
    for view, image in zip(made.views, images, strict=True):
        centers = [
            mark.points[0]
            for mark in drawn
            if mark.sop_instance_uid == image.SOPInstanceUID and mark.shape == "POINT"
        ]
        for lesion in view.lesions:
            hit += any(
                lesion.left <= column <= lesion.right and lesion.top <= row <= lesion.bottom
                for column, row in centers
            )
    seen = sum(len(view.lesions) for view in made.views)
    assert seen == 4
    assert hit >= 3, f"{hit} of {seen} lesion views are marked"


def test_render_draws_the_same_marks_from_the_spool_and_from_the_pacs(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
    node: RunningNode,
    tmp_path: Path,
) -> None:
    _, images, found = with_lesions
    from_pacs = tmp_path / "pacs"
    from_pacs.mkdir()
    for number, one in enumerate([*images, *found[MammographyCADSRStorage]]):
        one.save_as(from_pacs / f"{number}.dcm", enforce_file_format=True)
    told = []
    for name, out in ((str(images[0].StudyInstanceUID), "a"), (str(from_pacs), "b")):
        answer = node.run("render", name, "--out", str(tmp_path / out), "--json")
        assert answer.returncode == 0, answer.stderr
        told.append(json.loads(answer.stdout))
        assert len(told[-1].pop("pictures")) == 5
    assert told[0] == told[1]
    assert told[0]["drawn"] == len(marks(found[MammographyCADSRStorage][0])) / 2 >= 3


def test_the_report_says_who_made_it_and_that_it_is_for_research(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
) -> None:
    report = with_lesions[2][MammographyCADSRStorage][0]
    text = plain_text(report)
    assert "All algorithms succeeded; with findings" in text
    assert "research use only" in text.lower()
    assert report.Manufacturer == "Four Views"
    assert report.SeriesNumber >= 9000


def test_the_same_study_sent_again_makes_no_second_result(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
    node: RunningNode,
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    _, images, found = with_lesions
    study_uid = str(images[0].StudyInstanceUID)
    before = sum(map(len, found.values()))
    sent(node, write(images, tmp_path))
    events = [event.what for event in node.questions.last_events(30)]
    assert events.count("duplicate received") == 4
    assert len(node.questions.cases_of(study_uid)) == 1
    assert sum(map(len, results(orthanc, study_uid).values())) == before


def test_a_study_without_lesions_yields_a_report_that_says_so(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    made = study(QUIET_SEED, lesions=())
    images = datasets(made)
    sent(node, write(images, tmp_path))
    study_uid = str(images[0].StudyInstanceUID)
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    found = results(orthanc, study_uid)
    assert set(found) == {str(MammographyCADSRStorage)}
    text = plain_text(found[MammographyCADSRStorage][0])
    assert "All algorithms succeeded; without findings" in text


QUIET_SEED = 1002


@pytest.mark.parametrize("how", ["JPEG 2000", "JPEG lossless"])
def test_a_compressed_study_goes_the_whole_way(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path, how: str
) -> None:
    images = datasets(study(SEED, lesions=MALIGNANT), uid_salt=how)
    if how == "JPEG 2000":
        files = write(images, tmp_path, transfer_syntax=JPEG2000Lossless)
    else:
        plain = write(images, tmp_path / "plain", transfer_syntax=ExplicitVRLittleEndian)
        files = [path.parent.parent / path.name for path in plain]
        for source, target in zip(plain, files, strict=True):
            dcmcjpeg(source, target)
    sent(node, files)
    study_uid = str(images[0].StudyInstanceUID)
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    kept = node.questions.images_of(node.questions.cases_of(study_uid)[0])
    wanted = {"JPEG 2000": "1.2.840.10008.1.2.4.90", "JPEG lossless": "1.2.840.10008.1.2.4.70"}
    assert {image.transfer_syntax_uid for image in kept} == {wanted[how]}
    assert MammographyCADSRStorage in results(orthanc, study_uid)


def test_a_late_view_opens_round_two_whose_report_names_its_predecessor(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    images = datasets(study(SEED, lesions=MALIGNANT), uid_salt="late")
    files = write(images, tmp_path)
    study_uid = str(images[0].StudyInstanceUID)
    by_uid = {path.stem: path for path in files}
    ordered = [
        by_uid.get(str(image.SOPInstanceUID), path)
        for image, path in zip(images, files, strict=True)
    ]
    sent(node, ordered[:3])
    first = node.wait_for_end(study_uid)
    assert first.state == State.DELIVERED
    told = " ".join(event.sentence for event in node.questions.events(case_id=first.id))
    assert "quiet for 4 s, without" in told
    sent(node, ordered[3:])
    assert node.wait_for_end(study_uid, 2).state == State.DELIVERED
    found = results(orthanc, study_uid)
    reports = sorted(found[MammographyCADSRStorage], key=lambda one: one.ContentTime)
    assert len(reports) == 2
    assert replaced_by(reports[1]) == reports[0].SOPInstanceUID
    assert "Round 2: replaces the report of round 1. Since round 1: " in plain_text(reports[1])
    measured = {
        (marks(one)[0].sop_instance_uid, int(one.InstanceNumber)): one
        for one in found[ComprehensiveSRStorage]
    }
    firsts = {image_uid: one for (image_uid, round_), one in measured.items() if round_ == 1}
    seconds = {image_uid: one for (image_uid, round_), one in measured.items() if round_ == 2}
    assert firsts.keys() & seconds.keys()
    for image_uid, one in seconds.items():
        before = firsts.get(image_uid)
        assert replaced_by(one) == (before.SOPInstanceUID if before is not None else None)


def test_a_late_image_that_nobody_reads_leaves_the_result_as_it_is(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]],
    node: RunningNode,
    orthanc: OrthancServer,
    tmp_path: Path,
) -> None:
    made, images, found = with_lesions
    study_uid = str(images[0].StudyInstanceUID)
    raw = datasets(made, study_instance_uid=study_uid, for_processing=True, uid_salt="raw, late")
    sent(node, write(raw[:1], tmp_path))
    late = node.wait_for_end(study_uid, 2)
    assert late.state == State.DECLINED
    assert late.reason.startswith("S06")
    assert sum(map(len, results(orthanc, study_uid).values())) == sum(map(len, found.values()))


def test_a_study_that_is_not_for_us_is_declined_with_its_code(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    images = datasets(study(SEED, lesions=()), for_processing=True, uid_salt="raw")
    sent(node, write(images, tmp_path))
    study_uid = str(images[0].StudyInstanceUID)
    case = node.wait_for_end(study_uid)
    assert case.state == State.DECLINED
    assert "I01: this is a For Processing image" in case.reason
    assert orthanc.instances(study_uid) == []


def test_the_workers_that_run_read_the_next_study_with_what_was_activated(
    node: RunningNode, tmp_path: Path
) -> None:
    activated = node.run("models", "activate", "ft_mtl_phantom")
    assert activated.returncode == 0, activated.stderr
    images = datasets(study(SEED, lesions=()), uid_salt="activated")
    sent(node, write(images, tmp_path))
    case = node.wait_for_end(str(images[0].StudyInstanceUID))
    assert case.state == State.DELIVERED
    run = node.questions.run_of(case.id)
    assert run is not None
    assert run.system == "ft_mtl"
    assert node.run("models", "rollback").returncode == 0
    listed = json.loads(node.run("models", "list", "--json").stdout)["bundles"]
    roles = {one["bundle"]: one["role"] for one in listed}
    assert roles["shared_trunk_phantom"] == "active"


def test_the_trace_tells_the_story_and_no_patient(
    with_lesions: tuple[Study, list[Dataset], dict[str, list[Dataset]]], node: RunningNode
) -> None:
    _, images, _ = with_lesions
    told = node.run("trace", str(images[0].StudyInstanceUID)).stdout
    for words in ("ANALYZING -> ANALYZED", "REPORTED -> DELIVERING", "accepted", "pacs has the"):
        assert words in told
    for secret in (str(images[0].PatientID), str(images[0].PatientName)):
        assert secret
        assert secret not in told
        assert secret not in node.log()
