"""Every kind of object at once: asked for, made, proved, sent to Orthanc, fetched and validated."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import JPEG2000Lossless
from running_node import Pacs, RunningNode, running_node
from validators import dcentvfy_errors, dciodvfy_errors, dcmpschk_errors

from dicom_node.life import State
from dicom_node.reporting.drawing import INK
from dicom_node.reporting.marks import marks
from dicom_node.settings.delivering import ObjectKind
from inference.findings import Kind
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASSES = (
    Wanted(kind="mass", malignant=True, side="L"),
    Wanted(kind="mass", malignant=True, side="R"),
)
PICTURE, PAGE = "OT", "DOC"  # modalities


@pytest.fixture(scope="module")
def node(orthanc: OrthancServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port, get_args(ObjectKind))
    with running_node(tmp_path_factory.mktemp("node"), [pacs]) as one:
        one.start("up")
        one.wait_until_listening()
        yield one


def results(
    node: RunningNode, orthanc: OrthancServer, images: list[Path], uid: str
) -> list[Dataset]:
    answer = storescu(images, node.port)
    assert answer.returncode == 0, answer.stderr
    case = node.wait_for_end(uid)
    assert case.state == State.DELIVERED, (case.reason, node.log()[-3000:])
    return orthanc.datasets(uid)


def kept(objects: list[Dataset], folder: Path) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:02}-{one.Modality}.dcm" for number, one in enumerate(objects)]
    for one, path in zip(objects, paths, strict=True):
        one.save_as(path, enforce_file_format=True)
    return paths


def of_modality(objects: list[Dataset], modality: str) -> Dataset:
    (one,) = (one for one in objects if one.Modality == modality)
    return one


def test_every_kind_arrives_and_no_validator_has_anything_to_say(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    images = datasets(study(7, lesions=MASSES))
    sources = write(images, tmp_path / "study")
    objects = results(node, orthanc, sources, str(images[0].StudyInstanceUID))
    marked = {
        mark.sop_instance_uid for one in objects if one.Modality == "SR" for mark in marks(one)
    }
    assert len(marked) >= 2
    assert Counter(one.Modality for one in objects) == {
        "SR": 1 + len(marked),
        "SEG": len(marked),
        "PR": len(marked),
        PICTURE: 1,
        PAGE: 1,
    }
    paths = kept(objects, tmp_path / "results")
    assert {path.name: dciodvfy_errors(path) for path in paths} == {p.name: [] for p in paths}
    for path, one in zip(paths, objects, strict=True):
        if one.Modality == "PR":
            assert dcmpschk_errors(path) == []
    assert dcentvfy_errors([*sources, *paths]) == []
    page = tmp_path / "summary.pdf"
    document = of_modality(objects, PAGE)
    page.write_bytes(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength])
    assert subprocess.run(["qpdf", "--check", page], check=False).returncode == 0


def test_compressed_images_are_pictured_like_plain_ones_and_no_findings_are_said(
    node: RunningNode, orthanc: OrthancServer, tmp_path: Path
) -> None:
    images = datasets(study(23, lesions=()))
    for image in images:
        image.compress(JPEG2000Lossless)
    objects = results(
        node, orthanc, write(images, tmp_path / "study"), str(images[0].StudyInstanceUID)
    )
    (report,) = (one for one in objects if one.Modality == "SR" and one.SeriesNumber == 9001)
    found = len(marks(report)) // 2
    shot = of_modality(objects, PICTURE)
    assert ("no findings in" in shot.ImageComments) is (found == 0)
    colors = np.frombuffer(shot.PixelData, np.uint8)[: shot.Rows * shot.Columns * 3].reshape(-1, 3)
    inked = any((colors == INK[kind]).all(axis=1).any() for kind in Kind)
    assert inked is (found > 0)
