"""The one training loop: stages of named losses, a run folder that can be taken up again."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

RECIPE, METRICS, WEIGHTS, STATE = "recipe.toml", "metrics.jsonl", "weights.safetensors", "state.pt"
_WARM_UP = 0.05  # part of a stage

B = TypeVar("B")


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Generic[B]):
    """One stretch of training: what a step learns from, and by which losses."""

    name: str
    steps: int
    learning_rate: float
    batch: Callable[[np.random.Generator], B]
    losses: Callable[[nn.Module, B], Mapping[str, Tensor]]  # summed
    frozen: tuple[str, ...] = ()  # parts of the network, by their names, that stay as they are


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for all stages."""

    seed: int
    weight_decay: float
    clip_norm: float
    amp: bool  # bfloat16 where the hardware has it; slower where it has not
    validate_every: int  # steps; also at the end of each stage
    device: str = "cpu"


class OtherRecipe(Exception):
    """Say that a run folder belongs to another recipe."""


class Run:
    """A run folder: the recipe, the weights, the measurements, and the state to go on from."""

    def __init__(self, folder: Path, recipe: str) -> None:
        self.folder = folder
        self.recipe_sha256 = hashlib.sha256(recipe.encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / RECIPE
        if kept.exists() and kept.read_text(encoding="utf-8") != recipe:
            raise OtherRecipe(
                f"{folder} holds a run of another recipe: choose another folder, or remove it"
            )
        kept.write_text(recipe, encoding="utf-8")

    def note(self, **facts: object) -> None:
        """Add a line to the run's measurements."""
        with (self.folder / METRICS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(facts) + "\n")

    def keep(self, network: nn.Module, optimizer: torch.optim.Optimizer, done: int) -> None:
        """Keep the weights, and what the next step needs."""
        _written(
            self.folder / WEIGHTS,
            lambda path: save_file(
                {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, path
            ),
        )
        _written(
            self.folder / STATE,
            lambda path: torch.save({"done": done, "optimizer": optimizer.state_dict()}, path),
        )

    def take_up(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Load what was kept and return how many steps are done; 0 for a new run."""
        if not (self.folder / STATE).exists():
            return 0
        state = torch.load(self.folder / STATE, weights_only=True)
        network.load_state_dict(load_file(self.folder / WEIGHTS))
        optimizer.load_state_dict(state["optimizer"])
        return int(state["done"])


def fit(
    network: nn.Module,
    stages: Sequence[Stage[B]],
    options: Options,
    run: Run,
    validate: Callable[[nn.Module], Mapping[str, float]],
) -> None:
    """Train through all stages, or through what is left of them.

    Each step draws from a generator of its own, made from the seed and the step's number: a run
    that was interrupted goes on as if it had not been.
    """
    device = torch.device(options.device)
    network.to(device)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=options.weight_decay)
    done = run.take_up(network, optimizer)
    total = sum(stage.steps for stage in stages)
    with _progress() as progress:
        bar = progress.add_task("", total=total, completed=done)
        first = 0
        for number, stage in enumerate(stages):
            _freeze(network, stage.frozen)
            for step in range(max(0, done - first), stage.steps):
                began = time.monotonic()
                rate = stage.learning_rate * _pace(step, stage.steps)
                rng = np.random.default_rng([options.seed, number, step])
                torch.manual_seed(int(rng.integers(1 << 62)))  # detectors draw regions with it
                losses = _step(network, optimizer, stage, rate, rng, options)
                here = first + step + 1
                run.note(
                    step=here,
                    stage=stage.name,
                    rate=rate,
                    seconds=round(time.monotonic() - began, 3),
                    **losses,
                )
                shown = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
                progress.update(bar, completed=here, description=f"{stage.name}: {shown}")
                if here % options.validate_every == 0 or step + 1 == stage.steps:
                    network.eval()
                    run.note(step=here, stage=stage.name, validation=dict(validate(network)))
                    _freeze(network, stage.frozen)
                    run.keep(network, optimizer, here)
            first += stage.steps
    network.eval()


def _freeze(network: nn.Module, parts: Sequence[str]) -> None:
    """Let all parts learn but these; a frozen norm keeps its statistics too."""
    network.train()
    network.requires_grad_(True)
    for part in parts:
        network.get_submodule(part).eval().requires_grad_(False)


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    stage: Stage[B],
    rate: float,
    rng: np.random.Generator,
    options: Options,
) -> dict[str, float]:
    """Take one step and return its losses."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    batch = stage.batch(rng)
    with torch.autocast(options.device.partition(":")[0], torch.bfloat16, enabled=options.amp):
        losses = stage.losses(network, batch)
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise ArithmeticError(f"the loss is {total.item()} in stage {stage.name}: lower its rate")
    optimizer.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
    optimizer.step()
    return {name: round(value.item(), 5) for name, value in losses.items()}


def _pace(step: int, steps: int) -> float:
    """Warm up, then follow a cosine down to nothing."""
    warm = max(1, round(steps * _WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _written(path: Path, write: Callable[[Path], None]) -> None:
    begun = path.with_suffix(".part")
    write(begun)
    begun.replace(path)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
