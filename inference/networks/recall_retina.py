"""Sainz de Cea and others 2020: detect lesions, and decide on recall, with one network.

The paper says what is learned together and from which parts: RetinaNet and ResNet, object
detection and image classification. How the parts are joined is our choice, and stated here.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.models.detection._utils import BoxCoder, Matcher  # type: ignore[import-untyped]
from torchvision.models.detection.retinanet import RetinaNetHead  # type: ignore[import-untyped]
from torchvision.ops import (  # type: ignore[import-untyped]
    FeaturePyramidNetwork,
    batched_nms,
    box_iou,
    clip_boxes_to_image,
    generalized_box_iou_loss,
    remove_small_boxes,
)
from torchvision.ops.feature_pyramid_network import LastLevelP6P7  # type: ignore[import-untyped]

from inference.networks.anchors import Anchors, doubling
from inference.networks.focal import sigmoid_focal
from inference.networks.trunks import Norm, Trunk, TrunkName, group_norm

# The labels of lesions. They start at 0: RetinaNet asks of each class whether it is there, and has
# none for the background. This is the only place that says so.
BENIGN_MASS, MALIGNANT_MASS, BENIGN_CALCIFICATION, MALIGNANT_CALCIFICATION = range(4)
CLASSES = 4

Attach = Literal["c5", "pyramid"]  # where the recall head reads
Shown = Sequence[tuple[int, int]]  # rows and columns of each picture that are no padding

_STRIDES = (8, 16, 32, 64, 128)  # P3 to P7
_C5 = 2
_BACKGROUND, _IGNORED = Matcher.BELOW_LOW_THRESHOLD, Matcher.BETWEEN_THRESHOLDS
_CANDIDATES = 1000  # a level, before boxes that overlap are dropped
_CODER = BoxCoder((1.0, 1.0, 1.0, 1.0))
_MATCHER = Matcher(0.5, 0.4, allow_low_quality_matches=True)  # Lin 2017, section 4.1


class Marks(NamedTuple):
    """The lesions that somebody marked in one picture; none is an answer too."""

    boxes: Tensor  # N 4, left, top, right, bottom in pixels of the picture
    labels: Tensor  # N


class Truth(NamedTuple):
    """What is known of a batch of pictures.

    The weight is one over the chance that a picture of this kind is in the training set, scaled to
    a mean of one over the set: what is learned then holds for screening, where cancer is rare.
    """

    recall: Tensor  # B, 0 or 1
    weight: Tensor  # B
    marks: Sequence[Marks | None]  # None: nobody looked for boxes


class Reading(NamedTuple):
    """What the network says of a batch of pictures; boxes surest first, in each picture."""

    boxes: list[Tensor]  # n 4, left, top, right, bottom in pixels of the picture
    scores: list[Tensor]  # n, 0 to 1
    labels: list[Tensor]  # n
    recall: Tensor  # B, before any sigmoid


class Sight(NamedTuple):
    """What the heads make of a batch, before any decision."""

    logits: Tensor  # B A K
    shifts: Tensor  # B A 4, of the anchors towards the lesions
    anchors: list[Tensor]  # of each level, adding up to A
    recall: Tensor  # B


class RecallRetinaNet(nn.Module):
    """Find lesions at five scales, and decide on recall from what finds them.

    It takes pictures as they come: one size a batch, and how much of each is no padding. Boxes
    are in pixels of those pictures.
    """

    def __init__(  # noqa: PLR0913 - one argument a key of the card
        self,
        *,
        trunk: TrunkName = "resnet50",
        in_channels: int = 3,
        width: int = 64,
        channels: int = 256,
        norm: Norm = "group",
        classes: int = CLASSES,
        attach: Attach = "c5",
        smallest_anchor_px: float = 16,
        edges: int = 0,
    ) -> None:
        super().__init__()
        self.classes, self.attach = classes, attach
        self.trunk = Trunk(trunk, in_channels=in_channels, width=width, norm=norm, edges=edges)
        c5 = self.trunk.channels
        self.pyramid = FeaturePyramidNetwork(
            [c5 // 4, c5 // 2, c5], channels, LastLevelP6P7(c5, channels)
        )
        self.anchors = Anchors(doubling(smallest_anchor_px, len(_STRIDES), steps=3), _STRIDES)
        self.head = RetinaNetHead(channels, self.anchors.at_each_place(), classes, group_norm)
        self.recall = RecallHead(c5 if attach == "c5" else channels, channels)

    def forward(
        self, pictures: Tensor, shown: Shown, truth: Truth | None = None
    ) -> dict[str, Tensor] | Reading:
        """Return the named losses in training, the reading in evaluation."""
        if not self.training:
            return self.read(pictures, shown)
        if truth is None:
            raise ValueError("in training the network needs to be told the truth of each picture")
        return self.losses(pictures, shown, truth)

    def losses(self, pictures: Tensor, shown: Shown, truth: Truth) -> dict[str, Tensor]:
        """Return what each task still has to learn; the task's sum is the paper's one loss.

        The weighted losses are divided by the number of pictures, not by the sum of the weights:
        that would cancel the weights in a batch of one, and bend them in a small one.
        """
        marks = [_checked(mark, self.classes) for mark in truth.marks]
        seen = self._seen(pictures, shown)
        anchors = torch.cat(seen.anchors)
        focal, box = (
            torch.stack(parts)
            for parts in zip(
                *(
                    detection_losses(logits, shifts, anchors, mark)
                    for logits, shifts, mark in zip(seen.logits, seen.shifts, marks, strict=True)
                ),
                strict=True,
            )
        )
        recall = F.binary_cross_entropy_with_logits(
            seen.recall, truth.recall.to(seen.recall), reduction="none"
        )
        weight = truth.weight.to(seen.recall)
        marked = max(1, sum(mark is not None for mark in marks))
        return {
            "focal": (weight * focal).sum() / marked,
            "box": (weight * box).sum() / marked,
            "recall": (weight * recall).mean(),
        }

    def read(
        self,
        pictures: Tensor,
        shown: Shown,
        *,
        least_score: float = 0.05,
        most_overlap: float = 0.3,
        most_boxes: int = 100,
    ) -> Reading:
        """Return the boxes that are sure enough and do not repeat one another."""
        seen = self._seen(pictures, shown)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        for logits, shifts, size in zip(seen.logits, seen.shifts, shown, strict=True):
            boxes, scores, labels = _candidates(logits.sigmoid(), shifts, seen.anchors, size)
            kept = ~(scores <= least_score)  # NaN stays, and is refused; it is not "no finding"
            boxes, scores, labels = boxes[kept], scores[kept], labels[kept]
            kept = batched_nms(boxes, scores, labels, most_overlap)[:most_boxes]
            found.append((boxes[kept], scores[kept], labels[kept]))
        return Reading(
            boxes=[boxes for boxes, _, _ in found],
            scores=[scores for _, scores, _ in found],
            labels=[labels for _, _, labels in found],
            recall=seen.recall,
        )

    def _seen(self, pictures: Tensor, shown: Shown) -> Sight:
        """Look at a batch, B C H W. Boxes and losses want single precision, whatever it came in."""
        features, stages = self.trunk.stem(pictures), []
        for stage in (
            self.trunk.layer1,
            self.trunk.layer2,
            self.trunk.layer3,
            self.trunk.layer4,
        ):
            features = stage(features)
            stages.append(features)
        _, *c3_to_c5 = stages
        levels = list(self.pyramid({str(at): c for at, c in enumerate(c3_to_c5)}).values())
        heads = self.head(levels)
        read, strides = (
            (c3_to_c5[_C5:], _STRIDES[_C5 : _C5 + 1]) if self.attach == "c5" else (levels, _STRIDES)
        )
        return Sight(
            logits=heads["cls_logits"].float(),
            shifts=heads["bbox_regression"].float(),
            anchors=self.anchors.on(levels),
            recall=self.recall(read, strides, shown).float(),
        )


class RecallHead(nn.Module):
    """Decide on recall from one feature map or several: mean and maximum, one layer."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            group_norm(channels),
            nn.ReLU(inplace=True),
        )
        self.decide = nn.Linear(2 * channels, 1)

    def forward(self, maps: Sequence[Tensor], strides: Sequence[int], shown: Shown) -> Tensor:
        """Return the logit of each picture, B."""
        pooled = [
            pooled_where_shown(self.look(features), stride, shown)
            for features, stride in zip(maps, strides, strict=True)
        ]
        logit: Tensor = self.decide(torch.stack(pooled).amax(dim=0))  # B 1
        return logit.squeeze(1)


def pooled_where_shown(features: Tensor, stride: int, shown: Shown) -> Tensor:
    """Return the mean and the maximum of each channel over what is no padding, B 2C."""
    pooled = []
    for picture, (rows, columns) in zip(features, shown, strict=True):
        part = picture[:, : -(-rows // stride), : -(-columns // stride)]
        pooled.append(torch.cat([part.mean(dim=(1, 2)), part.amax(dim=(1, 2))]))
    return torch.stack(pooled)


def detection_losses(
    logits: Tensor, shifts: Tensor, anchors: Tensor, marks: Marks | None
) -> tuple[Tensor, Tensor]:
    """Return the focal loss and the box loss of one picture, for each anchor on a lesion.

    A picture in which nobody looked for boxes teaches neither: an unmarked lesion in it would be
    learned as background.
    """
    matched = _matched(marks, anchors)
    positive, heard = matched >= 0, matched != _IGNORED
    truth = torch.zeros_like(logits)
    lesions = int(positive.sum())
    if marks is not None and lesions:
        truth[positive, marks.labels[matched[positive]]] = 1
    focal = sigmoid_focal(logits[heard], truth[heard]).sum()
    boxes = _CODER.decode_single(shifts[positive], anchors[positive])
    aims = boxes if marks is None else marks.boxes[matched[positive]].to(boxes)
    box: Tensor = generalized_box_iou_loss(boxes, aims, reduction="sum")
    return focal / max(1, lesions), box / max(1, lesions)


def _matched(marks: Marks | None, anchors: Tensor) -> Tensor:
    """Return for each anchor which lesion it lies on, or that it is background or ignored."""
    if marks is None:
        return torch.full((len(anchors),), _IGNORED, device=anchors.device)
    if not len(marks.boxes):
        return torch.full((len(anchors),), _BACKGROUND, device=anchors.device)
    matched: Tensor = _MATCHER(box_iou(marks.boxes.to(anchors), anchors))
    return matched


def _candidates(
    scores: Tensor, shifts: Tensor, anchors: list[Tensor], shown: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the surest boxes of each level, their scores and labels, within what is shown."""
    counts = [len(level) for level in anchors]
    boxes, sure, labels = [], [], []
    for level, its_scores, its_shifts in zip(
        anchors, torch.split(scores, counts), torch.split(shifts, counts), strict=True
    ):
        classes = its_scores.shape[1]
        best, where = its_scores.flatten().topk(min(_CANDIDATES, its_scores.numel()))
        place = where // classes
        boxes.append(_CODER.decode_single(its_shifts[place], level[place]))
        sure.append(best)
        labels.append(where % classes)
    inside = clip_boxes_to_image(torch.cat(boxes), shown)
    kept = remove_small_boxes(inside, 1.0)  # what lay in the padding has no area left
    return inside[kept], torch.cat(sure)[kept], torch.cat(labels)[kept]


def _checked(marks: Marks | None, classes: int) -> Marks | None:
    """Refuse marks that would be learned as something else."""
    if marks is None or not len(marks.boxes):
        return marks
    lowest, highest = int(marks.labels.min()), int(marks.labels.max())
    if lowest < 0 or highest >= classes:
        raise ValueError(
            f"labels run from {lowest} to {highest}, but the network knows 0 to {classes - 1}: "
            f"the first class is 0, and background has no label"
        )
    flat = (marks.boxes[:, 2:] <= marks.boxes[:, :2]).any(dim=1)
    if bool(flat.any()):
        raise ValueError(
            f"the box {marks.boxes[flat][0].tolist()} has no area: boxes are left, top, right, "
            f"bottom, and a single pixel is one wide and one high"
        )
    return marks
