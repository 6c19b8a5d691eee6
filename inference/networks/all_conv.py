"""Shen and others 2019: a patch classifier, converted to read whole pictures."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.trunks import Norm, Trunk, TrunkName, norm_layer
from inference.networks.vgg import VggTrunk

PatchTrunk = Literal["resnet18", "resnet34", "resnet50", "vgg16"]
TopName = Literal["resnet", "vgg"]

_STRIDE = 32  # of every patch trunk
_CLASSES = 2  # of a picture: without cancer, and with


class PatchNet(nn.Module):
    """Tell background, and masses and calcifications by their truth, in a patch (section 2.1).

    VGG's fully connected layers are replaced by the mean over the patch, as ResNet has it
    (section 2.2). A norm of None is VGG's own; ResNet needs one.
    """

    def __init__(  # noqa: PLR0913 - one argument a key of the card
        self,
        *,
        trunk: PatchTrunk = "resnet50",
        in_channels: int = 3,
        width: int = 64,
        norm: Norm | None = "batch",
        classes: int = 5,
        patch_px: int = 224,
        edges: int = 0,
    ) -> None:
        super().__init__()
        if patch_px % _STRIDE:
            raise ValueError(f"patch_px is {patch_px}; choose a multiple of {_STRIDE}")
        self.trunk = _trunk(trunk, in_channels, width, norm, edges)
        self.classifier = nn.Linear(self.trunk.channels, classes)
        self.window = patch_px // _STRIDE  # features along the side of a patch

    def forward(self, patches: Tensor) -> Tensor:
        """Return the logits of each patch's classes, B K."""
        logits: Tensor = self.classifier(self.trunk(patches).mean(dim=(2, 3)))
        return logits  # B K

    def scan(self, pictures: Tensor) -> Tensor:
        """Return the logits that a patch at each place of a picture would get, B K u v."""
        windows = F.avg_pool2d(self.trunk(pictures), self.window, stride=1)  # B channels u v
        weight = self.classifier.weight[:, :, None, None]
        return F.conv2d(windows, weight, self.classifier.bias)

    @property
    def upper(self) -> tuple[nn.Module, ...]:
        """Return what the second stage of training unfreezes (section 3.1.2).

        The paper counts Keras layers, 46 of ResNet-50 and 11 of VGG16; these parts hold them.
        """
        if isinstance(self.trunk, VggTrunk):
            return self.trunk.upper, self.classifier
        return self.trunk.layer3[-1], self.trunk.layer4, self.classifier


@dataclass(frozen=True, slots=True)
class ResNetBlock:
    """Units of three convolutions, the first with stride 2: [L-M-N] x K in the paper's words."""

    depths: tuple[int, int, int]
    units: int


@dataclass(frozen=True, slots=True)
class VggBlock:
    """Convolutions of 3 x 3, then max-pooling of 2 x 2: N x K in the paper's words."""

    depth: int
    convolutions: int


Block = ResNetBlock | VggBlock


def paper_top(name: TopName, width: int = 64) -> tuple[Block, Block]:
    """Return the blocks of the four models that the paper averages (tables 2 and 3).

    At a width of 64 they are the paper's.
    """
    if name == "resnet":
        block = ResNetBlock((8 * width, 8 * width, 16 * width), units=2)
        return block, block
    return VggBlock(4 * width, convolutions=1), VggBlock(2 * width, convolutions=1)


class Reading(NamedTuple):
    """What the network says of a batch of pictures, before any softmax."""

    classes: Tensor  # B 2, without cancer and with

    @property
    def cancer(self) -> Tensor:
        """Return the logit of cancer, B; its sigmoid is the softmax's second class."""
        return self.classes[:, 1] - self.classes[:, 0]


class AllConvNet(nn.Module):
    """Read whole pictures with a patch network and convolutions on top of it (section 2.2).

    It begins with a copy of the patch network's weights. The patch classifier itself, the
    "heatmap", is a bottleneck and removed, but can be kept to repeat the paper's comparison.
    """

    def __init__(
        self,
        patches: PatchNet,
        top: Sequence[Block],
        *,
        norm: Norm = "batch",
        heatmap: bool = False,
    ) -> None:
        super().__init__()
        patches = copy.deepcopy(patches)
        self.trunk = Heatmap(patches) if heatmap else patches.trunk
        channels, layers = self.trunk.channels, []
        for block in top:
            made, channels = _block(block, channels, norm)
            layers.append(made)
        self.top = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, _CLASSES)
        _initialize(self.top)

    def forward(self, pictures: Tensor) -> Reading:
        """Read a batch of pictures, B C H W."""
        features = self.top(self.trunk(pictures))  # B channels H/128 W/128
        return Reading(self.classifier(features.mean(dim=(2, 3))))


class Heatmap(nn.Module):
    """What a patch network says at each place, with ReLU instead of softmax (equation 2)."""

    def __init__(self, patches: PatchNet) -> None:
        super().__init__()
        self.patches = patches
        self.channels = patches.classifier.out_features

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the heatmap, B K u v."""
        return F.relu(self.patches.scan(pictures))


class HeatmapLayersNet(nn.Module):
    """Read whole pictures with max-pooling and two layers on the heatmap: the paper's baseline.

    Fully connected layers fix the size of the picture. The shortcut of section 2.2 leads the
    pooled heatmap past them to the last layer.
    """

    def __init__(
        self,
        patches: PatchNet,
        *,
        picture_px: tuple[int, int] = (1152, 896),
        pool: int = 5,
        hidden: tuple[int, int] = (64, 32),
    ) -> None:
        super().__init__()
        self.trunk = Heatmap(copy.deepcopy(patches))
        self.pool = nn.MaxPool2d(pool)
        rows, columns = ((side // _STRIDE - patches.window + 1) // pool for side in picture_px)
        if min(rows, columns) < 1:
            raise ValueError(
                f"a picture of {picture_px} pixels leaves nothing to pool by {pool}; "
                "choose a larger picture, or a smaller pool or patch"
            )
        seen = self.trunk.channels * rows * columns
        self.top = nn.Sequential(
            nn.Linear(seen, hidden[0]),
            nn.ReLU(inplace=True),
            nn.Linear(hidden[0], hidden[1]),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(hidden[1] + seen, _CLASSES)

    def forward(self, pictures: Tensor) -> Reading:
        """Read a batch of pictures of the one size, B C H W."""
        seen = self.pool(self.trunk(pictures)).flatten(1)  # B K*u*v
        return Reading(self.classifier(torch.cat([self.top(seen), seen], dim=1)))


def augmented_score(network: Callable[[Tensor], Reading], pictures: Tensor) -> Tensor:
    """Return the mean probability of cancer over the four flips, B (section 3.1.4)."""
    flips: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))
    scores = [network(pictures.flip(axes)).cancer.float().sigmoid() for axes in flips]
    return torch.stack(scores).mean(dim=0)


class _Unit(nn.Module):
    """Three convolutions and a shortcut; the strided unit projects its shortcut."""

    def __init__(
        self, channels: int, depths: tuple[int, int, int], stride: int, norm: Norm
    ) -> None:
        super().__init__()
        narrow, middle, wide = depths
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, stride=stride, bias=False),
            norm_layer(norm, narrow),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, middle, 3, padding=1, bias=False),
            norm_layer(norm, middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, wide, 1, bias=False),
            norm_layer(norm, wide),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, wide, 1, stride=stride, bias=False), norm_layer(norm, wide)
            )

    def forward(self, features: Tensor) -> Tensor:
        return F.relu(self.convolutions(features) + self.shortcut(features))


def _trunk(
    name: PatchTrunk, in_channels: int, width: int, norm: Norm | None, edges: int
) -> Trunk | VggTrunk:
    if name == "vgg16":
        if edges:
            raise ValueError("only a ResNet can be told of edges: leave them out for vgg16")
        return VggTrunk(in_channels=in_channels, width=width, norm=norm)
    if norm is None:
        raise ValueError(f"{name} needs a norm; only vgg16 can do without")
    resnet: TrunkName = name
    return Trunk(resnet, in_channels=in_channels, width=width, norm=norm, edges=edges)


def _block(block: Block, channels: int, norm: Norm) -> tuple[nn.Sequential, int]:
    """Make a block on that many channels, and say how many it returns."""
    layers: list[nn.Module] = []
    if isinstance(block, ResNetBlock):
        for number in range(block.units):
            layers.append(_Unit(channels, block.depths, 2 if number == 0 else 1, norm))
            channels = block.depths[-1]
        return nn.Sequential(*layers), channels
    for _ in range(block.convolutions):
        layers.append(nn.Conv2d(channels, block.depth, 3, padding=1, bias=False))
        layers += [norm_layer(norm, block.depth), nn.ReLU(inplace=True)]
        channels = block.depth
    layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers), channels


def _initialize(top: nn.Module) -> None:
    for module in top.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
