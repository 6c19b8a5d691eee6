"""A result is computed again from its record, in another process, and the same comes out."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from came_in import received
from sqlalchemy import update

from dicom_node.ledger.tables import ModelRun
from dicom_node.life import ANALYZE, REPORT
from dicom_node.settings.file import load_settings
from dicom_node.shipped import shipped
from dicom_node.wiring import Node, migrate
from dicom_node.worker import turns
from inference.bundle import load_card
from phantom.dicom import datasets
from phantom.study import study

FIRST_SEED = 52_000
# What steers a score stands with the result: it is repeated although the settings are other ones.
CARD = load_card(shipped("bundles") / "shared_trunk_phantom")
STEERED = f"""
[[analyzing.points]]
manufacturer = "*"
operating_point = "sensitive"
[[analyzing.calibrations]]
digest = "{CARD.weights_sha256}"
scale = "{CARD.scale("sensitive")}"
slope = 0.5
intercept = -1.0
"""


def _settings(folder: Path) -> str:
    reads = 'bundle = "shared_trunk_phantom"\nthreads = 1'
    return f'[node]\ndata = "{folder / "data"}"\n[analyzing]\n{reads}\n'


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Make a node with a settings file of its own, as another process needs it."""
    config = tmp_path / "node.toml"
    config.write_text(_settings(tmp_path) + STEERED)
    node = Node(load_settings(config))
    migrate(node)
    return node


def reported(node: Node, seed: int, folder: Path) -> int:
    """Receive a study, read it, and build its objects."""
    case_id = received(node, datasets(study(seed)), folder / str(seed))
    work = turns(node)
    work[ANALYZE](case_id)
    work[REPORT](case_id)
    return case_id


def recomputed(folder: Path, case_ids: list[int]) -> tuple[int, list[dict[str, object]]]:
    """Ask a process of its own."""
    names = [str(case_id) for case_id in case_ids]
    command = [sys.executable, "-m", "dicom_node", "audit", "recompute", "--json", *names]
    config = str(folder / "node.toml")
    done = subprocess.run(
        command,
        env={**os.environ, "FOURVIEWS_CONFIG": config, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_A7_results_are_recomputed_from_their_records(
    node: Node,
    tmp_path: Path,
    at_length: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    count = at_length(1, 20)
    cases = [reported(node, FIRST_SEED + number, tmp_path) for number in range(count)]
    (tmp_path / "node.toml").write_text(_settings(tmp_path))
    status, told = recomputed(tmp_path, cases)
    equal = [one for one in told if not one["differences"]]
    objects = sum(int(str(one["objects"])) for one in told)
    figure(f"{len(equal)} of {count} equal: findings, and {objects} objects byte for byte")
    assert len(equal) == len(told) == count
    assert status == 0
    assert objects > 2 * count
    for case_id in cases:
        run = node.questions.run_of(case_id)
        assert run is not None
        moves = {one.to_state: one for one in node.questions.events(case_id=case_id)}
        built = {one["sha256"] for one in moves["REPORTED"].details["built"]}
        assert built == {row.sha256 for row in node.questions.products_of(case_id)}
        named = moves["ANALYZED"].details
        assert named["system"] == run.system
        assert named["version"] == run.version
        assert named["digest"] == run.digest
        assert named["operating_point"] == run.operating_point == "sensitive"
        assert named["scale"] == run.scale == CARD.scale("sensitive")
        assert [one["intercept"] for one in named["correction"] if one] == [-1.0]
        assert run.card_score != run.cancer_score == named["cancer_score"]
        assert run.raw_score is not None
        assert all(0 < float(one) < 1 for one in named["thresholds"].values())
        assert node.questions.events(case_id=case_id)[-1].what == "recomputed"
    _a_record_that_is_not_what_the_bundle_saw_is_told(node, tmp_path, cases[0])
    node.engine.dispose()


def _a_record_that_is_not_what_the_bundle_saw_is_told(
    node: Node, tmp_path: Path, case_id: int
) -> None:
    run = node.questions.run_of(case_id)
    assert run is not None
    content = json.loads(node.spool.read(run.findings_path, run.findings_sha256))
    content["cancer_score"] = 0.123
    digest = node.spool.write("cases/other.json", json.dumps(content).encode())
    with node.ledger.writing() as session:
        change = update(ModelRun).where(ModelRun.case_id == case_id)
        session.execute(change.values(findings_path="cases/other.json", findings_sha256=digest))
    status, (told,) = recomputed(tmp_path, [case_id])
    assert status == 1
    assert "the reading of" in str(told["differences"])
    assert "is another one" in node.questions.events(case_id=case_id)[-1].sentence
