"""Time one forward of each paper's network at the paper's input size, untrained, on this machine.

`python benchmarks/forwards.py` prints the table of docs/networks.md. Each network runs in a process
of its own, so that the peak of memory is its own.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inference.networks.all_conv import AllConvNet, PatchNet, paper_top
from inference.networks.deeplima import CalcificationNet, MassNet
from inference.networks.ft_mtl import FtMtlNet
from inference.networks.recall_retina import RecallRetinaNet
from inference.networks.shared_trunk import SharedTrunkNet
from inference.networks.trunks import parameters_in

Make = Callable[[], nn.Module]


def whole(trunk: str, top: str) -> Make:
    """Return how to make one of Shen's four models; patches of 224 pixels."""
    norm = None if trunk == "vgg16" else "batch"
    return lambda: AllConvNet(PatchNet(trunk=trunk, norm=norm, patch_px=224), paper_top(top))  # type: ignore[arg-type]


class EveryRegion(FtMtlNet):
    """Gao's network, looking at as many regions as it may: how many pass depends on weights."""

    def __init__(self) -> None:
        super().__init__()
        # Anchors as they stand; moved by chance they would all be the whole picture, and so one.
        nn.init.zeros_(self.regions.head.bbox_pred.weight)

    def eval(self) -> Self:
        """Read without asking a region for objectness."""
        super().eval()
        self.regions.score_thresh = 0.0
        return self


# What is read, by which network, at which size (height, width), in how many channels, and whether
# the network wants to be told which part of the picture is no padding.
NETWORKS: dict[str, tuple[Make, tuple[int, int], int, bool]] = {
    "recall_retina, ResNet-50": (RecallRetinaNet, (1024, 832), 3, True),
    "shared_trunk, ResNet-50, stride 32": (SharedTrunkNet, (1152, 832), 3, False),
    "shared_trunk, ResNet-50, stride 8": (
        lambda: SharedTrunkNet(output_stride=8),
        (1152, 832),
        3,
        False,
    ),
    "ft_mtl, ResNet-50 to C4, all regions": (EveryRegion, (512, 512), 3, True),
    "all_conv, ResNet-50 + ResNet blocks": (whole("resnet50", "resnet"), (1152, 896), 3, False),
    "all_conv, ResNet-50 + VGG blocks": (whole("resnet50", "vgg"), (1152, 896), 3, False),
    "all_conv, VGG16 + VGG blocks": (whole("vgg16", "vgg"), (1152, 896), 3, False),
    "all_conv, VGG16 + ResNet blocks": (whole("vgg16", "resnet"), (1152, 896), 3, False),
    "deeplima masses, FPN + focal + non-local": (MassNet, (1472, 1200), 3, True),
    "deeplima masses, vanilla": (
        lambda: MassNet(fpn=False, focal=False, nonlocal_at=()),
        (1472, 1200),
        3,
        True,
    ),
    "deeplima calcifications, one tile": (CalcificationNet, (512, 512), 1, False),
}


def measured(name: str, threads: int, repeats: int) -> str:
    """Return a network's row of the table."""
    make, size, channels, told = NETWORKS[name]
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    network = make().eval()
    pictures = torch.rand(1, channels, *size)
    asked: tuple[Tensor, ...] | tuple[Tensor, list[tuple[int, int]]] = (
        (pictures, [size]) if told else (pictures,)
    )
    seconds = []
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            network(*asked)
        for _ in range(repeats):
            began = time.perf_counter()
            network(*asked)
            seconds.append(time.perf_counter() - began)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"| {name} | {size[0]} x {size[1]} | {parameters_in(network) / 1e6:.2f} | "
        f"{counter.get_total_flops() / 1e9:.0f} | {min(seconds):.2f} | {gigabytes:.2f} |"
    )


def main() -> None:
    """Print the table, or one row of it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--only", choices=NETWORKS, help="one network, in this process")
    asked.add_argument("--threads", type=int, default=2)
    asked.add_argument("--repeats", type=int, default=3)
    told = asked.parse_args()
    if told.only:
        print(measured(told.only, told.threads, told.repeats))
        return
    print("| network | input | parameters, million | GFLOP | seconds | peak memory, GiB |")
    print("|---|---|---|---|---|---|")
    for name in NETWORKS:
        command = [sys.executable, __file__, "--only", name]
        command += ["--threads", str(told.threads), "--repeats", str(told.repeats)]
        subprocess.run(command, check=True)  # noqa: S603 - this very script


if __name__ == "__main__":
    main()
