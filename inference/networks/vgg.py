"""The VGG16 trunk, under torchvision's names."""

from torch import Tensor, nn

from inference.networks.trunks import Norm, norm_layer

_BLOCKS = ((1, 2), (2, 2), (4, 3), (8, 3), (8, 3))  # channels in widths, convolutions
_UPPER_BLOCKS = 2  # blocks 4 and 5


class VggTrunk(nn.Module):
    """The five blocks of VGG16, a stride of 32; its state fits torchvision's.

    A width of 64 is torchvision's. Simonyan and Zisserman's network knows no norm; training one
    from scratch goes better with it.
    """

    def __init__(self, *, in_channels: int = 3, width: int = 64, norm: Norm | None = None) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for widths, convolutions in _BLOCKS:
            for _ in range(convolutions):
                layers.append(nn.Conv2d(channels, widths * width, 3, padding=1))
                channels = widths * width
                if norm is not None:
                    layers.append(norm_layer(norm, channels))
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the last feature map."""
        features: Tensor = self.features(pictures)
        return features  # B 8*width H/32 W/32

    @property
    def upper(self) -> nn.Sequential:
        """Return the last two blocks."""
        pools = [n for n, layer in enumerate(self.features) if isinstance(layer, nn.MaxPool2d)]
        return nn.Sequential(*list(self.features)[pools[-1 - _UPPER_BLOCKS] + 1 :])
