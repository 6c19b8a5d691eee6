"""A small training as a program, so that tests can kill it, and start it as several processes.

`python small_training.py FOLDER CUT`: trains, and kills itself at CUT, one of `CUTS`; `none` lives.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from train import parallel, run_folder
from train.engine import METRICS, Options, Run, Stage, fit

CUTS = ("in a step", "in the state", "before the weights", "in validation")
CUT_AT = 9  # steps; states are kept at 4, 6, 8 and 12


class Small(nn.Module):
    """Two parts and what makes resuming hard: dropout, a norm, parameters without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 1))
        self.sometimes = nn.Linear(3, 1)
        self.never = nn.Linear(3, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Answer with one number each."""
        answer: Tensor = self.head(self.body(inputs)).squeeze(1)
        return answer + self.sometimes(inputs).squeeze(1) if inputs[0, 0] > 0 else answer


def small() -> Small:
    """Make it, each time the same."""
    torch.manual_seed(1)
    return Small()


def options(accumulate: int = 1, **changes: object) -> Options:
    """Return how it trains."""
    usual = Options(seed=5, weight_decay=0.1, clip_norm=1.0, amp=False, validate_every=4)
    chosen = {name: getattr(usual, name) for name in usual.__slots__}
    return Options(**(chosen | {"accumulate": accumulate} | changes))


def batch(rng: np.random.Generator) -> Tensor:
    """Draw what a step learns from."""
    return torch.from_numpy(rng.normal(size=(8, 3)).astype(np.float32))


def losses(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
    """Return two losses by name."""
    error = network(inputs) - inputs.sum(dim=1)
    return {"square": error.square().mean(), "small": 0.1 * error.abs().mean()}


def stages(told: Callable[[], object] = lambda: None) -> list[Stage[Tensor]]:
    """Return two stages, the first with a part that does not learn; each step is told."""

    def counted(network: nn.Module, inputs: Tensor) -> Mapping[str, Tensor]:
        told()
        return losses(network, inputs)

    return [
        Stage("head", 6, 0.05, batch, counted, frozen=("body",)),
        Stage("all", 6, 0.05, batch, counted, decay={"head": 0.5, "head.1": 0.0}),
    ]


def killed() -> None:
    """End as a machine's power does: no handler runs, no file is closed."""
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """What kills the training at its place."""

    def __init__(self, folder: Path, cut: str) -> None:
        self.folder, self.cut, self.steps = folder, cut, 0
        self.save = torch.save
        if cut == "in the state":
            torch.save = self.half
        if cut == "before the weights":
            run_folder.save_file = self.without_weights

    def step(self) -> None:
        """Come to a step."""
        self.steps += 1
        if self.cut == "in a step" and self.steps > CUT_AT:
            with (self.folder / METRICS).open("a") as lines:
                lines.write('{"step": 10, "sta')
            killed()

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Come to a validation."""
        if self.cut == "in validation" and self.steps > CUT_AT:
            killed()
        return {"training": float(network.training)}

    def half(self, state: object, path: Path) -> None:
        """Come to the writing of the state."""
        self.save(state, path)
        if self.steps > CUT_AT:
            path.write_bytes(path.read_bytes()[:500])
            killed()

    def without_weights(self, tensors: dict[str, Tensor], path: Path) -> None:
        """Come to the writing of the weights, after that of the state."""
        if self.steps > CUT_AT:
            killed()
        save_file(tensors, path)


def main() -> None:
    """Train alone or together; keep what each process ends with."""
    folder, cut = Path(sys.argv[1]), sys.argv[2]
    torch.set_num_threads(1)
    killer = Killer(folder, cut)
    with parallel.together("cpu"):
        network = small()
        if parallel.number() == 1:
            nn.init.zeros_(network.body[0].weight)  # made alike before the first step
        fit(network, stages(killer.step), options(), Run(folder, "recipe"), killer.validate)
        ended = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        save_file(ended, folder / f"ended_{parallel.number()}.safetensors")


if __name__ == "__main__":
    main()
