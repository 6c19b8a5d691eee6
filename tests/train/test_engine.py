import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from train.engine import METRICS, WEIGHTS, Options, OtherRecipe, Run, Stage, fit

OPTIONS = Options(seed=5, weight_decay=0.0, clip_norm=1.0, amp=False, validate_every=4)


def batch(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))


def losses(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
    error = network(inputs).squeeze(1) - inputs.sum(dim=1)
    return {"square": error.square().mean(), "small": 0.1 * error.abs().mean()}


def line() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(3, 1)


def stages(steps: int = 6, rate: float = 0.05) -> list[Stage[Tensor]]:
    return [Stage("first", steps, rate, batch, losses), Stage("second", 4, rate, batch, losses)]


def lines(run: Run) -> list[dict[str, object]]:
    return [json.loads(text) for text in (run.folder / METRICS).read_text().splitlines()]


def test_training_lowers_the_losses_and_notes_each_by_name(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "recipe")
    fit(line(), stages(200), OPTIONS, run, lambda _: {"score": 0.5})
    steps = [entry for entry in lines(run) if "square" in entry]
    assert len(steps) == 204
    assert steps[199]["square"] < 0.1 * steps[0]["square"]  # type: ignore[operator]
    assert {"step", "stage", "rate", "seconds", "square", "small"} == set(steps[0])
    assert [entry["stage"] for entry in steps[198:202]] == ["first", "first", "second", "second"]


def test_validation_comes_at_its_interval_and_at_the_end_of_each_stage(tmp_path: Path) -> None:
    run = Run(tmp_path, "recipe")
    fit(line(), stages(), OPTIONS, run, lambda network: {"training": float(network.training)})
    seen = [entry for entry in lines(run) if "validation" in entry]
    assert [entry["step"] for entry in seen] == [4, 6, 8, 10]
    assert seen[0]["validation"] == {"training": 0.0}


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    def cut(_: nn.Module) -> dict[str, float]:
        if len(seen) == 2:
            raise Cut
        seen.append(1)
        return {}

    seen: list[int] = []
    whole, parts = Run(tmp_path / "whole", "r"), Run(tmp_path / "parts", "r")
    fit(line(), stages(), OPTIONS, whole, lambda _: {})
    with pytest.raises(Cut):
        fit(line(), stages(), OPTIONS, parts, cut)
    fit(nn.Linear(3, 1), stages(), OPTIONS, Run(tmp_path / "parts", "r"), lambda _: {})
    one, other = (load_file(run.folder / WEIGHTS) for run in (whole, parts))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tmp_path: Path) -> None:
    weights = []
    for number, seed in enumerate((5, 5, 6)):
        run = Run(tmp_path / str(number), "r")
        options = Options(seed=seed, weight_decay=0.0, clip_norm=1.0, amp=False, validate_every=100)
        fit(line(), stages(), options, run, lambda _: {})
        weights.append(load_file(run.folder / WEIGHTS)["weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_folder_takes_one_recipe_only(tmp_path: Path) -> None:
    Run(tmp_path, "one")
    Run(tmp_path, "one")
    with pytest.raises(OtherRecipe, match="another recipe"):
        Run(tmp_path, "two")


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    def broken(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        return {"square": network(inputs).sum() * torch.nan}

    stage = Stage("first", 2, 0.1, batch, broken)
    with pytest.raises(ArithmeticError, match="the loss is nan in stage first"):
        fit(line(), [stage], OPTIONS, Run(tmp_path, "r"), lambda _: {})
