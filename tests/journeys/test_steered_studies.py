"""A modality with bad habits, a site's own rule, and somebody who holds a study and lets it go."""

import time
from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import State
from dicom_node.reporting.marks import plain_text
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

OWN_RULE = """
[analyzing.accept]
rows_min = 300
[[analyzing.accept.rules]]
name = "training-device"
tag = "StationName"
one_of = ["CLASSROOM"]
do = "decline"
why = "this device is for teaching"
"""
RULED = "training-device: this device is for teaching"
GRACE, SWEEP = 1.0, 1.0  # seconds, of a node that runs in tests


def settle(node: RunningNode, study_uid: str, wish: str, *, status: int = 0) -> str:
    """Say what becomes of a study, as an administrator does."""
    said = node.run("settle", study_uid, wish)
    assert said.returncode == status, said.stdout + said.stderr
    return said.stdout + said.stderr


def test_a_study_is_held_while_a_bad_modality_sends_it_and_read_at_a_word(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    sent = datasets(study(7, pitch_mm=0.4))
    study_uid, folder = str(sent[0].StudyInstanceUID), tmp_path / "study"
    sent[3].StationName = "CLASSROOM"
    files = write(sent, folder)
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port, ("cad_sr",))
    with running_node(tmp_path / "node", [pacs]) as node:
        text = node.config.read_text().replace("threads = 1", f"threads = 1\n{OWN_RULE}", 1)
        node.config.write_text(text.replace("quiet_seconds = 4.0", "quiet_seconds = 60.0"))
        node.start("up")
        node.wait_until_listening()

        assert storescu(files[:1], node.port).returncode == 0
        assert "is held" in settle(node, study_uid, "--hold")
        habits = ("--late", "1", "--duplicate", "2", "--break-after", "2")
        modality = node.run("simulate", "modality", str(folder), *habits)
        assert modality.returncode == 0, modality.stdout + modality.stderr
        time.sleep(GRACE + SWEEP + 1.0)  # all views are here: it would be read by now
        held = node.case(study_uid)
        assert held is not None
        assert held.state == State.RECEIVING
        assert "is not read before `settle` says so" in " ".join(node.run("status").stdout.split())

        settle(node, study_uid, "--now")
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        settle(node, study_uid, "--hold", status=1)  # too late

        (report,) = (one for one in orthanc.datasets(study_uid) if one.Modality == "SR")
        assert RULED in plain_text(report)
        assert len(node.questions.cases_of(study_uid)) == 1
