"""The non-local block: each position asks all others (Wang 2018; Cao, equations 3 and 4)."""

from typing import Literal

from torch import Tensor, nn

from inference.networks.trunks import group_norm

BlockNorm = Literal["group", "batch"]  # a frozen norm would keep the block shut forever


class NonLocal(nn.Module):
    """Add to each position the mean of all others, weighed by their likeness.

    The likeness is a dot product without a softmax, so the products may be taken in either order.
    Positions first costs N C² and never builds the map of N x N likenesses, which takes 190 MB at
    75 x 92 positions.
    """

    def __init__(self, channels: int, *, norm: BlockNorm = "group") -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels) if norm == "batch" else group_norm(channels)
        # The block starts as the identity, so that it can join a trained trunk (Wang, section 4.1).
        assert isinstance(self.norm.weight, Tensor)
        nn.init.zeros_(self.norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape, B C H W."""
        theta = self.theta(features).flatten(2).transpose(1, 2)  # B N c
        phi = self.phi(features).flatten(2)  # B c N
        g = self.g(features).flatten(2).transpose(1, 2)  # B N c
        # Divided before they are added up: a sum over N overflows half precision.
        asked = theta @ ((phi / phi.shape[-1]) @ g)  # B N c
        asked = asked.transpose(1, 2).unflatten(2, features.shape[-2:])  # B c H W
        changed: Tensor = features + self.norm(self.out(asked))
        return changed
