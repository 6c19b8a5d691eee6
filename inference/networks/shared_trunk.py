"""Le and others 2019: segmentation and cancer classification on one trunk."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.networks.trunks import Norm, Stride, Trunk, TrunkName


class Reading(NamedTuple):
    """What the network says of a batch of pictures, before any softmax or sigmoid."""

    pixels: Tensor  # B K H W
    cancer: Tensor  # B


class SharedTrunkNet(nn.Module):
    """Segment lesions and classify cancer from the same features (Le, section 2)."""

    def __init__(
        self,
        *,
        trunk: TrunkName = "resnet50",
        in_channels: int = 3,
        width: int = 64,
        output_stride: Stride = 32,
        norm: Norm = "group",
        classes: int = 5,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(
            trunk, in_channels=in_channels, width=width, output_stride=output_stride, norm=norm
        )
        self.s_net = nn.Conv2d(self.trunk.channels, classes, 1)
        self.c_net = nn.Linear(self.trunk.channels, 1)

    def forward(self, pictures: Tensor) -> Reading:
        """Read a batch of pictures, B C H W."""
        shared = self.trunk(pictures)  # B channels h w
        pixels = F.interpolate(
            self.s_net(shared), size=pictures.shape[-2:], mode="bilinear", align_corners=False
        )
        cancer = self.c_net(shared.mean(dim=(2, 3)))  # B 1
        return Reading(pixels, cancer.squeeze(1))
