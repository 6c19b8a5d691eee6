"""Facts of Gao and others 2020 (FT-MTL-Net) that the code must hold."""

import math

import pytest
import torch
from torch import Tensor

from inference.networks import ft_mtl
from inference.networks.ft_mtl import BENIGN, MALIGNANT, FtMtlNet, Heads, Reading, Truth
from inference.networks.malignant_veto import malignant_veto
from inference.networks.regions import decoded, encoded, sampled
from inference.networks.trunks import Norm, parameters_in

Boxes = list[list[float]]


def _on_meta(*, transfer: bool = True, norm: Norm = "frozen_batch") -> FtMtlNet:
    with torch.device("meta"):
        return FtMtlNet(transfer=transfer, norm=norm)


def _small() -> FtMtlNet:
    torch.manual_seed(1)
    return FtMtlNet(trunk="resnet18", in_channels=1, width=8)


def _picture() -> tuple[Tensor, Truth]:
    """Return a picture of 96 x 80 with one bright malignant mass."""
    picture, mask = torch.zeros(1, 1, 96, 80), torch.zeros(1, 96, 80)
    picture[..., 20:60, 30:70] = 1
    mask[:, 20:60, 30:70] = 1
    return picture, Truth(torch.tensor([[30.0, 20, 70, 60]]), torch.tensor([MALIGNANT]), mask)


def _no_mass(height: int, width: int) -> Truth:
    return Truth(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, height, width)
    )


# Sizes and parameters


def test_transfer_costs_768_parameters() -> None:  # end of section 1
    assert parameters_in(_on_meta()) - parameters_in(_on_meta(transfer=False)) == 768


def test_the_paper_configuration_has_19_35_million_parameters() -> None:
    assert round(parameters_in(_on_meta()) / 1e6, 2) == 19.35
    assert parameters_in(_on_meta(norm="group")) - parameters_in(_on_meta()) == 30_592


def test_512_by_512_pixels_give_32_by_32_by_1024_features() -> None:  # section 2.1.1
    features = _on_meta().trunk(torch.empty(1, 3, 512, 512, device="meta"))
    assert features.shape == (1, 1024, 32, 32)


def test_two_deconvolutions_make_masks_of_28_by_28() -> None:  # section 2.2.2
    said = _on_meta().heads(torch.empty(200, 1024, 7, 7, device="meta"))
    assert said.boxes.shape == (200, 4)
    assert said.masks.shape == (200, 2, 28, 28)
    assert said.classes.shape == (200, 3)


def test_the_class_is_told_from_1280_channels() -> None:  # section 2.2.3
    assert _on_meta().heads.classifier.in_features == 1024 + 256
    assert _on_meta(transfer=False).heads.classifier.in_features == 1024


def test_a_narrow_network_fits_a_bundle_of_16_mb() -> None:
    with torch.device("meta"):
        net = FtMtlNet(trunk="resnet34", width=32)
    assert 4 * parameters_in(net) < 16e6


# Losses by hand


def test_equations_1_and_2_are_square_near_zero_and_straight_beyond_one() -> None:
    moves, targets = torch.tensor([[0.5, 3.0, 0.0, 1.0]]), torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    expected = (0.5 * 0.25 + (2 - 0.5) + 0 + 0.5) / 4
    assert ft_mtl.box_loss(moves, targets).item() == pytest.approx(expected)


def test_equations_3_and_4_move_centers_by_sides_and_sides_by_logarithms() -> None:
    region, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 25, 80]])
    moves = encoded(box, region)
    # The center goes one width to the right and 1.5 heights down.
    assert moves[0, :2].tolist() == pytest.approx([10 * 1.0, 10 * 1.5])
    # Twice as wide, four times as high; the paper's log2 times a constant.
    assert (moves[0, 2:] / (5 * math.log(2))).tolist() == pytest.approx([1.0, 2.0])


def test_a_decoded_move_ends_on_the_box() -> None:
    torch.manual_seed(2)
    corners = torch.rand(50, 2, 2) * 200
    boxes = torch.cat([corners[0::2, 0], corners[0::2, 0] + 3 + corners[0::2, 1]], dim=1)
    regions = torch.cat([corners[1::2, 0], corners[1::2, 0] + 3 + corners[1::2, 1]], dim=1)
    torch.testing.assert_close(decoded(encoded(boxes, regions), regions), boxes)


def test_equations_5_and_6_hand_over_what_either_mask_calls_mass() -> None:
    fine = torch.tensor([[[[1.0, 2.0], [3.0, 9.0]]]])  # R 1 2 2
    probabilities = torch.tensor([[[[0.5, 0.1], [0.2, 0.1]], [[0.3, 0.8], [0.4, 0.1]]]])
    # Weighed by .5, .8, .4 and .1: the large value outside of both masks does not win.
    found = ft_mtl.transferred(fine, probabilities.logit())
    assert found.tolist() == [[pytest.approx(max(0.5, 1.6, 1.2, 0.9))]]


def test_transferred_features_are_a_maximum_of_four_and_then_a_mean() -> None:
    fine = torch.arange(16.0).reshape(1, 1, 4, 4)
    certain = torch.full((1, 2, 4, 4), 50.0)
    found = ft_mtl.transferred(fine, certain)
    assert found.item() == pytest.approx((5 + 7 + 13 + 15) / 4)


def test_equations_7_and_8_judge_only_the_mask_of_the_true_class() -> None:
    probabilities = torch.tensor([[[[0.8, 0.25]], [[0.9, 0.9]]], [[[0.9, 0.9]], [[0.6, 0.5]]]])
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # P 1 2
    loss = ft_mtl.mask_loss(probabilities.logit(), torch.tensor([BENIGN, MALIGNANT]), targets)
    expected = -(math.log(0.8) + math.log(0.75) + math.log(0.4) + math.log(0.5)) / 4
    assert loss.item() == pytest.approx(expected)


def test_a_network_that_knows_nothing_loses_the_logarithm_of_its_choices() -> None:
    net = _small()
    torch.nn.init.zeros_(net.heads.classifier.weight)
    torch.nn.init.zeros_(net.heads.mask.weight)
    torch.nn.init.zeros_(net.regions.head.cls_logits.weight)
    picture, truth = _picture()
    losses = net(picture, [(96, 80)], [truth])
    assert losses["classification"].item() == pytest.approx(math.log(3))  # equation 9
    assert losses["mask"].item() == pytest.approx(math.log(2))
    assert losses["objectness"].item() == pytest.approx(math.log(2))


def test_a_mask_is_cropped_to_its_region_pixel_by_pixel() -> None:
    mask = torch.zeros(1, 80, 80)
    mask[:, 10:38, 20:48] = torch.rand(28, 28).round()
    target = ft_mtl._mask_targets(mask, torch.tensor([[20.0, 10, 48, 38]]))
    torch.testing.assert_close(target[0], mask[0, 10:38, 20:48])


def test_a_picture_without_a_mass_teaches_background_only() -> None:
    net = _small()
    losses = net(torch.rand(1, 1, 64, 64), [(64, 64)], [_no_mass(64, 64)])
    assert losses["box"].item() == losses["mask"].item() == losses["region"].item() == 0
    sum(losses.values()).backward()
    gradient = net.heads.classifier.bias.grad
    assert gradient is not None
    assert gradient[0] < 0 < gradient[1]


def test_200_regions_are_sampled_and_a_third_of_them_positive() -> None:  # section 3.3
    torch.manual_seed(3)
    truth = torch.tensor([[10.0, 10, 50, 50], [60, 60, 100, 100]])
    near = truth.repeat(100, 1) + torch.rand(200, 4) * 4
    far = torch.tensor([[200.0, 200, 240, 240]]).repeat(300, 1)
    sample = sampled(torch.cat([near, far]), truth, torch.tensor([BENIGN, MALIGNANT]))
    assert sample.boxes.shape == (200, 4)
    assert len(sample.truth) == 66
    assert (sample.classes[:66] == torch.tensor([BENIGN, MALIGNANT])[sample.truth]).all()
    assert (sample.classes[66:] == 0).all()
    assert ((sample.boxes[:66, :2] < 60).all(dim=1) == (sample.truth == 0)).all()


def test_fewer_regions_can_be_sampled_where_memory_is_short() -> None:
    torch.manual_seed(5)
    truth = torch.tensor([[10.0, 10, 50, 50]])
    sample = sampled(torch.rand(300, 4).cumsum(dim=1), truth, torch.tensor([BENIGN]), most=20)
    assert (len(sample.boxes), sample.truth.tolist()) == (20, [0])


def test_the_truth_is_a_region_even_when_none_was_proposed() -> None:
    truth = torch.tensor([[10.0, 10, 50, 50]])
    sample = sampled(torch.zeros(0, 4), truth, torch.tensor([MALIGNANT]))
    torch.testing.assert_close(sample.boxes, truth)
    assert sample.classes.tolist() == [MALIGNANT]


# Training, table 1


def test_step_2_draws_all_but_the_trunk_with_a_deviation_of_005() -> None:
    net = FtMtlNet(trunk="resnet18", width=32)
    for weight in (
        net.heads.box.weight,
        net.heads.up1.weight,
        net.heads.up2.weight,
        net.heads.mask.weight,
        net.heads.classifier.weight,
        net.regions.head.cls_logits.weight,
        net.regions.head.conv[0][0].weight,
    ):
        assert weight.std().item() == pytest.approx(0.05, rel=0.15)
        assert abs(weight.mean().item()) < 0.01
    before = net.trunk.conv1.weight.clone()
    ft_mtl.initialize(net, std=0.01)
    assert net.heads.up1.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert torch.equal(net.trunk.conv1.weight, before)


def test_equation_10_unites_three_losses() -> None:
    assert set(ft_mtl.UNITED) == {"classification", "box", "mask"}


@pytest.mark.parametrize("number", [3, 4, 5])
def test_each_step_moves_its_parts_by_its_losses(number: int) -> None:
    parts = {
        3: {"trunk", "regions"},  # the region candidate task, end to end
        4: {"heads"},  # shared layers and region proposals fixed
        5: {"trunk", "heads"},
    }
    step = ft_mtl.STEPS[number]
    assert set(step.parts) == parts[number]
    net = _small()
    for name, part in net.named_children():
        part.requires_grad_(name in step.parts)
    picture, truth = _picture()
    losses = net(picture, [(96, 80)], [truth])
    assert set(step.losses) <= set(losses)
    sum(losses[name] for name in step.losses).backward()
    moved = {
        name
        for name, part in net.named_children()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    }
    assert moved == set(step.parts)


def test_truths_and_training_go_together() -> None:
    net = _small()
    with pytest.raises(ValueError, match="call train or eval"):
        net(torch.rand(1, 1, 64, 64), [(64, 64)])
    with pytest.raises(ValueError, match="call train or eval"):
        net.eval()(torch.rand(1, 1, 64, 64), [(64, 64)], [_no_mass(64, 64)])


# Inference, section 2.3


def test_inference_refines_a_box_before_it_draws_masks_and_tells_the_class() -> None:
    net = _small().eval()
    features = torch.zeros(1, 32, 8, 16)
    features[:, 0, :, 8:] = 1  # what a mass looks like lies on the right
    for layer in (net.heads.box, net.heads.classifier):
        torch.nn.init.zeros_(layer.weight)
    with torch.no_grad():
        net.heads.box.bias.copy_(torch.tensor([20.0, 0, 0, 0]))  # two widths to the right
        net.heads.classifier.weight[MALIGNANT, 0] = 10
        net.heads.classifier.bias[BENIGN] = 5
        (reading,) = net._read(features, [torch.tensor([[16.0, 16, 80, 80]])], [(128, 256)])
    assert reading.boxes.tolist() == [[144, 16, 208, 80]]
    assert reading.classes.tolist() == [MALIGNANT]
    assert reading.scores.item() == pytest.approx(math.exp(10) / (math.exp(10) + math.exp(5) + 1))
    assert reading.masks.shape == (1, 28, 28)


def test_inference_looks_only_at_regions_with_an_objectness_of_half() -> None:  # section 2.1.2
    net = _small()
    torch.nn.init.constant_(net.regions.head.cls_logits.bias, -30)
    picture, truth = _picture()
    assert net(picture, [(96, 80)], [truth])["mask"] > 0
    with torch.inference_mode():
        (reading,) = net.eval()(picture, [(96, 80)])
    assert [len(part) for part in reading] == [0, 0, 0]
    assert reading.masks.shape == (0, 28, 28)
    assert malignant_veto(reading.boxes, reading.probabilities) == ()


def test_no_box_reaches_beyond_what_a_picture_shows() -> None:
    net = _small().eval()
    with torch.inference_mode():
        readings = net(torch.rand(2, 1, 100, 90), [(100, 90), (64, 50)])
    assert [len(reading.boxes) > 0 for reading in readings] == [True, True]
    for reading, (height, width) in zip(readings, [(100, 90), (64, 50)], strict=True):
        assert reading.boxes.min() >= 0
        assert reading.boxes[:, 2].max() <= width
        assert reading.boxes[:, 3].max() <= height
        assert (reading.scores.diff() <= 0).all()
        torch.testing.assert_close(reading.probabilities.sum(1), torch.ones(len(reading.boxes)))


def test_a_picture_is_read_the_same_alone_and_in_a_batch() -> None:
    net = _small().eval()
    pictures, shown = torch.rand(3, 1, 64, 64), [(64, 64), (64, 40), (30, 64)]
    with torch.inference_mode():
        together = net(pictures, shown)
        alone = [net(pictures[n : n + 1], shown[n : n + 1])[0] for n in range(3)]
    assert len({len(reading.boxes) for reading in together}) > 1
    for one, other in zip(together, alone, strict=True):
        for part, same in zip(one, other, strict=True):
            torch.testing.assert_close(part, same, atol=1e-4, rtol=1e-4)


def test_a_picture_need_not_end_on_a_whole_stride() -> None:
    net = _small().eval()
    picture = torch.rand(1, 1, 100, 90)
    padded = torch.nn.functional.pad(picture, (0, 6, 0, 12))
    with torch.inference_mode():
        (reading,), (same,) = net(picture, [(100, 90)]), net(padded, [(100, 90)])
    assert len(reading.boxes)
    torch.testing.assert_close(reading.boxes, same.boxes)


def test_the_mask_is_that_of_the_class() -> None:  # end of section 2.2.2
    masks = torch.stack([torch.full((28, 28), 0.2), torch.full((28, 28), 0.7)]).expand(2, 2, 28, 28)
    kept = ft_mtl._surest(
        Reading(
            torch.tensor([[0.0, 0, 20, 20], [40, 40, 70, 70]]),
            torch.tensor([[0.1, 0.8, 0.1], [0.0, 0.05, 0.95]]),
            masks,
        )
    )
    assert kept.classes.tolist() == [MALIGNANT, BENIGN]
    assert kept.masks.amax(dim=(1, 2)).tolist() == pytest.approx([0.7, 0.2])


def test_boxes_of_one_class_are_one_and_boxes_of_two_stay_for_the_veto() -> None:
    boxes = torch.tensor([[0.0, 0, 20, 20], [1, 1, 21, 21], [0, 0, 20, 21], [0, 0, 20, 0.5]])
    probabilities = torch.tensor([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.2, 0.2, 0.6], [0, 0, 1.0]])
    kept = ft_mtl._surest(Reading(boxes, probabilities, torch.rand(4, 2, 28, 28)))
    torch.testing.assert_close(kept.boxes, boxes[[0, 2]])
    (mass,) = malignant_veto(kept.boxes, kept.probabilities)
    assert mass.malignant
    assert mass.malignancy == pytest.approx(0.6)


def _vetoed(boxes: Boxes, probabilities: Boxes, **how: str) -> list[tuple[bool, float]]:
    masses = malignant_veto(torch.tensor(boxes), torch.tensor(probabilities), **how)  # type: ignore[arg-type]
    return [(mass.malignant, round(mass.malignancy, 4)) for mass in masses]


HERE, NEAR, FAR = [0.0, 0, 20, 20], [1.0, 1, 21, 21], [50.0, 50, 80, 80]


def test_one_malignant_box_makes_its_mass_malignant_with_the_largest_score() -> None:
    surely_benign, malignant, less = [0.0, 0.9, 0.1], [0.2, 0.1, 0.7], [0.3, 0.1, 0.6]
    assert _vetoed([HERE, NEAR, HERE], [surely_benign, malignant, less]) == [(True, 0.7)]


def test_a_benign_mass_scores_one_minus_its_surest_box() -> None:
    assert _vetoed([HERE, NEAR], [[0.1, 0.8, 0.1], [0.05, 0.9, 0.05]]) == [(False, 0.1)]


def test_the_papers_form_lifts_a_weak_benign_box_above_a_malignant_one() -> None:
    weak_benign, malignant = [0.66, 0.32, 0.02], [0.35, 0.05, 0.6]
    paper = _vetoed([HERE, FAR], [weak_benign, malignant], form="paper")
    assert paper == [(True, 0.6), (False, 0.68)]


def test_the_gated_form_asks_first_whether_there_is_a_mass() -> None:
    weak_benign, malignant = [0.66, 0.32, 0.02], [0.35, 0.05, 0.6]
    assert _vetoed([HERE, FAR], [weak_benign, malignant]) == [(True, 0.6)]
    # The gate is on being a mass of either kind; two halves make a whole.
    assert _vetoed([HERE], [[0.45, 0.28, 0.27]]) == [(False, 0.72)]


def test_boxes_side_by_side_are_two_masses() -> None:
    assert len(_vetoed([HERE, [12.0, 0, 32, 20]], [[0, 0.9, 0.1], [0, 0.1, 0.9]])) == 2


def test_heads_without_transfer_never_look_at_the_masks() -> None:
    torch.manual_seed(4)
    for transfer in (True, False):
        heads = Heads(16, 8, transfer=transfer)
        heads(torch.rand(3, 16, 7, 7)).classes.sum().backward()
        assert (heads.mask.weight.grad is not None) == transfer
