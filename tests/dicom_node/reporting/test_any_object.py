"""Whatever an object holds, our own readers answer: with a sentence, never with a traceback."""

import time
import warnings
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from conftest import header
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from scenes import CAD, MEASURED, SEGMENTED, first_view_alone, scenes_of
from spoiling import Scene

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.watching.render import files_of, render
from dicom_node.watching.workstation import RULES
from inference.findings import ExamFindings

KINDS = (CAD, MEASURED, SEGMENTED)
LONGEST_SECONDS = 20.0  # of the processor: how long one waits for it is not the object's affair
VALUES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"nan ", b"1e400 ", b"-1", b"1\\2\\3\\4 ", b"\xff" * 8, b"9" * 30, b"111059", b"DCM "]
    ),
)
REPRESENTATIONS = st.sampled_from(
    ["CS", "DS", "IS", "UI", "US", "UL", "FL", "FD", "SQ", "LO", "PN", "UT", "OB", "UN", "AT", "DA"]
)


@pytest.fixture(scope="module")
def one_view(exam: ExamFindings, maker: Maker, first_round: Circumstances) -> dict[str, Scene]:
    alone = first_view_alone(exam)
    (view,) = alone.views
    sources = [header(view.side, view.projection)]
    return scenes_of("any", sources, alone, maker, first_round)


def places(dataset: Dataset) -> Iterator[tuple[Dataset, BaseTag]]:
    """List every element, those of items too, each with what holds it."""
    for element in dataset:
        yield dataset, element.tag
        if element.VR == "SQ":
            for item in element.value:
                yield from places(item)


@st.composite
def spoilings(draw: st.DrawFn) -> Callable[[Dataset], None]:
    """Give some elements other bytes and another kind of value, as they may lie in a file."""
    which = draw(st.lists(st.tuples(st.floats(0, 0.999), REPRESENTATIONS, VALUES), max_size=5))

    def spoil(dataset: Dataset) -> None:
        found = list(places(dataset))
        for share, vr, value in which:
            holder, tag = found[int(share * len(found))]
            holder[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    return spoil


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Change, insert or remove some bytes of a file."""
    size = st.integers(0, 30)
    which = draw(
        st.lists(st.tuples(st.floats(0, 1), size, st.binary(max_size=30)), min_size=1, max_size=5)
    )

    def damage(content: bytes) -> bytes:
        for share, gone, new in which:
            at = int(share * len(content))
            content = content[:at] + new + content[at + gone :]
        return content

    return damage


@pytest.mark.parametrize("kind", KINDS)
def test_R3_whatever_an_object_of_ours_became_the_proof_answers(
    kind: str,
    one_view: dict[str, Scene],
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    scene, seen, slowest = one_view[f"any {kind}"], [0, 0], [0.0]

    @settings(
        max_examples=at_length(12, 80),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(spoil=spoilings())
    def check(spoil: Callable[[Dataset], None]) -> None:
        dataset, started = scene.read(), time.process_time()
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            spoil(dataset)
            seen[1] += bool(scene.complaint(dataset))
        seen[0] += 1
        slowest[0] = max(slowest[0], time.process_time() - started)

    check()
    figure(f"{seen[0]} mutated objects ({kind}): {seen[1]} told in words, 0 tracebacks")
    assert slowest[0] < LONGEST_SECONDS


@pytest.mark.parametrize("kind", KINDS)
def test_R3_whatever_lies_in_a_folder_is_drawn_or_told(
    kind: str,
    one_view: dict[str, Scene],
    tmp_path: Path,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    content, seen, slowest = one_view[f"any {kind}"].content, [0, 0], [0.0]
    path = tmp_path / "objects" / "object.dcm"
    path.parent.mkdir()

    @settings(
        max_examples=at_length(12, 80),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(damage=damages(), spoil=spoilings(), rules=st.sampled_from(sorted(RULES)))
    def check(
        damage: Callable[[bytes], bytes], spoil: Callable[[Dataset], None], rules: str
    ) -> None:
        started = time.process_time()
        with config.disable_value_validation(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path.write_bytes(damage(content))
            whole = dcmread(BytesIO(content))
            spoil(whole)
            for objects in (files_of(path.parent), [whole]):
                drawn = render(objects, RULES[rules], tmp_path / "pictures")
                assert drawn.status or drawn.report is not None
                seen[1] += drawn.report is None
                seen[0] += 1
        slowest[0] = max(slowest[0], time.process_time() - started)

    check()
    figure(f"{seen[0]} mutated files ({kind}): {seen[1]} without a report to draw, 0 tracebacks")
    assert slowest[0] < LONGEST_SECONDS
