"""Oriented edges as input: how steeply the grey changes in each direction, by its surroundings.

What tells a spiculated margin from a smooth one is the direction of faint edges, whatever the
contrast. A small network that learns from a thousand images hardly finds this out by itself; told
so, it begins where Dalal and Triggs' histograms of gradients end. Nothing here is learned.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

_REACH = 10  # pixels to each side that an edge is compared with
_FAINT = 0.02  # of white: weaker changes than this are grain
_NARROW = 4  # the power of the cosine between an edge's direction and a channel's


class Edges(nn.Module):
    """Add to a picture the edges of its last channel, a channel for each of some directions."""

    def __init__(self, directions: int) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the pictures, B C H W, with B directions H W behind them."""
        if not self.directions:
            return pictures
        grey = pictures[:, -1:].float()
        across = F.pad(grey[..., :, 2:] - grey[..., :, :-2], (1, 1, 0, 0))
        down = F.pad(grey[..., 2:, :] - grey[..., :-2, :], (0, 0, 1, 1))
        steep = (across.square() + down.square() + 1e-8).sqrt()
        strength = steep / (_around(steep) + _FAINT)
        parts = []
        for number in range(self.directions):
            angle = math.pi * number / self.directions
            along = (across * math.cos(angle) + down * math.sin(angle)) / steep
            parts.append(strength * along.pow(_NARROW))
        both = torch.cat([pictures, *(part.to(pictures) for part in parts)], dim=1)
        return both.contiguous(memory_format=torch.channels_last)


def _around(steep: Tensor) -> Tensor:
    """Return the mean over a square around each pixel, of what of it lies in the picture."""
    length = 2 * _REACH + 1
    rows = F.avg_pool2d(steep, (1, length), 1, (0, _REACH), count_include_pad=False)
    return F.avg_pool2d(rows, (length, 1), 1, (_REACH, 0), count_include_pad=False)
