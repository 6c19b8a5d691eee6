"""ResNet trunks, composed of torchvision's blocks under torchvision's names."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck  # type: ignore[import-untyped]
from torchvision.ops import FrozenBatchNorm2d  # type: ignore[import-untyped]

from inference.networks.edges import Edges

TrunkName = Literal["resnet18", "resnet34", "resnet50"]
Norm = Literal["group", "frozen_batch", "batch"]
Stride = Literal[32, 16, 8]

_DEPTHS: dict[TrunkName, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
}
_CHANNELS_PER_GROUP = 16  # Wu and He 2018, table 3


class Trunk(nn.Module):
    """A ResNet without its classifier; its state fits torchvision's.

    A width of 64 is torchvision's. A stride of 16 or 8 keeps the last stages fine, as
    torchvision's `replace_stride_with_dilation` does. With 3 as its last stage it ends at the
    features that detectors call C4, a stride of 16. It may be told of `edges` in some directions,
    as more channels of the picture.
    """

    def __init__(  # noqa: PLR0913 - one argument a key of the card
        self,
        name: TrunkName,
        *,
        in_channels: int = 3,
        width: int = 64,
        output_stride: Stride = 32,
        norm: Norm = "group",
        last_stage: Literal[3, 4] = 4,
        edges: int = 0,
    ) -> None:
        super().__init__()
        block, depths = _DEPTHS[name]
        layer = _NORMS[norm]
        self.edges = Edges(edges)
        self.conv1 = nn.Conv2d(in_channels + edges, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, channels, reached, dilation = [], width, 4, 1
        for number, depth in enumerate(depths[:last_stage]):
            planes, stride, before = width * 2**number, 1 if number == 0 else 2, dilation
            if stride == 2 and reached == output_stride:  # noqa: PLR2004 - halving
                stride, dilation = 1, dilation * 2
            reached *= stride
            blocks: list[nn.Module] = []
            for position in range(depth):
                first = position == 0
                blocks.append(
                    _block(
                        block,
                        channels,
                        planes,
                        stride=stride if first else 1,
                        dilation=before if first else dilation,
                        layer=layer,
                    )
                )
                channels = planes * block.expansion
            stages.append(nn.Sequential(*blocks))
        stages += [nn.Sequential()] * (len(depths) - last_stage)  # empty: features pass unchanged
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stem(self, pictures: Tensor) -> Tensor:
        """Return what the first stage reads; a network of several scales goes on by itself."""
        seen = self.bn1(self.conv1(self.edges(pictures)))
        features: Tensor = self.maxpool(self.relu(seen))
        return features  # B w H/4 W/4

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the last feature map."""
        features = self.stem(pictures)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
        return features  # B channels H/stride W/stride


def _block(
    block: type[BasicBlock | Bottleneck],
    channels: int,
    planes: int,
    *,
    stride: int,
    dilation: int,
    layer: Callable[[int], nn.Module],
) -> nn.Module:
    shortcut: nn.Module | None = None
    if stride != 1 or channels != planes * block.expansion:
        shortcut = nn.Sequential(
            nn.Conv2d(channels, planes * block.expansion, 1, stride=stride, bias=False),
            layer(planes * block.expansion),
        )
    made: nn.Module = (
        Bottleneck(channels, planes, stride, shortcut, dilation=dilation, norm_layer=layer)
        if block is Bottleneck
        else BasicBlock(channels, planes, stride, shortcut, norm_layer=layer)
    )
    if dilation > 1 and block is BasicBlock:
        # torchvision's BasicBlock refuses dilation, though its convolutions can do it.
        for convolution in (made.conv1, made.conv2):
            assert isinstance(convolution, nn.Conv2d)
            convolution.dilation = convolution.padding = (dilation, dilation)
    return made


def group_norm(channels: int) -> nn.Module:
    """Normalize channels in groups of sixteen, or all together where there are fewer."""
    return nn.GroupNorm(max(1, channels // _CHANNELS_PER_GROUP), channels)


_NORMS: dict[Norm, Callable[[int], nn.Module]] = {
    "group": group_norm,  # trained from scratch, in small batches
    "frozen_batch": FrozenBatchNorm2d,  # started from pretrained weights
    "batch": nn.BatchNorm2d,
}


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """Make the norm of that name, for layers that stand on a trunk."""
    return _NORMS[norm](channels)


def parameters_in(module: nn.Module) -> int:
    """Count the numbers that training can move."""
    return sum(parameter.numel() for parameter in module.parameters())


def channels_last(pictures: Tensor) -> Tensor:
    """Lay pictures out as convolutions on a CPU read them fastest."""
    return pictures.contiguous(memory_format=torch.channels_last)
