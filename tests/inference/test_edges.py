"""What the network is told of edges does not depend on exposure, and turns with the picture."""

import math

import pytest
import torch

from inference.networks.edges import Edges
from inference.networks.recall_retina import RecallRetinaNet


def stripes(degrees: float, contrast: float = 0.5, size: int = 64) -> torch.Tensor:
    """Draw waves whose grey changes most in this direction, columns first."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees))
    return (0.5 + contrast * torch.sin(along / 2) / 2)[None, None].float()


@pytest.mark.parametrize("number", range(6))
def test_stripes_are_edges_of_their_own_direction(number: int) -> None:
    edges = Edges(6)(stripes(30 * number))[0, 1:, 12:-12, 12:-12].mean(dim=(1, 2))
    assert int(edges.argmax()) == number
    opposite = edges[(number + 3) % 6]
    assert edges[number] > 20 * opposite


def test_the_pictures_own_channels_come_first_and_stay() -> None:
    pictures = torch.rand(2, 3, 40, 48)
    told = Edges(4)(pictures)
    assert told.shape == (2, 7, 40, 48)
    assert torch.equal(told[:, :3], pictures)
    assert Edges(0)(pictures) is pictures


def test_a_faint_margin_is_told_as_a_strong_one_is_and_grain_is_not() -> None:
    strong, faint = (Edges(6)(stripes(0, contrast))[0, 1] for contrast in (0.8, 0.2))
    middle = (slice(12, -12), slice(12, -12))
    assert faint[middle].mean() == pytest.approx(float(strong[middle].mean()), rel=0.3)
    assert Edges(6)(stripes(0, 0.002))[0, 1][middle].mean() < 0.1 * strong[middle].mean()


def test_the_darkness_beside_a_breast_has_no_edges() -> None:
    told = Edges(6)(torch.zeros(1, 1, 32, 32))
    assert told.abs().max() < 0.01
    assert told.isfinite().all()


def test_upside_down_the_directions_change_places() -> None:
    picture = torch.rand(1, 1, 40, 40, generator=torch.Generator().manual_seed(1))
    upright, turned = Edges(6)(picture)[:, 1:], Edges(6)(picture.flip(2))[:, 1:].flip(2)
    mirrored = turned[:, [0, 5, 4, 3, 2, 1]]
    torch.testing.assert_close(upright, mirrored, atol=1e-4, rtol=1e-4)


def test_a_network_of_edges_differs_in_its_first_layer_alone() -> None:
    plain, told = (RecallRetinaNet(trunk="resnet18", width=8, channels=16, edges=n) for n in (0, 6))
    other = [
        name
        for name, weight in told.state_dict().items()
        if weight.shape != plain.state_dict()[name].shape
    ]
    assert other == ["trunk.conv1.weight"]
    assert told.state_dict().keys() == plain.state_dict().keys(), "nothing of them is learned"
