"""Several processes at one training: real ones, started by torchrun, talking over gloo."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from several import two_processes
from small_training import options, small, stages

from train import parallel
from train.engine import WEIGHTS, Run, fit
from train.errors import Refused
from train.run_folder import facts_of, measurements

PROGRAM = Path(__file__).with_name("small_training.py")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train with two processes."""
    folder = tmp_path_factory.mktemp("two")
    two_processes(PROGRAM, folder, "none")
    return folder


def alone(folder: Path, accumulate: int) -> dict[str, torch.Tensor]:
    fit(small(), stages(), options(accumulate), Run(folder, "recipe"), lambda _: {})
    return load_file(folder / WEIGHTS)


def test_both_processes_end_with_the_weights_that_were_kept(two: Path) -> None:
    one, other = (load_file(two / f"ended_{number}.safetensors") for number in (0, 1))
    for kept in (other, load_file(two / WEIGHTS)):
        assert kept.keys() == one.keys()
        assert all(torch.equal(kept[name], one[name]) for name in one)


def test_two_processes_learn_what_one_does_from_two_batches_a_step(
    two: Path, tmp_path: Path
) -> None:
    together = load_file(two / WEIGHTS)
    twice, once = alone(tmp_path / "twice", 2), alone(tmp_path / "once", 1)
    learned = [name for name, _ in small().named_parameters()]
    for name in learned:
        torch.testing.assert_close(together[name], twice[name], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(together["head.1.weight"], once["head.1.weight"], rtol=1e-3)


def test_what_nobody_used_stays_as_it_was(two: Path) -> None:
    together, began = load_file(two / WEIGHTS), small().state_dict()
    assert torch.equal(together["never.weight"], began["never.weight"])
    assert not torch.equal(together["sometimes.weight"], began["sometimes.weight"])


def test_only_the_first_process_writes(two: Path) -> None:
    steps = [entry["step"] for entry in measurements(two) if "square" in entry]
    assert steps == list(range(1, 13))
    assert [session["processes"] for session in facts_of(two)["sessions"]] == [2]


def test_the_losses_told_are_those_of_both(two: Path, tmp_path: Path) -> None:
    alone(tmp_path, 2)
    one, other = ([e for e in measurements(f) if "square" in e] for f in (two, tmp_path))
    assert [e["square"] for e in one] == pytest.approx([e["square"] for e in other], abs=2e-5)


def test_a_device_that_is_not_there_is_refused_in_words() -> None:
    with (
        pytest.raises(Refused, match="--device nonsense cannot be used"),
        parallel.together("nonsense"),
    ):
        pass
    if not torch.cuda.is_available():
        with (
            pytest.raises(Refused, match=r"--device cuda .* this machine has cpu"),
            parallel.together("cuda"),
        ):
            pass
