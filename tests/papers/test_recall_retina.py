"""Sainz de Cea and others 2020 (LNCS 12266, pages 241-250), and the papers it is made of.

The paper names its parts (abstract and keywords: RetinaNet, ResNet, detection and classification
in one network); the numbers tested here are those of the parts: Lin 2017 (RetinaNet and focal
loss), Rezatofighi 2019 (GIoU), Zlocha 2019 (small anchors), Seaman and White 2013 (weights).
"""

import math

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import retinanet_resnet50_fpn_v2
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from inference.networks import recall_retina
from inference.networks.focal import sigmoid_focal
from inference.networks.recall_retina import (
    Attach,
    Marks,
    Reading,
    RecallRetinaNet,
    Truth,
    detection_losses,
    pooled_where_shown,
)
from inference.networks.trunks import parameters_in

SHOWN = [(128, 128), (96, 64)]


def small(attach: Attach = "c5") -> RecallRetinaNet:
    torch.manual_seed(3)
    return RecallRetinaNet(
        trunk="resnet18", in_channels=1, width=16, channels=32, attach=attach, smallest_anchor_px=8
    )


def marks(*lesions: tuple[tuple[float, float, float, float], int]) -> Marks:
    return Marks(
        torch.tensor([box for box, _ in lesions], dtype=torch.float32).reshape(-1, 4),
        torch.tensor([label for _, label in lesions], dtype=torch.int64),
    )


def truth(*known: Marks | None, weight: tuple[float, float] = (1, 1)) -> Truth:
    return Truth(torch.tensor([1.0, 0.0]), torch.tensor(weight), known)


LESION = marks(((20, 30, 44, 60), recall_retina.MALIGNANT_MASS))


def test_the_paper_size_has_41_02_million_parameters_and_the_recall_head_5() -> None:
    with torch.device("meta"):
        net = RecallRetinaNet(classes=2, norm="frozen_batch")
        four = RecallRetinaNet(norm="frozen_batch")
    assert round(parameters_in(net) / 1e6, 2) == 41.02
    assert parameters_in(four) - parameters_in(net) == 2 * 9 * (256 * 9 + 1)
    # 3 x 3 convolution of C5, its norm, and one layer on mean and maximum.
    assert parameters_in(net.recall) == 2048 * 256 * 9 + 2 * 256 + 2 * 256 + 1


def test_a_narrow_network_fits_a_bundle_of_16_megabytes() -> None:
    with torch.device("meta"):
        net = RecallRetinaNet(trunk="resnet18", in_channels=2, width=32, channels=64)
    assert 4 * parameters_in(net) < 16e6


def test_trunk_and_pyramid_are_those_of_torchvisions_retinanet() -> None:
    """Lin 2017, section 4: P3 to P5 from C3 to C5, P6 from C5, P7 from P6."""
    with torch.device("meta"):
        net = RecallRetinaNet(norm="batch")
        peer = torch.nn.ModuleDict({"body": net.trunk, "fpn": net.pyramid})
        reference = retinanet_resnet50_fpn_v2(weights=None, weights_backbone=None)
    shapes = {name: value.shape for name, value in reference.backbone.state_dict().items()}
    assert {name: value.shape for name, value in peer.state_dict().items()} == shapes


def test_nine_anchors_a_place_from_16_px_doubling_from_p3_to_p7() -> None:
    """Lin 2017, section 4: three octave steps, three shapes; Zlocha 2019: smaller than 32."""
    with torch.device("meta"):
        net = RecallRetinaNet()
    levels = [torch.zeros(1, 1, -(-1024 // s), -(-832 // s)) for s in (8, 16, 32, 64, 128)]
    boxes = net.anchors.on(levels)
    assert net.anchors.at_each_place() == 9
    assert [len(level) for level in boxes] == [
        9 * rows * columns for rows, columns in [(128, 104), (64, 52), (32, 26), (16, 13), (8, 7)]
    ]
    sides = [(level[:9, 2:] - level[:9, :2]).prod(dim=1).sqrt() for level in boxes]
    for level, side in enumerate(sides):
        expected = [16 * 2 ** (level + step / 3) for step in (0, 1, 2)]
        assert sorted(side.tolist())[::4] == pytest.approx(expected, rel=0.15)


def test_anchors_are_wide_square_and_high() -> None:
    """Lin 2017, section 4: height to width 1:2, 1:1 and 2:1."""
    first = small().anchors.on([torch.zeros(1, 1, 1, 1)] * 5)[4]
    width, height = (first[:, 2:] - first[:, :2]).unbind(dim=1)
    shapes = (height / width).reshape(3, 3).tolist()
    assert shapes == [pytest.approx([ratio] * 3, rel=0.02) for ratio in (0.5, 1, 2)]


def test_a_sure_anchor_becomes_the_box_and_the_label_it_stands_for() -> None:
    scores, shifts = torch.zeros(4, 3), torch.zeros(4, 4)
    scores[2, 1] = 0.9
    shifts[2] = torch.tensor([0.5, 0, 0, math.log(2)])  # half a width to the right, twice as high
    levels = [torch.tensor([[0.0, 0, 8, 8], [8, 0, 16, 8]]), torch.tensor([[0.0, 8, 8, 16]] * 2)]
    boxes, sure, labels = recall_retina._candidates(scores, shifts, levels, (32, 32))
    best = int(sure.argmax())
    assert boxes[best].tolist() == pytest.approx([4, 4, 12, 20])
    assert (float(sure[best]), int(labels[best])) == (pytest.approx(0.9), 1)


def test_anchors_stand_where_the_convolutions_look_at_any_size() -> None:
    with torch.device("meta"):
        net = RecallRetinaNet()
    last = net.anchors.on([torch.zeros(1, 1, 7, 7)] * 5)[4].reshape(7, 7, 9, 4)
    center = (last[..., :2] + last[..., 2:]) / 2
    assert center[6, 5, 0].tolist() == [5 * 128, 6 * 128]


def test_nothing_learned_yet_means_one_lesion_in_a_hundred_anchors() -> None:
    """Lin 2017, section 3.3: the prior keeps the first steps from being all background."""
    bias = small().head.classification_head.cls_logits.bias
    assert bias.sigmoid().detach() == pytest.approx(torch.full_like(bias, 0.01).tolist())


def test_the_focal_loss_by_hand() -> None:
    """Lin 2017, equation 5, at p = 1/2 and at p = 1/4."""
    loss = sigmoid_focal(torch.tensor([0.0, 0.0, -math.log(3)]), torch.tensor([1.0, 0.0, 1.0]))
    assert loss.tolist() == pytest.approx(
        [
            0.25 * 0.5**2 * math.log(2),
            0.75 * 0.5**2 * math.log(2),
            0.25 * 0.75**2 * math.log(4),
        ]
    )


def detection(*anchors: tuple[float, float, float, float]) -> tuple[Tensor, Tensor, Tensor]:
    return torch.zeros(len(anchors), 4), torch.zeros(len(anchors), 4), torch.tensor(anchors)


def test_the_losses_of_one_picture_by_hand() -> None:
    """Lin 2017, section 4: an anchor at IoU 0.5 is lesion, below 0.4 background, between ignored.

    Rezatofighi 2019, equation 2: shifted by a quarter of its width, IoU and GIoU are 3/5.
    """
    logits, shifts, anchors = detection(
        (0, 0, 16, 16),  # the lesion, shifted by 4: IoU 12/20
        (12, 0, 28, 16),  # shifted by 8 the other way: IoU 8/24, background
        (11, 0, 27, 16),  # shifted by 7: IoU 9/23, background
        (10.5, 0, 26.5, 16),  # shifted by 6.5: IoU 9.5/22.5, ignored
    )
    known = marks(((4, 0, 20, 16), recall_retina.MALIGNANT_CALCIFICATION))
    focal, box = detection_losses(logits, shifts, anchors, known)
    yes, no = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
    assert float(focal) == pytest.approx(yes + 3 * no + 2 * 4 * no)
    assert float(box) == pytest.approx(1 - 12 / 20)


def test_the_best_anchor_is_a_lesion_however_poor_it_fits() -> None:
    """Without this, a calcification smaller than every anchor would be learned as background."""
    logits, shifts, anchors = detection((0, 0, 16, 16), (32, 0, 48, 16))
    focal, box = detection_losses(logits, shifts, anchors, marks(((6, 6, 10, 10), 2)))
    yes, no = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
    assert float(focal) == pytest.approx(yes + 7 * no)
    assert float(box) == pytest.approx(1 - 16 / 256)


def test_the_losses_are_torchvisions_where_every_picture_is_marked_and_weighs_one() -> None:
    net = small().eval()
    pictures, known = torch.rand(2, 1, 128, 128), [LESION, marks(((8, 8, 40, 40), 0))]
    net.head.regression_head._loss_type = "giou"
    with torch.inference_mode():
        ours = net.losses(pictures, SHOWN, truth(*known))
        seen = net._seen(pictures, SHOWN)
        anchors = torch.cat(seen.anchors)
        matcher = Matcher(0.5, 0.4, allow_low_quality_matches=True)
        theirs = net.head.compute_loss(
            [mark._asdict() for mark in known],
            {"cls_logits": seen.logits, "bbox_regression": seen.shifts},
            [anchors, anchors],
            [matcher(box_iou(mark.boxes, anchors)) for mark in known],
        )
    torch.testing.assert_close(ours["focal"], theirs["classification"])
    torch.testing.assert_close(ours["box"], theirs["bbox_regression"])


def test_both_losses_are_divided_by_the_anchors_on_lesions() -> None:
    """Lin 2017, section 4.1."""
    known = marks(((0, 0, 16, 16), 0))
    once, one_box = detection_losses(*detection((4, 0, 20, 16)), known)
    twice, two_boxes = detection_losses(*detection((4, 0, 20, 16), (4, 0, 20, 16)), known)
    assert float(once) == pytest.approx(float(twice))
    assert float(one_box) == pytest.approx(float(two_boxes)) == pytest.approx(1 - 12 / 20)


def test_a_picture_in_which_nothing_was_found_is_background() -> None:
    focal, box = detection_losses(*detection((0, 0, 16, 16)), marks())
    assert float(focal) == pytest.approx(4 * 0.75 * 0.25 * math.log(2))
    assert float(box) == 0


def test_a_picture_in_which_nobody_looked_teaches_only_the_recall_head() -> None:
    """The introduction: marks are incomplete, the outcome of the exam is known."""
    net = small().train()
    losses = net(torch.rand(2, 1, 128, 128), SHOWN, truth(None, None))
    assert losses["focal"].item() == losses["box"].item() == 0
    assert losses["recall"].item() > 0
    sum(losses.values()).backward()
    gradients = [parameter.grad for parameter in net.head.parameters()]
    # Zero, but there: processes that train together wait for every gradient.
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
    trunk = net.trunk.conv1.weight.grad
    assert trunk is not None
    assert trunk.any()


def test_a_picture_without_marks_leaves_the_others_detection_losses_alone() -> None:
    net = small().eval()
    pictures = torch.rand(2, 1, 128, 128)
    with torch.inference_mode():
        both = net.losses(pictures, SHOWN, truth(LESION, None))
        alone = net.losses(pictures[:1], SHOWN[:1], Truth(torch.ones(1), torch.ones(1), [LESION]))
    assert float(both["focal"]) == pytest.approx(float(alone["focal"]), rel=1e-4)
    assert float(both["box"]) == pytest.approx(float(alone["box"]), rel=1e-4)


def test_a_picture_of_weight_three_counts_three_times_in_every_loss() -> None:
    """Seaman and White 2013: each picture stands for as many as were not sampled."""
    net = small().eval()
    pictures, known = torch.rand(2, 1, 128, 128), (LESION, marks(((8, 8, 40, 40), 0)))
    with torch.inference_mode():
        first, second, three_to_one = (
            net.losses(pictures, SHOWN, truth(*known, weight=weight))
            for weight in ((1, 0), (0, 1), (3, 1))
        )
    for name, loss in three_to_one.items():
        assert float(loss) == pytest.approx(3 * float(first[name]) + float(second[name]), rel=1e-5)
        assert float(first[name]) > 0


def test_a_weight_counts_in_a_batch_of_one_too() -> None:
    net = small().eval()
    picture, shown = torch.rand(1, 1, 64, 64), [(64, 64)]
    with torch.inference_mode():
        losses = [
            net.losses(picture, shown, Truth(torch.ones(1), torch.tensor([weight]), [None]))
            for weight in (1.0, 5.0)
        ]
    assert float(losses[1]["recall"]) == pytest.approx(5 * float(losses[0]["recall"]))


def test_the_recall_loss_is_the_binary_cross_entropy_of_its_logit() -> None:
    net = small().eval()
    pictures = torch.rand(2, 1, 128, 128)
    with torch.inference_mode():
        said = net(pictures, SHOWN).recall.sigmoid()
        loss = net.losses(pictures, SHOWN, truth(None, None))["recall"]
    by_hand = -(math.log(float(said[0])) + math.log(1 - float(said[1]))) / 2
    assert float(loss) == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("attach", ["c5", "pyramid"])
def test_a_reading_has_boxes_within_what_is_shown_and_one_logit_a_picture(attach: Attach) -> None:
    net = small(attach).eval()
    with torch.inference_mode():
        reading = net.read(torch.rand(2, 1, 128, 128), SHOWN, least_score=0.0)
    assert isinstance(reading, Reading)
    assert reading.recall.shape == (2,)
    for (rows, columns), boxes, scores, labels in zip(SHOWN, *reading[:3], strict=True):
        assert 0 < len(boxes) == len(scores) == len(labels) <= 100
        assert float(boxes.min()) >= 0
        assert float(boxes[:, 2].max()) <= columns
        assert float(boxes[:, 3].max()) <= rows
        assert set(labels.tolist()) <= {0, 1, 2, 3}
        assert scores.tolist() == sorted(scores.tolist(), reverse=True)


@pytest.mark.parametrize("attach", ["c5", "pyramid"])
def test_recall_reaches_the_shared_trunk(attach: Attach) -> None:
    net = small(attach)
    net.read(torch.rand(2, 1, 128, 128), SHOWN).recall.sum().backward()
    gradient = net.trunk.layer4[1].conv2.weight.grad
    assert gradient is not None
    assert gradient.any()
    assert net.head.classification_head.cls_logits.weight.grad is None


def test_padding_is_not_pooled() -> None:
    features = torch.zeros(1, 1, 4, 4)
    features[0, 0, :2, :3] = torch.arange(6.0).reshape(2, 3)
    features[0, 0, 2:], features[0, 0, :, 3:] = 1e6, 1e6
    # 40 rows reach into the second place of 32, 65 columns into the third.
    assert pooled_where_shown(features, 32, [(40, 65)]).tolist() == [[2.5, 5.0]]


def test_the_surest_of_boxes_that_overlap_stays_alone() -> None:
    net = small().eval()
    with torch.inference_mode():
        pictures = torch.rand(1, 1, 128, 128)
        loose = net.read(pictures, [(128, 128)], least_score=0, most_overlap=0.9, most_boxes=9)
        tight = net.read(pictures, [(128, 128)], least_score=0, most_overlap=0.1, most_boxes=9)
    assert len(loose.boxes[0]) == 9
    assert not torch.equal(loose.boxes[0], tight.boxes[0])
    assert torch.equal(loose.boxes[0][0], tight.boxes[0][0])


def test_labels_start_at_zero_and_a_label_too_high_is_refused() -> None:
    assert (
        recall_retina.BENIGN_MASS,
        recall_retina.MALIGNANT_MASS,
        recall_retina.BENIGN_CALCIFICATION,
        recall_retina.MALIGNANT_CALCIFICATION,
    ) == (0, 1, 2, 3)
    assert recall_retina.CLASSES == 4
    wrong = truth(marks(((0, 0, 9, 9), 1), ((0, 0, 9, 9), 4)), None)
    with pytest.raises(ValueError, match=r"from 1 to 4, but the network knows 0 to 3"):
        small().losses(torch.rand(2, 1, 128, 128), SHOWN, wrong)


def test_a_box_without_area_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[5\.0, 5\.0, 5\.0, 9\.0\] has no area"):
        small().losses(torch.rand(2, 1, 128, 128), SHOWN, truth(marks(((5, 5, 5, 9), 0)), None))


def test_training_without_the_truth_is_refused() -> None:
    with pytest.raises(ValueError, match="needs to be told the truth"):
        small().train()(torch.rand(2, 1, 128, 128), SHOWN)
