"""The U-Net with group normalization (Cao, section 2.2.2 and figure 4)."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

UNetNorm = Literal["group", "layer", "batch"]

_GROUPS = 16
_DOWN = 3  # stages down, and as many up
STEP = 2**_DOWN  # both sides of a tile are a multiple of it


class GroupUNet(nn.Module):
    """Give every pixel its class; three stages down, three up, two convolutions each."""

    def __init__(
        self,
        *,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 64,
        norm: UNetNorm = "group",
    ) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(_DOWN + 1)]
        layer = _NORMS[norm]
        self.down = nn.ModuleList(
            _twice(before, after, layer)
            for before, after in zip([in_channels, *widths], widths[:-1], strict=False)
        )
        self.bottom = _twice(widths[-2], widths[-1], layer)
        self.widen = nn.ModuleList(
            nn.ConvTranspose2d(2 * after, after, 2, stride=2) for after in widths[-2::-1]
        )
        self.up = nn.ModuleList(_twice(2 * after, after, layer) for after in widths[-2::-1])
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, tiles: Tensor) -> Tensor:
        """Return the logits of each pixel, B K H W."""
        height, width = tiles.shape[-2:]
        if height % STEP or width % STEP:
            raise ValueError(
                f"the sides of a tile must be multiples of {STEP}, and these are {height} x {width}"
            )
        features, kept = tiles, []
        for stage in self.down:
            features = stage(features)
            kept.append(features)
            features = F.max_pool2d(features, 2)
        features = self.bottom(features)  # B 8w H/8 W/8
        for widen, stage in zip(self.widen, self.up, strict=True):
            features = stage(torch.cat([widen(features), kept.pop()], dim=1))
        logits: Tensor = self.out(features)
        return logits


def _twice(before: int, after: int, layer: Callable[[int], nn.Module]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False),
        layer(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        layer(after),
        nn.ReLU(inplace=True),
    )


def _group(channels: int) -> nn.Module:
    return nn.GroupNorm(min(_GROUPS, channels // 2), channels)


def _layer(channels: int) -> nn.Module:
    return nn.GroupNorm(1, channels)  # Wu and He 2018, section 3: one group is layer norm


_NORMS: dict[UNetNorm, Callable[[int], nn.Module]] = {
    "group": _group,
    "layer": _layer,
    "batch": nn.BatchNorm2d,
}
