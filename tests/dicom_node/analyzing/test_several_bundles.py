"""Several bundles read one study: each reading is kept, and what they agree on is reported."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, MammographyCADSRStorage
from rich.console import Console
from sqlalchemy import select
from sqlalchemy.orm import Session
from tiny_bundles import SHIPPED, tiny
from validators import dciodvfy_errors, dsrdump_errors

from dicom_node.analyzing.analyze import Desk, analyze
from dicom_node.errors import Misconfigured
from dicom_node.ledger.tables import Finding, ModelRun
from dicom_node.life import State
from dicom_node.receiving.keep import Envelope, keep
from dicom_node.reporting.marks import marks, plain_text
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.turn import report
from dicom_node.settings.file import Settings
from dicom_node.watching.checkup import checkup
from dicom_node.watching.pages import status_page, story_page
from dicom_node.watching.story import standing, story
from dicom_node.wiring import Node
from inference.bundle import (
    WEIGHTS,
    Calibration,
    OperatingPoint,
    load_card,
    save_card,
)
from inference.findings import ExamFindings
from inference.scores import logit_of, sigmoid, told
from inference.transcript import unpack
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

MASS = Wanted("mass", malignant=True, side="L", shape="spiculated")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold the shipped bundle, a twin of it that is calmer and less certain, and a tiny one."""
    folder = tmp_path_factory.mktemp("bundles")
    card = load_card(SHIPPED)
    shutil.copytree(SHIPPED, folder / "first")
    shutil.copytree(SHIPPED, folder / "calm")
    assert card.calibration is not None
    calmer = Calibration(slope=card.calibration.slope / 2, intercept=-1.0)
    changes = {"version": "1.0.1", "default_operating_point": "quiet", "calibration": calmer}
    save_card(folder / "calm", card.model_copy(update=changes))
    tiny(folder / "tiny", name="Tiny", version="0.0.1")
    return folder


@pytest.fixture(scope="module")
def images() -> list[Dataset]:
    return datasets(study(31_001, lesions=[MASS]))


@pytest.fixture
def reading(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node], home: Path
) -> Callable[..., Node]:
    """Open a node that reads with these bundles."""

    def make(*names: str, **analyzing: Any) -> Node:  # noqa: ANN401 - any setting
        tables = {"bundle": list(names), "bundles": home, "threads": 1, **analyzing}
        return opened(settled(analyzing=tables))

    return make


def received(node: Node, images: Sequence[Dataset], folder: Path) -> int:
    """Bring a study to where it waits to be read."""
    for path, image in zip(write(images, folder), images, strict=True):
        arrived = node.spool.incoming / path.name
        shutil.copy(path, arrived)
        syntax, sop_class = str(ExplicitVRLittleEndian), str(image.SOPClassUID)
        envelope = Envelope(None, "MG1", "1.2.3.4", sop_class, str(image.SOPInstanceUID), syntax)
        assert keep(node.ledger, node.spool, arrived, envelope)
    (case,) = node.questions.cases_of(str(images[0].StudyInstanceUID))
    node.ledger.move(case.id, State.RECEIVING, State.RECEIVED)
    return case.id


def read(node: Node, case_id: int) -> None:
    desk = Desk(
        node.ledger, node.questions, node.spool, node.settings, lambda: node.analyzers, "test"
    )
    analyze(desk, case_id)


def rows(node: Node, table: type[ModelRun] | type[Finding]) -> list[Any]:
    with Session(node.engine) as session:
        return list(session.scalars(select(table).order_by(table.id)))


def printed(page: Callable[[Console, dict[str, Any]], None], told: dict[str, Any]) -> str:
    paper = StringIO()
    page(Console(file=paper, width=300), told)
    return paper.getvalue()


@pytest.fixture(scope="module")
def three(
    home: Path, images: list[Dataset], blank_ledger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, int]]:
    """Let three bundles read a study."""
    folder = tmp_path_factory.mktemp("three")
    tables = {"bundle": ["first", "calm", "tiny"], "bundles": home, "threads": 1}
    node = Node(Settings.model_validate({"node": {"data": folder}, "analyzing": tables}))
    shutil.copy(blank_ledger, folder / "ledger.sqlite")
    case_id = received(node, images, folder / "images")
    read(node, case_id)
    yield node, case_id
    node.engine.dispose()


def readings(node: Node, case_id: int) -> tuple[ModelRun, Sequence[ModelRun]]:
    said = node.questions.run_of(case_id)
    assert said is not None
    return said, node.questions.members_of(case_id)


def transcript(node: Node, run: ModelRun) -> ExamFindings:
    return unpack(node.spool.read(run.findings_path, run.findings_sha256))


def test_every_reading_is_kept_and_so_is_what_they_agree_on(three: tuple[Node, int]) -> None:
    node, case_id = three
    said, members = readings(node, case_id)
    assert (said.system, said.bundle) == ("agreement", "3 bundles")
    assert said.version == "1.0.0+1.0.1+0.0.1"
    assert said.operating_point == "balanced+quiet+balanced"
    assert [run.system for run in members] == ["shared_trunk", "shared_trunk", "all_conv"]
    assert [run.place for run in members] == [1, 2, 3]
    assert len(rows(node, ModelRun)) == 4
    assert members[0].digest == members[1].digest != members[2].digest
    assert members[1].findings_count <= members[0].findings_count
    assert members[2].findings_count == 0
    for run in (said, *members):
        assert len(transcript(node, run).findings) == run.findings_count


def test_what_stands_at_each_other_operating_point_is_kept_too(three: tuple[Node, int]) -> None:
    node, case_id = three
    said, _ = readings(node, case_id)
    assert set(said.elsewhere) == set(node.cards[0].operating_points)
    found = {
        point: unpack(node.spool.read(kept["path"], kept["sha256"]))
        for point, kept in said.elsewhere.items()
    }
    assert [exam.operating_point for exam in found.values()] == list(found)
    counts = [len(found[point].findings) for point in ("quiet", "balanced", "sensitive")]
    assert counts == sorted(counts)
    assert counts[-1] > 0
    assert {exam.cancer_score for exam in found.values()} == {kept(node, said).cancer_score}


def kept(node: Node, run: ModelRun) -> ExamFindings:
    """Read the transcript of a reading."""
    return unpack(node.spool.read(run.findings_path, run.findings_sha256))


def test_the_scores_agree_and_their_distance_is_kept(three: tuple[Node, int]) -> None:
    node, case_id = three
    said, members = readings(node, case_id)
    scores = [kept(node, run).cancer_score for run in members]
    logits = [logit_of(score) for score in scores if score is not None]
    assert len(logits) == 3
    agreed = kept(node, said)
    assert agreed.cancer_score == pytest.approx(sigmoid(sum(logits) / 3))
    # What is told of an exam is no less than what is told of a part of it.
    assert said.cancer_score == told(agreed)
    assert said.card_score == said.cancer_score
    assert [run.raw_score is None for run in (said, *members)] == [True, False, False, False]
    assert said.uncertainty == pytest.approx(float(np.std(logits)))
    assert said.uncertainty > 0.1
    assert all(run.uncertainty is None for run in members)
    assert [member.cancer_score for member in transcript(node, said).members] == scores


def test_what_both_twins_saw_names_both_and_stands_once(three: tuple[Node, int]) -> None:
    node, case_id = three
    said, members = readings(node, case_id)
    found = transcript(node, said).findings
    twins = ("shared_trunk (1)", "shared_trunk (2)")
    assert {name for one in found for name in one.systems} == set(twins)
    assert sum(one.systems == twins for one in found) == members[1].findings_count > 0
    assert len(found) == members[0].findings_count, "the calm twin marks what the other marks too"
    for row, one in zip(rows(node, Finding), found, strict=True):
        assert (row.systems, row.uncertainty) == (",".join(one.systems), one.uncertainty)


def test_trace_and_status_show_who_read(three: tuple[Node, int]) -> None:
    node, case_id = three
    case = node.questions.case(case_id)
    assert case is not None
    told = json.loads(json.dumps(story(node.questions, case, node.settings)))
    systems = [member["system"] for member in told["reading"]["members"]]
    assert systems == ["shared_trunk", "shared_trunk", "all_conv"]
    page = printed(story_page, told)
    assert "read by 3 bundles 1.0.0+1.0.1+0.0.1 (agreement), weights " in page
    assert "\n  Tiny 0.0.1 (all_conv), weights " in page
    told = standing(node.questions, 5) | {"bell": ""}
    who = "shared_trunk 1.0.0, shared_trunk 1.0.1, all_conv 0.0.1"
    assert told["newest"][0]["read_by"] == who
    assert who in printed(status_page, told)


def test_the_report_tells_a_radiologist_who_saw_what(three: tuple[Node, int]) -> None:
    node, case_id = three
    report(Workshop(node.ledger, node.questions, node.spool, node.settings, "test"), case_id)
    (cad,) = (
        one
        for one in node.questions.products_of(case_id)
        if one.sop_class_uid == MammographyCADSRStorage
    )
    path = node.spool.path(cad.path)
    assert dciodvfy_errors(path) == []
    assert dsrdump_errors(path) == []
    dataset = dcmread(path)
    words = plain_text(dataset)
    assert "Agreement of shared_trunk (1) 1.0.0 at operating point balanced, " in words
    assert "masses (shared_trunk (1), shared_trunk (2)) and calcifications (shared_" in words
    assert "marked by 2 of 2 that look for masses (shared_trunk (1) " in words
    found = transcript(node, readings(node, case_id)[0]).findings
    assert len({mark.tracking_uid for mark in marks(dataset)}) == len(found)


def test_two_nodes_with_the_same_bundles_make_the_same_objects(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    home: Path,
    images: list[Dataset],
    tmp_path: Path,
) -> None:
    tables = {"bundle": ["first", "tiny"], "bundles": home, "threads": 1}
    made = []
    for name, point in (("one", ""), ("other", ""), ("quiet", "quiet")):
        analyzing = tables | {"operating_point": point}
        node = opened(settled(node={"data": tmp_path / name}, analyzing=analyzing))
        case_id = received(node, images[1:2], tmp_path / "images")
        read(node, case_id)
        report(Workshop(node.ledger, node.questions, node.spool, node.settings, "test"), case_id)
        run, products = node.questions.run_of(case_id), node.questions.products_of(case_id)
        assert run is not None
        made.append((run.digest, run.findings_sha256, [one.sop_uid for one in products]))
    assert len(made[0][2]) == 3
    assert made[0] == made[1]
    assert made[0][0] == made[2][0], "the weights are the same"
    assert not set(made[0][2]) & set(made[2][2]), "another operating point, other objects"


def test_one_bundle_reads_alone(
    reading: Callable[..., Node], images: list[Dataset], tmp_path: Path
) -> None:
    node = reading("tiny")
    case_id = received(node, images[:1], tmp_path / "images")
    read(node, case_id)
    (run,) = rows(node, ModelRun)
    assert (run.place, run.system, run.bundle, run.uncertainty) == (0, "all_conv", "Tiny", None)
    assert node.questions.members_of(case_id) == []
    case = node.questions.case(case_id)
    assert case is not None
    assert "0 findings in 1 views, score " in case.reason
    assert standing(node.questions, 5)["newest"][0]["read_by"] == "all_conv 0.0.1"
    assert story(node.questions, case, node.settings)["reading"]["members"] == []


def soundness(node: Node) -> tuple[bool, str]:
    answer = next(one for one in checkup(node) if one.question == "is the bundle sound?")
    return answer.good, answer.sentence


def test_check_looks_at_every_bundle(reading: Callable[..., Node], home: Path) -> None:
    good, said = soundness(reading("first", "calm", "tiny"))
    assert good
    assert "phantom 1.0.0 (shared_trunk), weights " in said
    assert "phantom 1.0.1 (shared_trunk), weights " in said
    assert "Tiny 0.0.1 (all_conv), weights " in said
    good, said = soundness(reading("first", "frist", "nobody"))
    assert not good
    assert said.splitlines() == [
        f"{home / name} is no bundle: it has no card.toml; bundles in {home}: calm, first, tiny"
        for name in ("frist", "nobody")
    ]
    with pytest.raises(Misconfigured, match="has no operating point 'best'"):
        assert reading("first", "tiny", operating_point="best").cards


def test_bundles_whose_names_together_fit_no_report_are_refused(
    reading: Callable[..., Node], home: Path
) -> None:
    card = load_card(home / "tiny")
    point = {"p" * 40: OperatingPoint(finding_score=0.5, chosen_for="tests")}
    for name, letter in (("long_one", "a"), ("long_two", "b")):
        (home / name).mkdir()
        shutil.copy(home / "tiny" / WEIGHTS, home / name)
        changes = {"version": letter * 40, "operating_points": card.operating_points | point}
        save_card(home / name, card.model_copy(update=changes))
    try:
        with pytest.raises(Misconfigured, match=r"the versions of the bundles are a{40}\+b{40}"):
            assert reading("long_one", "long_two").cards
        with pytest.raises(Misconfigured) as refused:
            assert reading("long_one", "long_two", operating_point="p" * 40).cards
        assert len(refused.value.faults) == 1, "one point for all is named once"
    finally:
        shutil.rmtree(home / "long_one")
        shutil.rmtree(home / "long_two")
