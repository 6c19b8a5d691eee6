import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
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
    Run(tmp_path, "one").note(step=1)
    Run(tmp_path, "one")
    with pytest.raises(OtherRecipe, match="another recipe"):
        Run(tmp_path, "two")


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path) -> None:
    def broken(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        return {"square": network(inputs).sum() * torch.nan}

    stage = Stage("first", 2, 0.1, batch, broken)
    with pytest.raises(ArithmeticError, match="the loss is nan in stage first"):
        fit(line(), [stage], OPTIONS, Run(tmp_path, "r"), lambda _: {})


def trained(
    folder: Path, network: nn.Module, course: list[Stage[Tensor]], **changes: object
) -> dict[str, Tensor]:
    run = Run(folder, "recipe")
    fit(network, course, replace(OPTIONS, **changes), run, lambda _: {})
    return load_file(run.folder / WEIGHTS)


def test_a_run_is_no_more_than_these_few_lines(tmp_path: Path) -> None:
    network = line()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    for number, stage in enumerate(stages()):
        for step in range(stage.steps):
            rng = np.random.default_rng([5, number, step])
            torch.manual_seed(int(rng.integers(1 << 62)))
            warm = max(1, round(stage.steps * 0.05))
            down = 0.5 * (1 + math.cos(math.pi * (step - warm) / (stage.steps - warm)))
            pace = (step + 1) / warm if step < warm else down
            optimizer.param_groups[0]["lr"] = pace * stage.learning_rate
            optimizer.zero_grad()
            sum(losses(network, batch(rng)).values()).backward()  # type: ignore[union-attr]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
    kept = trained(tmp_path, line(), stages(), weight_decay=0.01)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=1e-6, atol=1e-7)


def test_two_batches_of_four_teach_what_one_of_eight_does(tmp_path: Path) -> None:
    whole = torch.from_numpy(np.random.default_rng(3).normal(size=(80, 3)).astype(np.float32))

    def course(size: int) -> list[Stage[Tensor]]:
        turns = iter(whole.split(size))
        return [Stage("first", 10, 0.05, lambda _: next(turns), losses)]

    once = trained(tmp_path / "once", line(), course(8))
    twice = trained(tmp_path / "twice", line(), course(4), accumulate=2)
    for name, value in once.items():
        torch.testing.assert_close(twice[name], value, rtol=1e-5, atol=1e-6)
    one, other = (
        [entry["square"] for entry in lines(Run(tmp_path / name, "recipe")) if "square" in entry]
        for name in ("once", "twice")
    )
    assert other == pytest.approx(one, abs=2e-5)


@pytest.mark.parametrize(
    ("kind", "momentum", "theirs"),
    [
        ("adam", 0.0, lambda weights: torch.optim.Adam(weights, lr=0.05, weight_decay=0.2)),
        (
            "sgd",
            0.9,
            lambda weights: torch.optim.SGD(weights, lr=0.05, weight_decay=0.2, momentum=0.9),
        ),
    ],
)
def test_a_paper_may_ask_for_adam_or_sgd_at_a_constant_rate(
    kind: str,
    momentum: float,
    theirs: Callable[[object], torch.optim.Optimizer],
    tmp_path: Path,
) -> None:
    fixed = batch(np.random.default_rng(1))
    network = line()
    optimizer = theirs(network.parameters())
    for _ in range(5):
        optimizer.zero_grad()
        sum(losses(network, fixed).values()).backward()  # type: ignore[union-attr]
        optimizer.step()
    kept = trained(
        tmp_path,
        line(),
        [Stage("first", 5, 0.05, lambda _: fixed, losses)],
        kind=kind,
        momentum=momentum,
        schedule="constant",
        weight_decay=0.2,
        clip_norm=1e9,
    )
    for name, value in network.state_dict().items():
        torch.testing.assert_close(kept[name], value, rtol=1e-5, atol=1e-6)


def test_a_stage_lets_some_parts_decay_more_than_others(tmp_path: Path) -> None:
    def nothing(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        return {"nothing": 0.0 * network(inputs).sum()}

    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)))
    began = {name: value.clone() for name, value in network.state_dict().items()}
    course = [
        Stage("new", 2, 0.1, batch, nothing, decay={"1": 0.5, "1.0": 0.0}),
        Stage("all", 1, 0.1, batch, nothing),
    ]
    kept = trained(tmp_path, network, course, kind="sgd", schedule="constant", weight_decay=0.2)
    later = 1 - 0.1 * 0.2  # in the second stage all parts decay as the options say
    torch.testing.assert_close(kept["0.weight"], began["0.weight"] * later**3)
    torch.testing.assert_close(kept["1.0.weight"], began["1.0.weight"] * later)
    torch.testing.assert_close(kept["1.1.weight"], began["1.1.weight"] * 0.95**2 * later)


def test_a_decay_of_twice_d_is_l2_of_d_in_the_loss(tmp_path: Path) -> None:
    def with_l2(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        squares = [weight.square().sum() for weight in network.parameters()]
        return {**losses(network, inputs), "l2": 0.3 * torch.stack(squares).sum()}

    options = {"kind": "adam", "clip_norm": 1e9}
    in_loss = trained(tmp_path / "loss", line(), [Stage("a", 5, 0.1, batch, with_l2)], **options)
    decayed = trained(
        tmp_path / "decay", line(), [Stage("a", 5, 0.1, batch, losses, decay={"": 0.6})], **options
    )
    for name, value in in_loss.items():
        torch.testing.assert_close(decayed[name], value, rtol=1e-5, atol=1e-6)


def test_a_part_that_is_not_there_cannot_decay(tmp_path: Path) -> None:
    stage = Stage("first", 1, 0.1, batch, losses, decay={"top": 0.1})
    with pytest.raises(AttributeError, match="top"):
        fit(line(), [stage], OPTIONS, Run(tmp_path, "r"), lambda _: {})


def picture_net() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 1, 1)
    )


def pictures(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(size=(2, 1, 8, 8)).astype(np.float32))


def test_mixed_precision_computes_in_half_and_learns_in_full(tmp_path: Path) -> None:
    seen = set()

    def precise(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        answer = network(inputs)
        seen.add(answer.dtype)
        return {"bright": nn.functional.mse_loss(answer.float(), inputs.relu())}

    stage = Stage("first", 40, 0.05, pictures, precise)
    half = trained(tmp_path / "half", picture_net(), [stage], amp=True)
    assert seen == {torch.bfloat16}
    assert {value.dtype for value in half.values()} == {torch.float32}
    full = trained(tmp_path / "full", picture_net(), [stage])
    told, exact = (
        [entry["bright"] for entry in lines(Run(tmp_path / name, "recipe")) if "bright" in entry]
        for name in ("half", "full")
    )
    assert told[-1] < 0.3 * told[0]  # type: ignore[operator]
    assert told[-1] == pytest.approx(exact[-1], rel=0.25)
    assert any(not torch.equal(half[name], full[name]) for name in half)


def test_a_loss_in_half_precision_is_refused(tmp_path: Path) -> None:
    def rough(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        return {"bright": network(inputs).square().mean()}

    stage = Stage("first", 1, 0.1, pictures, rough)
    with pytest.raises(TypeError, match=r"'bright' of stage first is a torch\.bfloat16"):
        fit(picture_net(), [stage], replace(OPTIONS, amp=True), Run(tmp_path, "r"), lambda _: {})


def test_tensorboard_reads_a_run_each_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    class Cut(Exception):
        pass

    def cut(_: nn.Module) -> dict[str, float]:
        if len(lines(run)) > 6:
            raise Cut
        return {"score": 0.5}

    run = Run(tmp_path, "recipe")
    with pytest.raises(Cut):
        fit(line(), stages(), OPTIONS, run, cut)  # state of step 4 kept, cut after step 6
    fit(line(), stages(), OPTIONS, run, lambda _: {"score": 0.25})
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [one.step for one in events.Scalars("loss/square")] == list(range(1, 11))
    assert [one.value for one in events.Scalars("validation/score")] == [0.5, 0.25, 0.25, 0.25]
