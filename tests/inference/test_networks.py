import pytest
import torch
import torchvision

from inference.networks.shared_trunk import SharedTrunkNet
from inference.networks.trunks import Stride, Trunk, TrunkName, parameters_in


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_a_trunk_is_torchvisions_to_the_last_number(name: TrunkName) -> None:
    reference = torchvision.models.get_model(name, weights=None).eval()
    reference.fc = reference.avgpool = torch.nn.Identity()
    trunk = Trunk(name, norm="batch").eval()
    trunk.load_state_dict(reference.state_dict())
    pictures = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(trunk(pictures).flatten(1), reference(pictures))


@pytest.mark.parametrize("stride", [16, 8])
def test_a_finer_trunk_dilates_as_torchvision_does(stride: Stride) -> None:
    reference = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, stride == 8, True]
    ).eval()
    reference.fc = reference.avgpool = torch.nn.Identity()
    trunk = Trunk("resnet50", norm="frozen_batch", output_stride=stride).eval()
    state = reference.state_dict()
    trunk.load_state_dict({name: value for name, value in state.items() if "tracked" not in name})
    pictures = torch.randn(1, 3, 64, 64)
    features = trunk(pictures)
    assert features.shape == (1, 2048, 64 // stride, 64 // stride)
    torch.testing.assert_close(features.flatten(1), reference(pictures), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_a_narrow_trunk_of_basic_blocks_takes_any_stride(stride: Stride) -> None:
    trunk = Trunk("resnet18", in_channels=2, width=16, output_stride=stride)
    assert trunk(torch.rand(1, 2, 64, 96)).shape == (1, 128, 64 // stride, 96 // stride)


def test_the_norm_does_not_change_what_is_trained() -> None:
    assert parameters_in(Trunk("resnet50", norm="group")) == 23_508_032
    assert parameters_in(Trunk("resnet50", norm="batch")) == 23_508_032


def test_random_weights_under_group_norm_neither_explode_nor_die() -> None:
    torch.manual_seed(1)
    features = Trunk("resnet18", width=16)(torch.rand(2, 3, 128, 128))
    assert 0.05 < features.std().item() < 20


def test_both_nets_read_the_same_features_at_any_size() -> None:
    torch.manual_seed(2)
    net = SharedTrunkNet(trunk="resnet18", in_channels=2, width=16, output_stride=16).eval()
    with torch.inference_mode():
        reading = net(torch.rand(3, 2, 96, 80))
    assert reading.pixels.shape == (3, 5, 96, 80)
    assert reading.cancer.shape == (3,)


def test_the_cancer_score_reaches_the_shared_trunk() -> None:
    net = SharedTrunkNet(trunk="resnet18", in_channels=1, width=16)
    net(torch.rand(1, 1, 64, 64)).cancer.sum().backward()
    gradient = net.trunk.conv1.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert net.s_net.weight.grad is None
