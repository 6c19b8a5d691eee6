"""A study in each style of headers goes the whole way, and the patient keeps her name.

One node takes them all: Japanese letters and none said, views in words, sides of series, films
without a detector, dates that are none. Each is read like the plain one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset, config
from running_node import Pacs, RunningNode, running_node
from validators import dciodvfy_errors

from dicom_node.life import State
from phantom.dicom import PRESETS, datasets, write
from phantom.patient import Wanted
from phantom.study import Study, study

pytestmark = pytest.mark.journey

SEED = 17
STYLES = sorted(set(PRESETS) - {"plain"})
DECLINED = {"hologic_synthetic": "I06"}  # unless the site wants synthetic images
CLOSE = 0.05  # ten bits instead of twelve, or another curve between them


@pytest.fixture(scope="module")
def woman() -> Study:
    mass = Wanted("mass", malignant=True, side="L", shape="spiculated")
    return study(SEED, lesions=(mass, Wanted("calcification", malignant=True, side="R")))


@pytest.fixture(scope="module")
def node(orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path_factory.mktemp("styles"), [pacs]) as started:
        started.start("up")
        started.wait_until_listening()
        yield started
    orthanc.clear()


def sent(node: RunningNode, woman: Study, style: str, folder: Path) -> list[Dataset]:
    """Send a study as a device would, with one program that takes headers as they are."""
    images = datasets(woman, preset=style)
    answer = storescu(write(images, folder), node.port)
    assert answer.returncode == 0, answer.stderr
    return images


def score(node: RunningNode, study_uid: str) -> float:
    case = node.case(study_uid)
    assert case is not None
    run = node.questions.run_of(case.id)
    assert run is not None
    assert run.cancer_score is not None
    return run.cancer_score


@pytest.fixture(scope="module")
def plain_score(node: RunningNode, woman: Study, tmp_path_factory: pytest.TempPathFactory) -> float:
    uid = str(sent(node, woman, "plain", tmp_path_factory.mktemp("plain"))[0].StudyInstanceUID)
    assert node.wait_for_end(uid).state is State.DELIVERED
    return score(node, uid)


@pytest.mark.parametrize("style", STYLES)
def test_a_study_in_every_style_is_read_and_its_patient_keeps_her_name(
    node: RunningNode,
    woman: Study,
    plain_score: float,
    orthanc: OrthancServer,
    tmp_path: Path,
    style: str,
) -> None:
    images = sent(node, woman, style, tmp_path / "study")
    uid = str(images[0].StudyInstanceUID)
    ended = node.wait_for_end(uid)
    if style in DECLINED:
        assert ended.state is State.DECLINED
        assert DECLINED[style] in str(ended.reason)
    else:
        assert ended.state is State.DELIVERED, (ended.reason, node.log()[-3000:])
        assert score(node, uid) == pytest.approx(plain_score, abs=CLOSE)
    for number, one in enumerate(orthanc.datasets(uid)):
        assert str(one.PatientName) == str(images[0].PatientName)
        path = tmp_path / f"{number}.dcm"
        with config.disable_value_validation():
            one.save_as(path, enforce_file_format=True)
        assert dciodvfy_errors(path) == []
    if style not in DECLINED:
        kinds = {one.Modality for one in orthanc.datasets(uid)}
        assert kinds == {"SR", "SEG"}
