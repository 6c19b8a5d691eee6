"""The one training loop: stages of named losses, a run folder that can be taken up again."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn

from train import parallel
from train.average import Average
from train.errors import Diverged, OtherRecipe
from train.events import Scalars, scalars
from train.run_folder import METRICS, RECIPE, STATE, WEIGHTS, Run, facts_of

__all__ = [
    "METRICS",
    "RECIPE",
    "STATE",
    "WEIGHTS",
    "Options",
    "OtherRecipe",
    "Run",
    "Stage",
    "fit",
]

_WARM_UP = 0.05  # part of a stage

B = TypeVar("B")
OptimizerKind = Literal["adamw", "adam", "sgd"]
Schedule = Literal["cosine", "constant"]


@dataclass(frozen=True, slots=True, eq=False)
class Stage(Generic[B]):
    """One stretch of training: what a step learns from, and by which losses."""

    name: str
    steps: int
    learning_rate: float
    batch: Callable[[np.random.Generator], B]
    losses: Callable[[nn.Module, B], Mapping[str, Tensor]]  # summed; each time the same names
    frozen: tuple[str, ...] = ()  # parts of the network, by their names, that stay as they are
    # Weight decay of parts, by their names, where it is not the options'. Adam and SGD add
    # weight_decay * w to the gradient. Keras' l2(d) adds d * w**2 to the loss, whose gradient is
    # 2 * d * w: a paper's l2(d) is a weight decay of 2 * d here, with Adam or SGD. AdamW's decay
    # does not pass through the moments, and is neither.
    decay: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for all stages."""

    seed: int
    weight_decay: float
    clip_norm: float
    amp: bool  # bfloat16 where the hardware has it; slower where it has not
    validate_every: int  # steps; also at the end of each stage
    device: str = "cpu"
    kind: OptimizerKind = "adamw"
    momentum: float = 0.0  # SGD's
    schedule: Schedule = "cosine"  # after a warm-up; constant: the stage's rate in each step
    accumulate: int = 1  # batches a step, and process
    average: float = 0.0  # what the mean of the weights keeps of itself in a step; 0: no mean


def fit(
    network: nn.Module,
    stages: Sequence[Stage[B]],
    options: Options,
    run: Run,
    validate: Callable[[nn.Module], Mapping[str, float]],
) -> None:
    """Train through all stages, or through what is left of them.

    Each batch is drawn from a generator of its own, made from the seed and the numbers of stage,
    step and batch: a run that was interrupted goes on as if it had not been, and several processes
    learn what one would that accumulates as many batches.
    """
    network.to(torch.device(options.device))
    optimizer, decays = _optimizer(network, stages, options)
    average = Average(network, options.average) if options.average else None
    done = run.take_up(network, optimizer, average)
    parallel.alike(network)
    total = sum(stage.steps for stage in stages)
    with _account(run, options, done, total) as account:
        first = 0
        for number, stage in enumerate(stages):
            _freeze(network, stage.frozen)
            for group, decay in zip(optimizer.param_groups, decays, strict=True):
                group["weight_decay"] = decay[number]
            for step in range(max(0, done - first), stage.steps):
                began = time.monotonic()
                rate = stage.learning_rate * _pace(step, stage.steps, options.schedule)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                losses = _step(network, optimizer, stage, options, (number, step))
                if average is not None:
                    average.follow(network)
                here = first + step + 1
                account.step(stage.name, here, rate, time.monotonic() - began, losses)
                if here % options.validate_every == 0 or step + 1 == stage.steps:
                    parallel.average_statistics(network)
                    if parallel.leads():
                        network.eval()
                        with nullcontext() if average is None else average.worn_by(network):
                            figures = dict(validate(network))
                        account.validation(stage.name, here, figures)
                        run.keep(network, optimizer, here, average)
                    _freeze(network, stage.frozen)
            first += stage.steps
    if parallel.leads():
        run.end(network, total, average)
    parallel.wait()  # the files are there for all
    network.eval()


def _optimizer(
    network: nn.Module, stages: Sequence[Stage[B]], options: Options
) -> tuple[torch.optim.Optimizer, list[tuple[float, ...]]]:
    """Make the optimizer, and say each of its groups' decay in each stage.

    A group is the parameters that always decay alike, so that one optimizer with its moments
    serves all stages.
    """
    for stage in stages:
        for part in stage.decay or ():
            network.get_submodule(part)  # says if there is none
    groups: dict[tuple[float, ...], list[nn.Parameter]] = {}
    for name, weight in network.named_parameters():
        decays = tuple(_decay(name, stage, options) for stage in stages)
        groups.setdefault(decays, []).append(weight)
    lists = [{"params": weights} for weights in groups.values()]
    match options.kind:
        case "adamw":
            return torch.optim.AdamW(lists), list(groups)
        case "adam":
            return torch.optim.Adam(lists), list(groups)
        case "sgd":
            return torch.optim.SGD(lists, momentum=options.momentum), list(groups)


def _decay(name: str, stage: Stage[B], options: Options) -> float:
    """Return what the innermost part that holds a parameter says of it."""
    parts = [part for part in stage.decay or () if not part or name.startswith(f"{part}.")]
    if not parts:
        return options.weight_decay
    assert stage.decay is not None
    return stage.decay[max(parts, key=len)]


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
    options: Options,
    place: tuple[int, int],
) -> dict[str, float]:
    """Take one step and return its losses, each the mean over the step's batches."""
    optimizer.zero_grad(set_to_none=True)
    sums = torch.zeros((), device=options.device)
    for turn in range(options.accumulate):
        part = turn * parallel.processes() + parallel.number()
        rng = np.random.default_rng([options.seed, *place, part])
        _seed(int(rng.integers(1 << 62)), options.device)
        batch = stage.batch(rng)
        with torch.autocast(options.device.partition(":")[0], torch.bfloat16, enabled=options.amp):
            losses = stage.losses(network, batch)
        values = _precise(losses, stage.name)
        (values.sum() / options.accumulate).backward()  # type: ignore[no-untyped-call]
        sums = sums + values.detach()
    means = parallel.averaged(sums / options.accumulate)
    if not torch.isfinite(means).all():
        raise Diverged(f"the loss is {means.sum().item()} in stage {stage.name}: lower its rate")
    parallel.average_gradients(network)
    nn.utils.clip_grad_norm_(network.parameters(), options.clip_norm)
    optimizer.step()
    return {name: round(mean, 5) for name, mean in zip(losses, means.tolist(), strict=True)}


def _seed(seed: int, device: str) -> None:
    """Seed what torch draws in this step: dropout, and the regions of detectors."""
    if device.startswith("cpu"):
        # `torch.manual_seed` would also keep a note of each call until somebody uses a GPU.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def _precise(losses: Mapping[str, Tensor], stage: str) -> Tensor:
    """Stack the losses; one that was summed in half precision has lost most of its digits."""
    for name, loss in losses.items():
        if loss.dtype not in {torch.float32, torch.float64}:
            raise TypeError(
                f"the loss {name!r} of stage {stage} is a {loss.dtype}: compute it from "
                "`.float()` of what the network says"
            )
    return torch.stack([loss.float() for loss in losses.values()])


def _pace(step: int, steps: int, schedule: Schedule) -> float:
    """Warm up, then follow a cosine down to nothing; or do not change."""
    if schedule == "constant":
        return 1.0
    warm = max(1, round(steps * _WARM_UP))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """What a run says of itself while it goes; of several processes, the first one says it."""

    run: Run
    progress: Progress
    bar: TaskID
    scalars: Scalars

    def step(
        self, stage: str, step: int, rate: float, seconds: float, losses: Mapping[str, float]
    ) -> None:
        """Tell the losses of a step."""
        if not parallel.leads():
            return
        self.run.note(step=step, stage=stage, rate=rate, seconds=round(seconds, 3), **losses)
        self.scalars(step, "loss", losses)
        shown = " ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self.progress.update(self.bar, completed=step, description=f"{stage}: {shown}")

    def validation(self, stage: str, step: int, figures: Mapping[str, float]) -> None:
        """Tell how the network does on patients who do not teach it."""
        self.run.note(step=step, stage=stage, validation=figures)
        self.scalars(step, "validation", figures)


@contextmanager
def _account(run: Run, options: Options, done: int, total: int) -> Iterator[_Account]:
    """Open the run's books."""
    with _progress() as progress:
        bar = progress.add_task("", total=total, completed=done)
        if parallel.leads():
            run.forget_after(done)
            if facts_of(run.folder).get("weights_sha256") is None:
                other = run.begin(
                    seed=options.seed,
                    steps=total,
                    done=done,
                    device=options.device,
                    processes=parallel.processes(),
                )
                if other:
                    progress.console.print(
                        f"The run began with other {', '.join(other)}: its result is not quite "
                        "that of one go.",
                        highlight=False,
                    )
        with scalars(run.folder, done, wanted=parallel.leads() and done < total) as writing:
            yield _Account(run, progress, bar, writing)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        disable=not parallel.leads(),
    )
