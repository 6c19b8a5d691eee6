"""Bundles that read along: after the result, on record, compared, and never reported."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from came_in import received
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from tiny_bundles import proven, tiny

from dicom_node.doorbell import Bell
from dicom_node.errors import NotYourTurn
from dicom_node.ledger.ledger import STRIKES, now
from dicom_node.ledger.tables import ModelRun, ShadowRun
from dicom_node.life import ANALYZE, REPORT, State
from dicom_node.models.choosing import activate
from dicom_node.models.comparing import met
from dicom_node.models.shelf import shelf
from dicom_node.settings.file import Settings
from dicom_node.tending import sweep_once
from dicom_node.watching.recompute import recompute
from dicom_node.wiring import Node
from dicom_node.worker import turns
from inference.analyzer import Analyzer
from inference.bundle import WEIGHTS, load_card
from phantom.dicom import datasets
from phantom.study import study


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hold one that reads, one that reads along, and one that is damaged."""
    folder = tmp_path_factory.mktemp("bundles")
    for seed, name in enumerate(("reads", "along", "damaged"), start=1):
        tiny(folder / name, seed)
    proven(folder / "along")
    (folder / "damaged" / WEIGHTS).write_bytes(b"nothing")
    return folder


@pytest.fixture
def node(settled: Callable[..., Settings], opened: Callable[[Settings], Node], home: Path) -> Node:
    analyzing = {
        "bundles": home,
        "bundle": "reads",
        "shadow": ["along", "damaged"],
        "threads": 1,
        "accept": {"rows_min": 100},
    }
    destination = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 1}
    return opened(settled(analyzing=analyzing, delivering={"destinations": [destination]}))


def test_a_shadow_reads_after_the_result_and_is_reported_to_nobody(
    node: Node, home: Path, tmp_path: Path
) -> None:
    work = turns(node)
    case_id = received(node, datasets(study(61, pitch_mm=0.8)), tmp_path / "study")
    afterwards = work[ANALYZE](case_id)
    case = node.questions.case(case_id)
    assert case is not None
    assert case.state == State.ANALYZED, "the result does not wait for it"
    assert afterwards is not None
    afterwards()
    with Session(node.engine) as session:
        (run,) = session.scalars(select(ShadowRun)).all()
    assert (run.case_id, run.version, run.failure) == (case_id, "0.0.2", "")
    assert run.cancer_score is not None
    assert run.digest == load_card(home / "along").weights_sha256
    events = node.questions.events(case_id=case_id)
    assert events[-1].what == "read in shadow"
    refused = [one for one in node.questions.events() if one.what == "model refused"]
    assert [one.details["bundle"] for one in refused] == ["damaged"], "left out, and on record"
    work[REPORT](case_id)
    products = node.questions.products_of(case_id)
    written = [node.spool.path(one.path).read_bytes() for one in products]
    assert written
    assert not any(run.digest.encode() in one or b"Tiny 2" in one for one in written)
    assert node.questions.members_of(case_id) == []
    cards = [load_card(home / name) for name in ("reads", "along")]
    rows = {row["what"]: row["one"] for row in met(node.questions, *cards)}
    assert rows["cases here that both read"] == "1"
    reported = node.questions.run_of(case_id)
    assert reported is not None
    assert reported.cancer_score is not None
    of_another_card(node, case_id, "0" * 64)
    (said,) = recompute(node, case).differences
    assert said == "the card of Tiny 1 is another one: it makes other scores of its weights"
    of_another_card(node, case_id, reported.scale)
    activate(node.settings, node.ledger, ["along"], "me@here")
    node.models.look()
    again = recompute(node, case)
    assert again.objects == len(written)
    assert again.differences == (), "by whoever read it then"
    apart = abs(reported.cancer_score - run.cancer_score)
    assert rows["scores apart, mean"] == f"{apart:.3f}"


def test_a_shadow_that_fails_is_on_record_and_harms_nobody(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("Doe^Jane")

    monkeypatch.setattr(Analyzer, "analyze", fails)
    case_id = received(node, datasets(study(62, pitch_mm=0.8)), tmp_path / "study")
    afterwards = turns(node)[ANALYZE](case_id)
    assert afterwards is not None
    afterwards()
    with Session(node.engine) as session:
        (run,) = session.scalars(select(ShadowRun)).all()
    assert run.failure.startswith("ZeroDivisionError at ")
    case = node.questions.case(case_id)
    assert case is not None
    assert case.state == State.ANALYZED
    assert not any("Doe" in one.sentence for one in node.questions.events())


def test_a_reading_whose_worker_was_lost_comes_back_once(node: Node, tmp_path: Path) -> None:
    work, bell = turns(node), Bell(node.settings)
    case_id = received(node, datasets(study(63, pitch_mm=0.8)), tmp_path / "study")
    never = work[ANALYZE](case_id)  # and its worker is killed
    work[REPORT](case_id)
    assert [run.failure for run in runs(node)] == ["not read yet"]
    with pytest.raises(NotYourTurn):
        work[ANALYZE](case_id)
    sweep_once(node)
    assert bell.waiting(ANALYZE) == 0, "who reads along may be at it still"
    overdue(node)
    for _ in range(2):
        sweep_once(node)
        assert bell.waiting(ANALYZE) == 1, "one ring is enough, and none while a study waits"
    assert work[ANALYZE](case_id) is None
    (run,) = runs(node)
    assert (run.failure, run.due_at) == ("", None)
    assert run.cancer_score is not None
    assert never is not None
    never()  # it stood still, and goes on
    assert len(runs(node)) == 1
    events = [one for one in node.questions.events() if one.what == "read in shadow"]
    assert len(events) == 1
    case = node.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (State.REPORTED, 0), "its way was not touched"
    with pytest.raises(NotYourTurn):
        work[ANALYZE](case_id)


def test_a_reading_that_loses_its_worker_again_and_again_is_given_up(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise SystemExit

    case_id = received(node, datasets(study(64, pitch_mm=0.8)), tmp_path / "study")
    work = turns(node)
    work[ANALYZE](case_id)
    monkeypatch.setattr(Analyzer, "analyze", dies)
    for _ in range(STRIKES - 1):
        overdue(node)
        with pytest.raises(SystemExit):
            work[ANALYZE](case_id)
    overdue(node)
    with pytest.raises(NotYourTurn):
        work[ANALYZE](case_id)
    (run,) = runs(node)
    assert (run.failure, run.due_at) == ("not read in 3 attempts", None)
    assert node.questions.events(case_id=case_id)[-1].what == "read in shadow"


def of_another_card(node: Node, case_id: int, scale: str) -> None:
    with node.ledger.writing() as session:
        session.execute(update(ModelRun).where(ModelRun.case_id == case_id).values(scale=scale))


def runs(node: Node) -> Sequence[ShadowRun]:
    with Session(node.engine) as session:
        return session.scalars(select(ShadowRun)).all()


def overdue(node: Node) -> None:
    with node.ledger.writing() as session:
        session.execute(update(ShadowRun).values(due_at=now()))


def test_who_is_activated_reads_along_no_more(node: Node) -> None:
    assert node.cards
    assert [one.card.version for one in node.models.shadows] == ["0.0.2"]
    activate(node.settings, node.ledger, ["along"], "me@here")
    node.models.look()
    assert node.models.shadows == ()
    roles = {one.name: one.role for one in shelf(node.settings, lambda: node.engine)}
    assert roles == {"along": "active", "damaged": "shadow", "reads": "before"}
