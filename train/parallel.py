"""Several processes at one training, as torchrun starts them.

Gradients are averaged by hand and not by DistributedDataParallel. Its wrapper only knows a
network's `forward`, and hides its class; but stages call what they like of a network, freeze parts,
and may leave parameters without a gradient. What is lost is that the wrapper sends the first
gradients while the last are still computed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from train.errors import Refused

# The others wait while the first images patients or validates; torchrun sees who died.
_PATIENCE = timedelta(days=1)


def processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _together() else 1


def number() -> int:
    """Return which of them this is."""
    return dist.get_rank() if _together() else 0


def leads() -> bool:
    """Tell whether this process is the one that writes, validates and speaks."""
    return number() == 0


@contextmanager
def together(device: str) -> Iterator[str]:
    """Join the processes that torchrun started, if it did; give this one's device.

    Every process then reads the same run folder: several machines need a shared one.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) if dist.is_torchelastic_launched() else 1
    if started > 1 and device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    _exists(device)
    if started == 1:
        yield device
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_PATIENCE)
    yield device
    # Not after a fault: the others may be waiting for this one, which would wait for them.
    dist.destroy_process_group()


@contextmanager
def first_alone() -> Iterator[None]:
    """Let the first process go before the others, as where all want to fill one cache."""
    if not leads():
        wait()
    yield
    if leads():
        wait()


def wait() -> None:
    """Wait until every process is here."""
    if _together():
        dist.all_reduce(torch.zeros(1))


@torch.no_grad()
def alike(network: nn.Module) -> None:
    """Give every process the first one's weights."""
    if _together():
        for tensor in network.state_dict().values():
            sent = tensor.contiguous()
            dist.broadcast(sent, 0)
            tensor.copy_(sent)


@torch.no_grad()
def average_gradients(network: nn.Module) -> None:
    """Give every process the mean gradient.

    A parameter that got none here may have got one elsewhere; it got none only if it did nowhere,
    and an optimizer leaves it alone.
    """
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    if not _together() or not learning:
        return
    got = torch.tensor([float(weight.grad is not None) for weight in learning])
    gradients = [_zeros(weight) if weight.grad is None else weight.grad for weight in learning]
    everything = torch.cat([got.to(learning[0].device), *(one.flatten() for one in gradients)])
    dist.all_reduce(everything)
    sizes = [len(learning), *(one.numel() for one in gradients)]
    anywhere, *sums = torch.split(everything, sizes)
    for weight, total, had in zip(learning, sums, anywhere.tolist(), strict=True):
        mean = (total / processes()).view_as(weight)
        weight.grad = torch.empty_like(weight).copy_(mean) if had else None


@torch.no_grad()
def average_statistics(network: nn.Module) -> None:
    """Give every process the mean of what norms have counted; it is no gradient's business."""
    if _together():
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.copy_(averaged(buffer))


def averaged(values: Tensor) -> Tensor:
    """Return the mean over all processes."""
    if not _together():
        return values
    total = values.contiguous().clone()
    dist.all_reduce(total)
    return total / processes()


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def _zeros(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight, memory_format=torch.contiguous_format)


def _exists(device: str) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as fault:
        why = str(fault).splitlines()[0]
        have = ["cpu", *(f"cuda:{one}" for one in range(torch.cuda.device_count()))]
        raise Refused(
            f"--device {device} cannot be used: {why}; this machine has {', '.join(have)}"
        ) from fault
