"""Facts of Cao and others (DeepLIMa) that the code must hold."""

import copy
import math
from typing import Any

import pytest
import torch
import torchvision
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.models.detection.rpn import RegionProposalNetwork

from inference.networks.anchors import Anchors, doubling
from inference.networks.deeplima import CalcificationNet, MassNet
from inference.networks.focal import softmax_focal
from inference.networks.group_unet import GroupUNet, UNetNorm
from inference.networks.non_local import BlockNorm, NonLocal
from inference.networks.trunks import parameters_in

VANILLA: dict[str, Any] = {"fpn": False, "focal": False, "nonlocal_at": ()}
FPN: dict[str, Any] = {"fpn": True, "focal": False, "nonlocal_at": ()}
ALL: dict[str, Any] = {"fpn": True, "focal": True, "nonlocal_at": ("layer3", "layer4")}
NAMES = {"proposal", "proposal_box", "mass", "box"}


def small(**ideas: Any) -> MassNet:  # noqa: ANN401 - the rows of table 1
    torch.manual_seed(4)
    return MassNet(
        trunk="resnet18", in_channels=1, width=16, channels=32, smallest_anchor_px=16, **ideas
    )


@pytest.mark.parametrize(("ideas", "millions"), [(VANILLA, 70.47), (FPN, 41.30), (ALL, 51.80)])
def test_the_rows_of_table_1_have_their_sizes(ideas: dict[str, Any], millions: float) -> None:
    """Counted as section 4.1.1 trains them: from a trained trunk, whose norms stand still."""
    with torch.device("meta"):
        net = MassNet(**ideas, norm="frozen_batch")
    assert round(parameters_in(net) / 1e6, 2) == millions


def test_with_the_pyramid_alone_it_is_torchvisions_faster_rcnn() -> None:
    """Section 2.1.2: the pyramid of Lin 2017."""
    with torch.device("meta"):
        ours = MassNet(**FPN, norm="batch")
        theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=2
        )
    shapes = sorted(tuple(p.shape) for p in theirs.parameters())
    assert sorted(tuple(p.shape) for p in ours.parameters()) == shapes


def test_section_2_1_3_changes_losses_and_no_size() -> None:
    with torch.device("meta"):
        assert parameters_in(MassNet(**FPN)) == parameters_in(MassNet(**{**FPN, "focal": True}))


def test_section_2_1_4_adds_10_5_million_parameters_in_the_late_stages() -> None:
    with torch.device("meta"):
        added = parameters_in(MassNet(**ALL)) - parameters_in(MassNet(**FPN))
        blocks = [NonLocal(1024), NonLocal(2048)]
    assert round(added / 1e6, 1) == 10.5
    assert added == sum(parameters_in(block) for block in blocks)


@pytest.mark.parametrize("ideas", [VANILLA, FPN, ALL, {**VANILLA, "nonlocal_at": ("layer3",)}])
def test_every_row_of_the_ablation_learns_and_reads(ideas: dict[str, Any]) -> None:
    net = small(**ideas).train()
    pictures, shown = torch.rand(2, 1, 96, 128), [(96, 128), (80, 100)]
    masses = [torch.tensor([[10.0, 20, 60, 70]]), torch.zeros(0, 4)]
    losses = net(pictures, shown, masses)
    assert set(losses) == NAMES
    sum(losses.values()).backward()
    assert all(p.grad is not None for p in net.parameters() if p.requires_grad)
    net.heads.score_thresh = 0.0
    with torch.inference_mode():
        reading = net.eval()(pictures, shown)
    for (rows, columns), boxes, scores in zip(shown, *reading, strict=True):
        assert 0 < len(boxes) == len(scores) <= 20
        assert float(boxes[:, 2].max()) <= columns
        assert float(boxes[:, 3].max()) <= rows


def test_few_proposals_reach_the_heads() -> None:
    """Section 4.1.1: a mammogram holds a limited number of masses."""
    net = small(**ALL)
    assert net.train().proposals.post_nms_top_n() == 1000
    assert net.eval().proposals.post_nms_top_n() == 100


def test_a_picture_without_masses_has_no_box_losses() -> None:
    losses = small(**ALL).train()(torch.rand(1, 1, 64, 64), [(64, 64)], [torch.zeros(0, 4)])
    assert losses["proposal_box"].item() == losses["box"].item() == 0
    assert losses["proposal"].item() > 0


def test_equation_1_by_hand() -> None:
    """Over two classes, at p = 1/2 and p = 3/4: the mean of (1 - p)² times minus log p."""
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    by_hand = (0.25 * math.log(2) + 0.0625 * math.log(4 / 3)) / 2
    assert float(softmax_focal(logits, torch.tensor([1, 0]))) == pytest.approx(by_hand)


def test_equation_1_without_focus_is_cross_entropy() -> None:
    logits, labels = torch.randn(7, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0])
    assert float(softmax_focal(logits, labels, gamma=0)) == pytest.approx(
        float(F.cross_entropy(logits, labels))
    )


def test_proposals_learn_from_every_anchor_that_is_not_ignored() -> None:
    """Section 2.1.3 in the proposal network: by the number of anchors on masses."""
    proposals = small(**ALL).proposals
    labels = [torch.tensor([1.0, 0, 0]), torch.tensor([-1.0, 0, 1])]
    aims = [torch.zeros(3, 4), torch.ones(3, 4)]
    focal, box = proposals.compute_loss(torch.zeros(6, 1), torch.zeros(6, 4), labels, aims)
    assert float(focal) == pytest.approx((2 * 0.25 + 3 * 0.75) * 0.25 * math.log(2) / 2)
    # Smooth L1 with beta 1/9: the distance of 1 less half of beta, four coordinates of one box.
    assert float(box) == pytest.approx(4 * (1 - 1 / 18) / 2)


def test_the_heads_learn_masses_and_background_by_equation_1() -> None:
    """With three to one for a mass wherever they look, the loss of each proposal is known."""
    net = small(**ALL).train()
    scores = net.heads.box_predictor.cls_score
    torch.nn.init.zeros_(scores.weight)
    scores.bias.data = torch.tensor([0.0, math.log(3)])
    background, mass = 0.75**2 * math.log(4), 0.25**2 * math.log(4 / 3)
    picture, shown = torch.rand(1, 1, 64, 64), [(64, 64)]
    with torch.no_grad():
        none = net(picture, shown, [torch.zeros(0, 4)])["mass"]
        one = net(picture, shown, [torch.tensor([[8.0, 8, 40, 40]])])["mass"]
    assert float(none) == pytest.approx(background)
    assert mass < float(one) < 0.999 * background


def test_the_vanilla_network_proposes_as_torchvision_does() -> None:
    assert type(small(**VANILLA).proposals) is RegionProposalNetwork


def test_anchors_double_from_32_px_one_level_each_or_all_at_stride_16() -> None:
    with torch.device("meta"):
        fpn, vanilla = MassNet(**FPN).proposals, MassNet(**VANILLA).proposals
    assert fpn.anchor_generator.sizes == ((32,), (64,), (128,), (256,), (512,))
    assert fpn.anchor_generator.strides == (4, 8, 16, 32, 64)
    assert vanilla.anchor_generator.sizes == ((32, 64, 128, 256, 512),)
    assert vanilla.anchor_generator.strides == (16,)


def test_torchvision_would_misplace_anchors_at_the_papers_short_edge() -> None:
    """Section 4.1.1 asks for 1200 pixels: 19 places of 64, not of 1200 // 19 = 63."""
    anchors = Anchors(doubling(512, 1), (64,))
    level = torch.zeros(1, 1, 1, 19)
    last = anchors.on([level])[0][-3:]
    assert ((last[:, 0] + last[:, 2]) / 2).tolist() == [18 * 64] * 3


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_a_non_local_block_starts_as_the_identity_and_can_learn(norm: BlockNorm) -> None:
    block = NonLocal(8, norm=norm)
    features = torch.randn(2, 8, 5, 6)
    assert torch.equal(block(features), features)
    (block(features) * torch.randn(2, 8, 5, 6)).sum().backward()
    assert isinstance(block.norm.weight, torch.Tensor)
    assert block.norm.weight.grad is not None
    assert block.norm.weight.grad.any()


def test_equations_3_and_4_hold_in_the_direct_form() -> None:
    torch.manual_seed(5)
    block = NonLocal(8)
    block.norm = torch.nn.Identity()
    features = torch.randn(2, 8, 5, 6)
    with torch.inference_mode():
        theta, phi, g = (
            part(features).flatten(2) for part in (block.theta, block.phi, block.g)
        )  # B c N
        likeness = torch.einsum("bci,bcj->bij", theta, phi)  # f(u_i, u_j)
        mean = torch.einsum("bij,bcj->bci", likeness, g) / 30  # C(u) = N
        direct = features + block.out(mean.reshape(2, 4, 5, 6))
        torch.testing.assert_close(block(features), direct, atol=1e-6, rtol=1e-5)


def test_non_local_blocks_leave_the_names_of_the_trunk_alone() -> None:
    """Section 4.1.1 starts from a trained ResNet-50: its weights must still fit."""
    with torch.device("meta"):
        trunk = MassNet(**ALL, norm="batch").scales.trunk
        reference = torchvision.models.resnet50(weights=None)
    del reference.fc
    assert set(trunk.state_dict()) == set(reference.state_dict())


def test_a_non_local_block_beside_a_frozen_trunk_is_not_frozen() -> None:
    net = small(**ALL, norm="frozen_batch")
    names = [name for name, _ in net.named_parameters() if name.endswith("layer4.norm.weight")]
    assert names == ["scales.non_local.layer4.norm.weight"]
    assert type(net.scales.non_local["layer4"].norm) is torch.nn.BatchNorm2d
    assert type(small(**ALL).scales.non_local["layer4"].norm) is torch.nn.GroupNorm


def test_the_vanilla_network_has_no_place_for_a_block_in_layer4() -> None:
    with pytest.raises(ValueError, match="can stand in layer4"):
        small(fpn=False, focal=False, nonlocal_at=("layer4",))


def test_a_mass_without_area_is_refused() -> None:
    net = small(**ALL).train()
    with pytest.raises(ValueError, match="has no area"):
        net(torch.rand(1, 1, 64, 64), [(64, 64)], [torch.tensor([[5.0, 5, 5, 9]])])


def test_training_without_the_masses_is_refused() -> None:
    with pytest.raises(ValueError, match="needs to be told the masses"):
        small(**ALL).train()(torch.rand(1, 1, 64, 64), [(64, 64)])


@pytest.mark.parametrize(("width", "millions"), [(64, 7.70), (32, 1.93)])
@pytest.mark.parametrize("norm", ["group", "layer", "batch"])
def test_the_u_net_of_figure_4_has_its_size_under_every_norm_of_table_3(
    width: int, millions: float, norm: UNetNorm
) -> None:
    with torch.device("meta"):
        net = CalcificationNet(width=width, norm=norm)
    assert round(parameters_in(net) / 1e6, 2) == millions


def test_the_u_net_has_three_stages_down_and_up_of_two_convolutions_each() -> None:
    """Section 2.2.2: each convolution is followed by group normalization and ReLU."""
    with torch.device("meta"):
        net = GroupUNet()
    stages = [*net.down, net.bottom, *net.up]
    assert (len(net.down), len(net.up)) == (3, 3)
    for stage in stages:
        kinds = [type(part).__name__ for part in stage]
        assert kinds == ["Conv2d", "GroupNorm", "ReLU"] * 2
    assert {part.num_groups for part in net.modules() if isinstance(part, torch.nn.GroupNorm)} == {
        16
    }


def test_every_stage_up_sees_what_its_stage_down_kept() -> None:
    """Section 2.2.2: skip connections. With the way through the bottom cut, they alone remain."""
    net = GroupUNet(width=4).eval()
    for widen in net.widen:
        for parameter in widen.parameters():
            torch.nn.init.zeros_(parameter)
    for stage, side_px in zip(net.up, (8, 16, 32), strict=True):
        seen: list[torch.Tensor] = []
        watch = stage.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        with torch.inference_mode():
            net(torch.rand(1, 1, 32, 32))
        watch.remove()
        assert seen[0].shape[-1] == side_px
        assert seen[0].any()


def test_every_pixel_of_a_512_tile_gets_two_classes() -> None:
    """Section 2.2.2: patches of 512 x 512."""
    with torch.inference_mode():
        reading = CalcificationNet(width=2).eval()(torch.rand(1, 1, 512, 512))
    assert reading.pixels.shape == (1, 2, 512, 512)


def test_a_tile_that_cannot_be_halved_three_times_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8, and these are 64 x 60"):
        GroupUNet(width=4)(torch.rand(1, 1, 64, 60))


def test_group_and_layer_norm_do_not_let_tiles_of_a_batch_touch_and_batch_norm_does() -> None:
    """Section 4.2.3: what sets the rows of table 3 apart."""
    tiles = torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        for norm, alone in (("group", True), ("layer", True), ("batch", False)):
            net = GroupUNet(width=4, norm=norm).train()  # type: ignore[arg-type]
            same = torch.allclose(net(tiles)[:1], net(tiles[:1]), atol=1e-5)
            assert same is alone


def test_training_can_look_at_fewer_regions_than_the_paper() -> None:
    net = MassNet(trunk="resnet18", in_channels=1, width=16, channels=16).train()
    net.learn_from(proposed=20, sampled=8)
    judged = []
    net.heads.box_predictor.register_forward_hook(
        lambda _, __, answer: judged.append(len(answer[0]))
    )
    net.losses(
        torch.rand(2, 1, 64, 64), [(64, 64)] * 2, [torch.tensor([[8.0, 8.0, 40.0, 40.0]])] * 2
    )
    assert judged == [16]


@pytest.mark.parametrize("fpn", [True, False])
def test_what_was_read_before_does_not_change_what_is_read(*, fpn: bool) -> None:
    torch.manual_seed(5)
    net = MassNet(
        trunk="resnet18", in_channels=1, width=16, channels=16, fpn=fpn, nonlocal_at=()
    ).eval()
    fresh = copy.deepcopy(net)
    little, whole = torch.rand(1, 1, 256, 256), torch.rand(1, 1, 256, 256)
    with torch.inference_mode():
        net.read(little, [(100, 100)])  # mostly padding
        first, second = net.read(whole, [(256, 256)]), fresh.read(whole, [(256, 256)])
    assert torch.equal(first.boxes[0], second.boxes[0])
    assert torch.equal(first.scores[0], second.scores[0])
