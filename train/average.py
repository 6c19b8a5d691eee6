"""The mean of a network's latest weights: it reads better than the last of them does.

Steps on few images go to and fro. The mean of the last thousand or so lies between them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_EARLY = 10  # steps after which the mean begins to reach further back


class Average:
    """The mean of a network's weights, the older ones counting less and less."""

    def __init__(self, network: nn.Module, keeps: float) -> None:
        self._keeps = keeps  # of itself, in each step
        self._steps = 0
        self._mean = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Move towards the network, which has taken a step."""
        keeps = min(self._keeps, (1 + self._steps) / (_EARLY + self._steps))
        self._steps += 1
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                self._mean[name].lerp_(tensor, 1 - keeps)
            else:
                self._mean[name].copy_(tensor)

    @contextmanager
    def worn_by(self, network: nn.Module) -> Iterator[None]:
        """Lend the mean to the network for a while."""
        own = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict(self._mean)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state(self) -> dict[str, object]:
        """Return what is needed to go on."""
        return {"steps": self._steps, "mean": self._mean}

    def go_on(self, steps: int, mean: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self._steps = steps
        for name, tensor in mean.items():
            self._mean[name].copy_(tensor)
