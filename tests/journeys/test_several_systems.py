"""Several shipped bundles read one study, and the PACS is told who saw what."""

from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, running_node
from validators import dciodvfy_errors, dsrdump_errors, pixelmed_errors

from dicom_node.life import State
from inference.analyzer import open_bundle
from inference.reading import exam
from inference.systems.agreement import agreed
from inference.transcript import unpack
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = ["recall_retina_phantom", "deeplima_phantom", "all_conv_phantom"]
SEED = 17  # a malignant cluster of calcifications and a benign mass


def test_three_systems_agree_on_one_report(orthanc: OrthancServer, tmp_path: Path) -> None:
    images = datasets(study(SEED), uid_salt="several systems")
    uid = str(images[0].StudyInstanceUID)
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path / "node", [pacs], bundle=NAMES) as node:
        node.start("up")
        node.wait_until_listening()
        assert storescu(write(images, tmp_path / "study"), node.port).returncode == 0
        ended = node.wait_for_end(uid)
        assert ended.state == State.DELIVERED, (ended.reason, node.log()[-3000:])
        run = node.questions.run_of(ended.id)
        assert run is not None
        served = unpack(node.node.spool.read(run.findings_path, run.findings_sha256))
    expected = agreed([open_bundle(BUNDLES / name).analyze(exam(uid, images)) for name in NAMES])
    assert [member.name for member in served.members] == ["recall_retina", "deeplima", "all_conv"]
    assert served.cancer_score == pytest.approx(expected.cancer_score, abs=1e-4)
    assert [one.systems for one in served.findings] == [one.systems for one in expected.findings]
    both = [one for one in served.findings if set(one.systems) == {"recall_retina", "deeplima"}]
    assert both, "on lesions as plain as these, those that mark agree"
    assert all(one.uncertainty is not None for one in both)

    reports = [one for one in orthanc.datasets(uid) if one.Modality == "SR"]
    paths = []
    for number, report in enumerate(reports):
        path = tmp_path / f"{number}.dcm"
        report.save_as(path, enforce_file_format=True)
        assert dciodvfy_errors(path) == []
        assert dsrdump_errors(path) == []
        paths.append(path)
    assert pixelmed_errors(paths) == []
    (cad,) = [one for one in reports if one.SOPClassUID == MammographyCADSRStorage]
    words = " ".join(str(one.value) for one in cad.iterall() if one.VR == "UT")
    assert "Agreement of recall_retina" in words
    assert "marked by 2 of 2 that look for" in words
