"""A late view of a study whose images were removed, then all of it again: as the PACS sees it."""

from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import State
from dicom_node.reporting.marks import plain_text
from dicom_node.watching.balance import balance
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

AT_ONCE = f"keep_images_days = {0.1 / 86400}"
SENTENCE = "3 images that came earlier are no longer kept here: send the whole study again"


def texts(orthanc: OrthancServer, study_uid: str) -> list[str]:
    """Return what the CAD reports say, notices among them, first to last."""
    found = [
        one for one in orthanc.datasets(study_uid) if one.SOPClassUID == MammographyCADSRStorage
    ]
    return [plain_text(one) for one in sorted(found, key=lambda one: int(one.SeriesNumber))]


def images(node: RunningNode) -> int:
    return len(list((node.settings.data / "spool/images").rglob("*.dcm")))


def test_a_late_view_of_a_study_without_its_images_is_told_of_and_the_whole_study_is_read(
    orthanc: OrthancServer, tmp_path: Path
) -> None:
    sent = datasets(study(7, pitch_mm=0.4))
    study_uid, files = str(sent[0].StudyInstanceUID), write(sent, tmp_path / "study")
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port, ("cad_sr",))
    with running_node(tmp_path / "node", [pacs]) as node:
        text = node.config.read_text().replace("cap_seconds", f"{AT_ONCE}\ncap_seconds")
        text = text.replace("threads = 1", "threads = 1\naccept = { rows_min = 300 }")
        node.config.write_text(text)
        node.start("up")
        node.wait_until_listening()
        assert storescu(files[:3], node.port).returncode == 0
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        node.wait_until(lambda: images(node) == 0, "without images")

        assert storescu(files[3:], node.port).returncode == 0
        late = node.wait_for_end(study_uid, 2)
        assert (late.state, late.reason) == (State.DECLINED, f"S07: {SENTENCE}")
        node.wait_until(lambda: len(texts(orthanc, study_uid)) == 2, "the notice in the PACS")
        assert SENTENCE in texts(orthanc, study_uid)[-1]

        assert storescu(files, node.port).returncode == 0
        assert node.wait_for_end(study_uid, 3).state == State.DELIVERED
        newest = texts(orthanc, study_uid)[-1]
        assert "Round 3: replaces the report of round 1." in newest
        assert "Not received" not in newest
        assert "Since round 1: " in newest
        assert newest.split("Since round 1: ")[1].count(" added") == 1, "the late view alone"
        node.wait_until(lambda: images(node) == 0, "without images again")

        closed = balance(node.node, deep=True)
        assert closed.discrepancies == ()
        assert closed.purged == closed.accounts[0].total >= 3 + 4
