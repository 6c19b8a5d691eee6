"""Facts of Shen and others 2019 (arXiv 1708.09427) that the code must hold."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.vgg import cfgs, make_layers  # type: ignore[import-untyped]

from inference.networks.all_conv import (
    AllConvNet,
    Heatmap,
    HeatmapLayersNet,
    PatchNet,
    PatchTrunk,
    Reading,
    ResNetBlock,
    TopName,
    VggBlock,
    augmented_score,
    paper_top,
)
from inference.networks.trunks import Trunk, parameters_in
from inference.networks.vgg import VggTrunk

TRUNKS: tuple[PatchTrunk, ...] = ("resnet50", "vgg16")


def _patch_net(trunk: PatchTrunk) -> PatchNet:
    with torch.device("meta"):
        return PatchNet(trunk=trunk, norm=None if trunk == "vgg16" else "batch")


def _paper_net(trunk: PatchTrunk, top: TopName) -> AllConvNet:
    with torch.device("meta"):
        return AllConvNet(_patch_net(trunk), paper_top(top))


def _small(trunk: PatchTrunk = "resnet18", patch_px: int = 96) -> PatchNet:
    torch.manual_seed(1)
    norm = "group" if trunk.startswith("resnet") else None
    return PatchNet(trunk=trunk, in_channels=1, width=8, norm=norm, patch_px=patch_px).eval()


# Patch networks


@pytest.mark.parametrize(("trunk", "millions"), [("resnet50", 23.52), ("vgg16", 14.72)])
def test_patch_networks_have_24_and_15_million_parameters(
    trunk: PatchTrunk, millions: float
) -> None:  # section 4
    assert round(parameters_in(_patch_net(trunk)) / 1e6, 2) == millions


def test_a_patch_of_224_pixels_becomes_7_by_7_by_512_in_vgg() -> None:  # section 2.2
    net = _patch_net("vgg16")
    patches = torch.empty(32, 3, 224, 224, device="meta")
    assert net.trunk(patches).shape == (32, 512, 7, 7)
    assert net(patches).shape == (32, 5)


def test_the_vgg_trunk_is_torchvisions_to_the_last_number() -> None:
    reference = make_layers(cfgs["D"])
    trunk = VggTrunk()
    trunk.features.load_state_dict(reference.state_dict())
    pictures = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(trunk(pictures), reference(pictures))


def test_a_vgg_trunk_may_have_a_norm_that_the_paper_could_not_add() -> None:  # section 3.1.4
    def norms(net: nn.Module) -> int:
        return sum(isinstance(module, nn.GroupNorm) for module in net.modules())

    assert norms(VggTrunk(width=8)) == 0
    assert norms(VggTrunk(width=8, norm="group")) == 13


def test_a_resnet_without_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="resnet18 needs a norm"):
        PatchNet(trunk="resnet18", norm=None)


def test_a_resnet_may_be_told_of_edges_and_vgg_not() -> None:  # from chance it hardly finds them
    told = PatchNet(trunk="resnet18", in_channels=1, width=8, norm="group", patch_px=64, edges=6)
    assert isinstance(told.trunk, Trunk)
    assert told.trunk.conv1.in_channels == 7
    assert told(torch.rand(2, 1, 64, 64)).shape == (2, 5)
    whole = AllConvNet(told, [VggBlock(8, convolutions=1)], norm="group")
    assert whole(torch.rand(1, 1, 128, 64)).classes.shape == (1, 2)
    with pytest.raises(ValueError, match="only a ResNet"):
        PatchNet(trunk="vgg16", norm=None, edges=6)


def test_a_patch_that_is_no_whole_number_of_strides_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        PatchNet(trunk="resnet18", patch_px=100)


def test_the_second_stage_unfreezes_the_upper_layers() -> None:  # section 3.1.2
    convolutions = {
        trunk: [m for part in _patch_net(trunk).upper for m in part.modules() if _weighs(m)]
        for trunk in TRUNKS
    }
    # ResNet-50: nine and a shortcut in the last stage, three in the unit before, the classifier.
    assert len(convolutions["resnet50"]) == 9 + 1 + 3 + 1
    # VGG16: blocks 4 and 5 of three each, the classifier.
    assert len(convolutions["vgg16"]) == 3 + 3 + 1


def _weighs(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Linear)


def test_vggs_upper_layers_are_its_own() -> None:
    net = _small("vgg16")
    for part in net.upper:
        part.requires_grad_(False)
    frozen = [name for name, p in net.trunk.named_parameters() if not p.requires_grad]
    assert [name for name in frozen if name.endswith("weight")] == [
        f"features.{number}.weight" for number in (17, 19, 21, 24, 26, 28)
    ]


# From patches to pictures


@pytest.mark.parametrize("trunk", ["resnet18", "vgg16"])
def test_a_patch_is_scanned_to_its_own_logits(trunk: PatchTrunk) -> None:  # section 2.1
    net = _small(trunk)
    patches = torch.rand(2, 1, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(net.scan(patches)[:, :, 0, 0], net(patches))


def test_a_3_by_3_convolution_on_the_heatmap_sees_288_pixels() -> None:  # section 2.1
    net = _patch_net("resnet50")
    assert net.scan(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, 5, 1, 1)
    assert net.scan(torch.empty(1, 3, 288, 288, device="meta")).shape == (1, 5, 3, 3)


def test_the_heatmap_is_never_negative() -> None:  # equation 2
    net = _small()
    pictures = torch.rand(1, 1, 160, 128)
    with torch.inference_mode():
        logits, heatmap = net.scan(pictures), Heatmap(net)(pictures)
    assert logits.min() < 0
    torch.testing.assert_close(heatmap, logits.clamp(min=0))


@pytest.mark.parametrize(("trunk", "top"), list(itertools.product(TRUNKS, ("resnet", "vgg"))))
def test_1152_by_896_pixels_become_36_by_28_then_18_by_14_then_9_by_7(
    trunk: PatchTrunk, top: TopName
) -> None:  # sections 2.2 and 3.1.1
    net = _paper_net(trunk, top)
    pictures = torch.empty(2, 3, 1152, 896, device="meta")
    features = net.trunk(pictures)
    assert features.shape[-2:] == (36, 28)
    features = net.top[0](features)
    assert features.shape[-2:] == (18, 14)
    assert net.top[1](features).shape == (2, {"resnet": 1024, "vgg": 128}[top], 9, 7)
    assert net(pictures).classes.shape == (2, 2)


@pytest.mark.parametrize(
    ("trunk", "top", "millions", "gflop"),
    [
        ("resnet50", "resnet", 40.83, 174),
        ("resnet50", "vgg", 28.52, 178),
        ("vgg16", "resnet", 29.68, 636),
        ("vgg16", "vgg", 16.19, 634),
    ],
)
def test_the_four_models_of_the_average_are_as_large_as_counted(
    trunk: PatchTrunk, top: TopName, millions: float, gflop: int
) -> None:  # section 3.1.4
    net = _paper_net(trunk, top)
    assert round(parameters_in(net) / 1e6, 2) == millions
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 1152, 896, device="meta"))
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop, abs=1)


@pytest.mark.parametrize(
    ("blocks", "channels"),
    [
        ((ResNetBlock((512, 512, 2048), 1), ResNetBlock((512, 512, 2048), 1)), 2048),
        ((ResNetBlock((256, 256, 256), 3), ResNetBlock((128, 128, 128), 3)), 128),
        ((ResNetBlock((256, 256, 512), 3), ResNetBlock((128, 128, 256), 3)), 256),
        ((VggBlock(512, 3), VggBlock(512, 3)), 512),
        ((VggBlock(128, 1), VggBlock(64, 1)), 64),
    ],
)
def test_the_other_rows_of_tables_2_and_3_can_be_built(
    blocks: tuple[ResNetBlock | VggBlock, ...], channels: int
) -> None:
    with torch.device("meta"):
        net = AllConvNet(_patch_net("vgg16"), blocks)
    assert net.top(torch.empty(1, 512, 36, 28, device="meta")).shape == (1, channels, 9, 7)


def test_a_resnet_block_halves_in_its_first_convolution_and_has_one_projection() -> None:
    block = _paper_net("resnet50", "resnet").top[0]
    assert isinstance(block, nn.Sequential)
    kernels = [
        [
            (m.kernel_size[0], m.out_channels, m.stride[0])
            for m in unit.convolutions
            if _convolves(m)
        ]
        for unit in block
    ]
    assert kernels == [
        [(1, 512, 2), (3, 512, 1), (1, 1024, 1)],
        [(1, 512, 1), (3, 512, 1), (1, 1024, 1)],
    ]
    assert [len(unit.shortcut) for unit in block] == [2, 0]


def _convolves(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d)


def test_vgg_blocks_on_top_have_batch_norm_and_a_vgg_trunk_has_none() -> None:  # section 3.1.4
    net = _paper_net("vgg16", "vgg")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in net.trunk.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in net.top.modules()) == 2


@pytest.mark.parametrize(
    ("trunk", "heatmap"), [("resnet18", False), ("vgg16", False), ("resnet18", True)]
)
def test_conversion_keeps_what_the_patches_taught(trunk: PatchTrunk, *, heatmap: bool) -> None:
    patches = _small(trunk)
    net = AllConvNet(patches, paper_top("vgg", 8), heatmap=heatmap)
    taught = patches.state_dict() if heatmap else patches.trunk.state_dict()
    held = net.trunk.patches.state_dict() if heatmap else net.trunk.state_dict()
    assert held.keys() == taught.keys()
    assert all(torch.equal(held[name], taught[name]) for name in taught)


def test_one_patch_network_can_be_converted_again_and_again() -> None:
    patches = _small()
    before = {name: value.clone() for name, value in patches.state_dict().items()}
    net = AllConvNet(patches, paper_top("vgg", 8))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in patches.state_dict().items())


def test_without_the_heatmap_the_patch_classifier_is_gone() -> None:  # section 2.2
    patches = _small()
    plain = AllConvNet(patches, paper_top("resnet", 8))
    bottleneck = AllConvNet(patches, paper_top("resnet", 8), heatmap=True)
    assert not any("patches" in name for name in plain.state_dict())
    first = bottleneck.top[0][0].convolutions[0]  # type: ignore[index,union-attr]
    assert isinstance(first, nn.Conv2d)
    assert first.in_channels == 5


def test_the_picture_teaches_the_trunk_without_any_patch() -> None:  # section 2.1
    net = AllConvNet(_small(), paper_top("vgg", 8), norm="group")
    net(torch.rand(2, 1, 160, 128)).cancer.sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
    gradient = net.trunk.conv1.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


# Max-pooling and fully connected layers on the heatmap, lower parts of tables 2 and 3


@pytest.mark.parametrize(
    ("pool", "hidden", "cells"),
    [(5, (64, 32), 6 * 4), (2, (512, 256), 15 * 11), (1, (2048, 1024), 30 * 22)],
)
def test_fully_connected_layers_read_the_pooled_heatmap(
    pool: int, hidden: tuple[int, int], cells: int
) -> None:
    with torch.device("meta"):
        net = HeatmapLayersNet(_patch_net("resnet50"), pool=pool, hidden=hidden)
    first, second = net.top[0], net.top[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert (first.in_features, first.out_features, second.out_features) == (5 * cells, *hidden)
    assert net.classifier.in_features == hidden[1] + 5 * cells  # the shortcut
    assert net(torch.empty(1, 3, 1152, 896, device="meta")).classes.shape == (1, 2)


def test_a_heatmap_too_small_to_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="choose a larger picture"):
        HeatmapLayersNet(_small(), picture_px=(160, 128), pool=5)


# Scores


def test_the_cancer_logit_is_the_softmax_of_the_second_class() -> None:
    reading = Reading(torch.tensor([[0.3, 1.4], [2.0, -1.0]]))
    torch.testing.assert_close(reading.cancer.sigmoid(), reading.classes.softmax(dim=1)[:, 1])


def test_augmented_prediction_is_the_mean_over_four_flips() -> None:  # section 3.1.4
    def corner(pictures: Tensor) -> Reading:
        logit = pictures[:, 0, 0, 0]
        return Reading(torch.stack([torch.zeros_like(logit), logit], dim=1))

    chances = torch.tensor([[0.1, 0.5, 0.2], [0.5, 0.5, 0.5], [0.3, 0.5, 0.8]])
    score = augmented_score(corner, chances.logit()[None, None])
    assert score.tolist() == [pytest.approx((0.1 + 0.2 + 0.3 + 0.8) / 4)]


def test_an_augmented_score_does_not_know_how_a_picture_was_turned() -> None:
    net = AllConvNet(_small(), paper_top("resnet", 8)).eval()
    picture = torch.rand(1, 1, 160, 128)
    with torch.inference_mode():
        plain, turned = net(picture).cancer, net(picture.flip(-1)).cancer
        scores = augmented_score(net, picture), augmented_score(net, picture.flip(-1))
    assert not torch.allclose(plain, turned, atol=1e-7)
    torch.testing.assert_close(*scores)
