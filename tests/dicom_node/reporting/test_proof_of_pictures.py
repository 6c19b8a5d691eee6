"""Each way an object that viewers draw can be wrong, and that the proof says so."""

from io import BytesIO

import pytest
from conftest import VIEWS, header, lightbox_of
from pydicom import dcmread
from pydicom.dataset import Dataset
from spoiled_captures import SPOILED_CAPTURES
from spoiled_presentations import SPOILED_PRESENTATIONS

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.report import KINDS_ON_DEMAND, report
from inference.findings import ExamFindings

SPOILED = SPOILED_PRESENTATIONS | SPOILED_CAPTURES


@pytest.fixture(scope="module")
def pictured(exam: ExamFindings, maker: Maker, first_round: Circumstances) -> dict[str, bytes]:
    """Hold one object of each kind as a file would; the presentation state is of the LCC view."""
    sources = [header(side, projection) for side, projection in VIEWS]
    built = report(
        sources, exam, maker, first_round, KINDS_ON_DEMAND, lightbox=lightbox_of(sources)
    )
    return {each.kind: encoded(each.dataset) for each in reversed(built)}


@pytest.fixture
def objects(pictured: dict[str, bytes]) -> dict[str, Dataset]:
    return {kind: dcmread(BytesIO(content)) for kind, content in pictured.items()}


@pytest.mark.parametrize("kind", sorted(KINDS_ON_DEMAND))
def test_a_sound_object_passes(
    kind: str, objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    prove(objects[kind], headers, exam, lightbox_of(headers))


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_object_is_unsound(
    name: str, objects: dict[str, Dataset], headers: list[Dataset], exam: ExamFindings
) -> None:
    kind, spoil, reason = SPOILED[name]
    spoil(objects[kind])
    with pytest.raises(Unsound) as caught:
        prove(objects[kind], headers, exam, lightbox_of(headers))
    assert reason in str(caught.value)
