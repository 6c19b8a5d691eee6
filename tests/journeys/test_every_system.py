"""Each of the five systems goes the whole way, and says the same in all three places.

A notebook opens a bundle; `train evaluate` measures it; the node serves it over DICOM. One exam
must get one score from all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from dcmtk import storescu
from orthanc_server import OrthancServer
from pydicom import Dataset
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node
from validators import dciodvfy_errors, dsrdump_errors, pixelmed_errors

from dicom_node.life import State
from inference.analyzer import SYSTEMS, Analyzer, open_bundle
from inference.findings import ExamFindings
from inference.reading import exam
from inference.transcript import unpack
from phantom.dicom import datasets, write
from phantom.study import study
from train.data.phantom import case
from train.evaluation import SeenPatient, seen

pytestmark = pytest.mark.journey

BUNDLES = Path(__file__).parents[2] / "bundles"
SEED = 17  # a malignant cluster of calcifications and a benign mass
CLOSE = 1e-4


def test_there_is_a_phantom_bundle_of_each_of_the_five_systems() -> None:
    assert {f"{system}_phantom" for system in SYSTEMS} == {
        folder.name for folder in BUNDLES.iterdir() if folder.name.endswith("_phantom")
    }
    assert len(SYSTEMS) == 5
    for folder in BUNDLES.iterdir():
        assert sum(path.stat().st_size for path in folder.iterdir()) < 16e6


@pytest.fixture(scope="module")
def images() -> list[Dataset]:
    return datasets(study(SEED))


@dataclass
class Served:
    """What a node made of the study, and what the other two ways say."""

    node: RunningNode
    analyzer: Analyzer
    notebook: ExamFindings
    workshop: SeenPatient
    objects: Sequence[Dataset]

    @property
    def uid(self) -> str:
        return str(self.objects[0].StudyInstanceUID)


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def served(
    request: pytest.FixtureRequest,
    orthanc: OrthancServer,
    images: list[Dataset],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    name = f"{request.param}_phantom"
    analyzer = open_bundle(BUNDLES / name)
    folder = tmp_path_factory.mktemp(name)
    pacs = Pacs("pacs", orthanc.aet, orthanc.dicom_port)
    with running_node(folder, [pacs], bundle=name) as node:
        node.start("up")
        node.wait_until_listening()
        answer = storescu(write(images, folder / "study"), node.port)
        assert answer.returncode == 0, answer.stderr
        uid = str(images[0].StudyInstanceUID)
        ended = node.wait_for_end(uid)
        assert ended.state == State.DELIVERED, (ended.reason, node.log()[-3000:])
        objects = [one for one in orthanc.datasets(uid) if one.Modality != "MG"]
        yield Served(
            node=node,
            analyzer=analyzer,
            notebook=analyzer.analyze(exam(uid, images)),
            workshop=seen(analyzer.system, case(SEED, 0.1)),
            objects=objects,
        )
    orthanc.clear()


def test_the_pacs_gets_a_report_that_every_validator_accepts(
    served: Served, tmp_path: Path
) -> None:
    assert [one.SOPClassUID for one in served.objects].count(MammographyCADSRStorage) == 1
    reports = []
    for number, one in enumerate(served.objects):
        path = tmp_path / f"{number}.dcm"
        one.save_as(path, enforce_file_format=True)
        assert dciodvfy_errors(path) == []
        if one.Modality == "SR":
            assert dsrdump_errors(path) == []
            reports.append(path)
    assert pixelmed_errors(reports) == []


def test_notebook_workshop_and_node_give_one_score(served: Served) -> None:
    ended = served.node.case(served.uid)
    assert ended is not None
    run = served.node.questions.run_of(ended.id)
    assert run is not None
    assert run.digest == served.analyzer.digest
    assert served.notebook.cancer_score == alike(served.workshop.score)
    assert run.cancer_score == alike(served.notebook.card_score)
    for one, other in zip(served.notebook.views, served.workshop.views, strict=True):
        assert one.cancer_score == alike(other.score)


def test_notebook_and_node_see_the_same_findings_at_the_same_place(served: Served) -> None:
    ended = served.node.case(served.uid)
    assert ended is not None
    run = served.node.questions.run_of(ended.id)
    assert run is not None
    reported = unpack(served.node.node.spool.read(run.findings_path, run.findings_sha256))
    expected = served.notebook
    assert len(reported.findings) == len(expected.findings)
    for one, other in zip(reported.findings, expected.findings, strict=True):
        assert (one.kind, one.systems) == (other.kind, other.systems)
        assert one.score == alike(other.score)
        assert one.cancer_score == alike(other.cancer_score)
        for edge in ("left", "top", "right", "bottom"):
            assert getattr(one.box, edge) == pytest.approx(getattr(other.box, edge), abs=0.01)


def alike(score: float | None) -> object:
    return None if score is None else pytest.approx(score, abs=CLOSE)
