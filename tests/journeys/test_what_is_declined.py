"""What is not read goes the same way as the rest: taken, kept, judged, and told with its code."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import State
from phantom.dicom import write
from phantom.kinds import KINDS, specimen
from phantom.study import study

pytestmark = pytest.mark.journey

# Whose last image stands beside the four views, each left out by its own rule.
BESIDE = {
    name: KINDS[name].meets
    for name in (
        *("raw", "tomosynthesis", "projection", "capture", "scout", "synthetic", "quality"),
        *("lossy_once", "color", "both_sides", "lateral", "spot", "magnified_by_factor"),
        *("displaced", "partial", "implant", "aborted", "contrast", "biopsy", "low_energy"),
        *("blank", "dark", "cut_short"),
    )
}


@pytest.fixture(scope="module")
def node(orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path_factory.mktemp("node"), [pacs]) as one:
        one.start("up")
        one.wait_until_listening()
        yield one


@pytest.fixture(scope="module")
def mixed() -> tuple[list[Dataset], dict[str, str]]:
    """Make one study of four good views and many others; say which image meets which rule."""
    woman = study(7, lesions=())
    good = specimen("screening", woman)
    study_uid = good[0].StudyInstanceUID
    meets = {str(image.SOPInstanceUID): "" for image in good}
    others = []
    for name, code in BESIDE.items():
        image = specimen(name, woman)[-1]
        image.StudyInstanceUID = study_uid
        others.append(image)
        meets[str(image.SOPInstanceUID)] = code
    return [*others[:10], *good, *others[10:]], meets


def test_four_good_views_are_read_among_many_that_are_not(
    node: RunningNode,
    orthanc: OrthancServer,
    mixed: tuple[list[Dataset], dict[str, str]],
    tmp_path: Path,
) -> None:
    images, meets = mixed
    files = write(images, tmp_path)
    sent = node.run("send", str(tmp_path))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    study_uid = str(images[0].StudyInstanceUID)
    case = node.wait_for_end(study_uid)
    assert case.state == State.DELIVERED, (case.reason, node.log()[-3000:])
    (told,) = json.loads(node.run("trace", "--json", study_uid).stdout)
    assert {one["sop_uid"]: one["code"] for one in told["images"]} == meets
    page = node.run("trace", study_uid).stdout
    assert "not read: Breast Tomosynthesis  I01: this is a tomosynthesis; the network" in page
    newest = json.loads(node.run("status", "--json").stdout)["newest"][0]
    assert newest["left_out"] == ", ".join(sorted(code for code in meets.values() if code))
    (report,) = (
        one for one in orthanc.datasets(study_uid) if one.SOPClassUID == MammographyCADSRStorage
    )
    referenced = {
        str(one.ReferencedSOPInstanceUID)
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert referenced == {uid for uid, code in meets.items() if not code}
    # What the command says beforehand is what the node did.
    asked = node.run("rules", "test", "--json", *map(str, files))
    assert asked.returncode == 1
    (foretold,) = json.loads(asked.stdout)["studies"]
    assert foretold["views_read"] == ["LCC", "LMLO", "RCC", "RMLO"]
    verdicts = {one["sop_uid"]: one["verdict"] for one in told["images"]}
    for one in foretold["files"]:
        said = f"{one['code']}: {one['sentence']}" if one["code"] else "accepted"
        assert verdicts[Path(one["file"]).stem] == said


def test_a_tomosynthesis_alone_is_declined_with_its_code(node: RunningNode, tmp_path: Path) -> None:
    image = specimen("tomosynthesis", study(7, pitch_mm=0.4, lesions=()))[-1]
    write([image], tmp_path)
    sent = node.run("send", str(tmp_path))
    assert sent.returncode == 0, sent.stdout + sent.stderr
    case = node.wait_for_end(str(image.StudyInstanceUID))
    assert case.state == State.DECLINED
    why = "I01: this is a tomosynthesis; the network reads single projections"
    assert case.reason == f"S02: no image can be read: {why}"
    (told,) = json.loads(node.run("trace", "--json", str(case.id)).stdout)
    (seen,) = told["images"]
    assert (seen["what"], seen["verdict"]) == ("Breast Tomosynthesis", why)
    assert f"S02: no image can be read: {why}" in node.run("trace", str(case.id)).stdout
