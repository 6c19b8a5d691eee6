"""A device whose exams get other scores than the card knows is told of, and told of once."""

from collections.abc import Callable, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from came_in import received
from ledger_book import Book, reading
from pydicom import Dataset
from rich.console import Console
from sqlalchemy.orm import Session
from tiny_bundles import tiny

from dicom_node.analyzing.imaged import SEVERAL, imaged_by
from dicom_node.analyzing.rules import Judged, JudgedStudy
from dicom_node.ledger.tables import Instance
from dicom_node.life import ANALYZE, State
from dicom_node.settings.file import Settings
from dicom_node.watching.drift import drift_from, drift_told, drifts, sentence, watch_scores
from dicom_node.watching.page.look import status_page as html_page
from dicom_node.watching.page.metrics import metrics
from dicom_node.watching.page.overview import Overview
from dicom_node.watching.pages import status_page
from dicom_node.watching.story import standing
from dicom_node.wiring import Node
from dicom_node.worker import turns
from inference.bundle import Calibration, Reference
from inference.scores import logit_of
from phantom.dicom import datasets
from phantom.study import study

EVEN = Reference(on="tests", exams=500, deciles=[part / 10 for part in range(1, 10)])
SAME, OTHER = "ROOM_1: siemens 000001", "ROOM_2: hologic 000002"


def test_chance_is_no_drift_and_a_shift_is_one() -> None:
    rng = np.random.default_rng(1)
    chance = [drift_from(EVEN, list(rng.random(200))) for _ in range(300)]
    assert max(chance) < 0.25
    assert np.median(chance) < 0.02
    shifted = [drift_from(EVEN, list(rng.random(200) ** 2)) for _ in range(300)]
    assert np.mean(np.array(shifted) > 0.25) > 0.8
    assert drift_from(EVEN, [0.5] * 50) > 1


def test_deciles_that_coincide_make_one_part() -> None:
    tied = EVEN.model_copy(update={"deciles": [0.0, 0.0, 0.0, 0.0, 0.5, 0.6, 0.7, 0.8, 0.9]})
    rng = np.random.default_rng(1)
    assert drift_from(tied, [*rng.random(300) * 0.6 + 0.4, *[0.0] * 200]) < 0.1
    assert drift_from(tied, [0.95] * 200) > 1


@pytest.fixture
def node(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node], tmp_path: Path
) -> Node:
    """Open a node whose bundle knows its scores: from 0 to 1, all equally often."""
    line = Calibration(slope=1.0, intercept=0.0)
    tiny(tmp_path / "bundles" / "tiny", reference=EVEN, calibration=line)
    analyzing = {"bundles": tmp_path / "bundles", "bundle": "tiny", "threads": 1}
    analyzing["accept"] = {"rows_min": 100}
    return opened(settled(analyzing=analyzing, watching={"drift": {"exams": 50, "least": 50}}))


def scored(node: Node, device: str, scores: Sequence[float]) -> int:
    """Let a device's exams have got these scores, the last one the newest; return its case."""
    number = len(node.questions.cases(limit=1000)) + 1
    case_id = Book(node.engine).case_at(State.ANALYZED, f"2.25.{number}")
    with Session(node.engine) as session, session.begin():
        for place, score in reversed(list(enumerate(reversed(scores)))):
            run = reading(case_id)
            run.digest, run.place = node.cards[0].weights_sha256, place
            run.imaged_by, run.raw_score = device, logit_of(score)
            session.add(run)
            session.flush()
    return case_id


def told(node: Node) -> list[str]:
    kinds = ("new device", "scores drift", "scores steady")
    return [one.what for one in node.questions.events() if one.what in kinds]


def test_a_device_that_drifts_is_told_of_once_and_everywhere(node: Node) -> None:
    even = [(part + 0.5) / 50 for part in range(50)]
    scored(node, SAME, even)
    scored(node, OTHER, [0.9] * 49)
    near, few = drifts(node)
    assert (near.device, near.alarm) == (SAME, False)
    assert (few.device, few.drift, few.exams, few.alarm) == (OTHER, None, 49, False)
    last = scored(node, OTHER, [0.9])
    far, near = drifts(node)
    assert (far.device, far.alarm, far.mean) == (OTHER, True, 0.9)
    assert (near.device, near.alarm) == (SAME, False)
    for _ in range(2):
        watch_scores(node, last)
    assert told(node) == ["scores drift"]
    event = node.questions.events()[-1]
    assert event.details["device"] == OTHER
    printed = Console(file=StringIO(), width=200)
    seen = standing(node.questions, 5) | {"bell": "", "drift": drift_told(node)}
    status_page(printed, seen)
    assert f"scores drift {OTHER}: the last 50 exams lie" in printed.file.getvalue()  # type: ignore[attr-defined]
    overview = Overview(node).now()
    assert f'fourviews_score_drift_alarm{{device="{OTHER}",bundle="Tiny 5 0.0.5"}} 1.0' in metrics(
        overview
    )
    assert "Scores drift" in html_page(overview, "me")
    last = scored(node, OTHER, even)
    watch_scores(node, last)
    assert told(node) == ["scores drift", "scores steady"]


def test_a_device_of_few_exams_is_judged_by_its_own_last_ones(node: Node) -> None:
    scored(node, OTHER, [0.9] * 50)
    scored(node, "ROOM_3: ge 000003", [0.5] * 7)
    for _ in range(3):
        scored(node, SAME, [(part + 0.5) / 400 for part in range(400)])
    far, near, few = drifts(node)
    assert (far.device, far.exams, far.alarm) == (OTHER, 50, True), "behind 1200 of another one"
    assert (near.device, near.exams) == (SAME, 50)
    assert sentence(few) == "not judged yet: Tiny 5 0.0.5 has scored 7 exams of the 50 it takes"
    assert [one.device for one in drifts(node, OTHER)] == [OTHER]
    seen = standing(node.questions, 5) | {"bell": "", "drift": drift_told(node)}
    printed = Console(file=StringIO(), width=200)
    status_page(printed, seen)
    assert f"scores of {few.device}: not judged yet" in printed.file.getvalue()  # type: ignore[attr-defined]
    overview = Overview(node).now()
    lines = metrics(overview)
    label = f'{{device="{few.device}",bundle="Tiny 5 0.0.5"}}'
    assert f"fourviews_score_drift_judged{label} 0.0" in lines
    assert f"fourviews_score_drift{label}" not in lines
    assert "<td>7 of 50</td><td>-</td><td>not judged yet</td>" in html_page(overview, "me")


def test_a_study_names_its_device_and_one_never_seen_is_told_of(node: Node, tmp_path: Path) -> None:
    for seed in (71, 72):
        case_id = received(node, datasets(study(seed, pitch_mm=0.8)), tmp_path / str(seed))
        afterwards = turns(node)[ANALYZE](case_id)
        assert afterwards is not None
        afterwards()
    run = node.questions.run_of(case_id)
    assert run is not None
    assert run.imaged_by.startswith("MODALITY: ")
    assert told(node) == ["new device"]


def test_no_word_of_a_header_names_a_device() -> None:
    def of(*makers: str, software: str = "1") -> str:
        images = [Instance(caller="ROOM_1") for _ in makers]
        judged = []
        for maker in makers:
            header = Dataset()
            header.Manufacturer, header.SoftwareVersions = maker, software
            judged.append(Judged(header, None))
        return imaged_by(images, JudgedStudy(tuple(judged), None))

    assert of("SIEMENS Healthineers").startswith("ROOM_1: siemens ")
    assert of("Doe^Jane").startswith("ROOM_1: another maker ")
    assert "Doe" not in of("Doe^Jane")
    assert of("HOLOGIC, Inc.") == of("HOLOGIC, Inc.", "HOLOGIC, Inc.")
    assert of("HOLOGIC, Inc.") != of("HOLOGIC, Inc.", software="2")
    assert of("HOLOGIC, Inc.", "SIEMENS") == SEVERAL
    assert len(of("GENERAL ELECTRIC MEDICAL SYSTEMS" * 2)) <= 64
