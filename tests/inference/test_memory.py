"""Where memory runs out, less is read at a time, then on the processor, and the same is seen."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference.analyzer import Analyzer, open_bundle, tried
from inference.errors import NoDevice
from inference.findings import Box, ExamFindings
from inference.reading import exam
from inference.systems.memory import in_parts, is_shortage, shortages, with_less
from phantom.dicom import datasets
from phantom.patient import Wanted
from phantom.study import study

BUNDLES = Path(__file__).parents[2] / "bundles"
TOLERANCE = 1e-3
LESIONS = (Wanted(kind="calcification", malignant=True, side="L"),)


@contextmanager
def scarce(network: nn.Module, at_once: int, fault: Exception, times: int = 1000) -> Iterator[None]:
    """Let a network have no memory for more pictures than so many, so many times."""
    left = [times]

    def check(_: nn.Module, given: tuple[Any, ...]) -> None:
        if len(given[0]) > at_once and left[0]:
            left[0] -= 1
            raise fault

    hook = network.register_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()


def sides(box: Box) -> tuple[float, ...]:
    return box.left, box.top, box.right, box.bottom


def same(one: ExamFindings, other: ExamFindings) -> bool:
    pairs = zip(one.findings, other.findings, strict=True)
    return all(
        a.kind == b.kind
        and np.allclose(sides(a.box), sides(b.box), atol=0.5)
        and abs(a.score - b.score) < TOLERANCE
        for a, b in pairs
    )


@pytest.fixture(scope="module")
def deeplima() -> Analyzer:
    return open_bundle(BUNDLES / "deeplima_phantom")


@pytest.mark.parametrize(
    ("at_once", "fault"),
    [
        (2, torch.OutOfMemoryError("CUDA out of memory")),
        (1, RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")),
    ],
)
def test_R15_less_at_a_time_shows_the_same_findings(
    at_once: int, fault: Exception, deeplima: Analyzer, figure: Callable[[str], None]
) -> None:
    view = exam("1.2.3", datasets(study(31, lesions=LESIONS))[:1])
    whole = deeplima.analyze(view)
    assert whole.findings
    network = deeplima.system.reader.network.calcification  # type: ignore[attr-defined]
    with scarce(network, at_once, fault), shortages() as notes:
        less = deeplima.analyze(view)
    assert same(whole, less)
    assert notes[0] == "read 2 at a time instead of 4"
    assert len(notes) == (1 if at_once == 2 else 2)
    figure(f"no memory for more than {at_once} of 4 tiles: the same {len(whole.findings)} findings")


def test_a_network_without_memory_is_asked_once_more() -> None:
    analyzer = open_bundle(BUNDLES / "shared_trunk_phantom")
    view = exam("1.2.3", datasets(study(31))[:1])
    whole = analyzer.analyze(view)
    network = analyzer.system.reader.network  # type: ignore[attr-defined]
    with scarce(network, 0, MemoryError(), times=1), shortages() as notes:
        assert same(analyzer.analyze(view), whole)
    assert notes == ["read on cpu, cpu had no memory"]
    with scarce(network, 0, MemoryError()), pytest.raises(MemoryError):
        analyzer.analyze(view)


@dataclass(frozen=True)
class Reader:
    """A reader whose card is full."""

    network: nn.Linear
    device: torch.device

    def read(self, numbers: Sequence[float]) -> Tensor:
        if self.device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        answer: Tensor = self.network(torch.tensor(numbers))
        return answer


def test_a_card_without_memory_is_stood_in_for_by_the_processor() -> None:
    reader = Reader(nn.Linear(3, 2), torch.device("cuda:1"))
    with shortages() as notes:
        answer = with_less(reader, lambda one: one.read([1.0, 2.0, 3.0]))
    torch.testing.assert_close(answer, reader.network(torch.tensor([1.0, 2.0, 3.0])))
    assert notes == ["read on cpu, cuda:1 had no memory"]
    assert reader.device.type == "cuda"  # the next exam is the card's again


def test_only_want_of_memory_is_a_shortage() -> None:
    assert not is_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(ZeroDivisionError):
        in_parts(lambda _: np.array([1 // 0]), np.zeros((4, 1, 2, 2), np.float32))


def test_a_device_is_tried_and_what_is_wrong_is_said() -> None:
    assert tried("cpu").startswith("cpu computes")
    with pytest.raises(NoDevice, match="gpu cannot be used"):
        tried("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(NoDevice, match="cuda cannot be used"):
            tried("cuda")
