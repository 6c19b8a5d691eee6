"""Anchors of the detectors, laid where the convolutions look."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import (  # type: ignore[import-untyped]
    AnchorGenerator,
)
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]

_RATIOS = (0.5, 1.0, 2.0)  # height to width

Sizes = tuple[tuple[float, ...], ...]  # of the anchors of each level, in picture pixels


def doubling(smallest_px: float, levels: int, *, steps: int = 1) -> Sizes:
    """Return sizes that double from level to level, in so many steps an octave."""
    return tuple(
        tuple(smallest_px * 2 ** (level + step / steps) for step in range(steps))
        for level in range(levels)
    )


class Anchors(AnchorGenerator):  # type: ignore[misc]
    """Boxes of three shapes around each position of each level.

    torchvision guesses a level's stride from the sizes of picture and grid: a picture 832 wide
    and a grid of 7 give 118 where the convolutions step by 128, and the last box is 60 pixels
    from where its features look. Here strides are said, and boxes stay in single precision.
    """

    def __init__(self, sizes: Sizes, strides: Sequence[int]) -> None:
        super().__init__(sizes, (_RATIOS,) * len(sizes))
        self.strides = tuple(strides)

    def at_each_place(self) -> int:
        """Return how many anchors share a position; a head is shared, so all levels agree."""
        return len(self.sizes[0]) * len(_RATIOS)

    def on(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return the boxes of each level's positions, row by row, n 4."""
        self.set_cell_anchors(torch.float32, levels[0].device)
        boxes: list[Tensor] = self.grid_anchors(
            [level.shape[-2:] for level in levels], [(stride, stride) for stride in self.strides]
        )
        return boxes

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Return all boxes once for each picture, as torchvision's proposal network asks."""
        return [torch.cat(self.on(feature_maps))] * len(image_list.image_sizes)
