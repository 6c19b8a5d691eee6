"""Gao and others 2020: boxes, masks and classes, with the masks' features handed to the class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.models.detection.anchor_utils import (  # type: ignore[import-untyped]
    AnchorGenerator,
)
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]
from torchvision.models.detection.rpn import (  # type: ignore[import-untyped]
    RegionProposalNetwork,
    RPNHead,
)
from torchvision.ops import (  # type: ignore[import-untyped]
    batched_nms,
    clip_boxes_to_image,
    roi_align,
)

from inference.networks.regions import decoded, encoded, sampled
from inference.networks.trunks import Norm, Trunk, TrunkName

BACKGROUND, BENIGN, MALIGNANT = range(3)  # section 2.2.3

# Section 2.1, and matterport's Mask R-CNN where the paper keeps its defaults (section 3.3).
_STRIDE, _POOLED, _MASK = 16, 7, 28
_OBJECTNESS = 0.5  # of a region that inference looks at
_REGIONS = {"training": 2000, "testing": 1000}
_REGION_OVERLAP = 0.7  # of regions that are one
_BOX_OVERLAP = 0.3  # of boxes that are one
_LEAST_SCORE, _MOST_BOXES = 0.05, 100
_AT_ONCE = 100  # regions; the features of their masks are by far the largest thing in memory
_STD = 0.05  # table 1, step 2


class Truth(NamedTuple):
    """The masses marked on one picture; none of them is a truth too."""

    boxes: Tensor  # M 4: left, top, right, bottom; half open, in pixels of the picture
    classes: Tensor  # M, BENIGN or MALIGNANT
    masks: Tensor  # M H W


class Reading(NamedTuple):
    """What the network says of one picture: its boxes, surest first."""

    boxes: Tensor  # N 4, as in Truth
    probabilities: Tensor  # N 3: background, benign, malignant
    masks: Tensor  # N 28 28: of being mass, over the box, by the mask of the likelier class

    @property
    def scores(self) -> Tensor:
        """Return the probability of the class that each box is said to hold, N (section 3.4.2)."""
        return self.probabilities[:, BENIGN:].amax(dim=1)

    @property
    def classes(self) -> Tensor:
        """Return BENIGN or MALIGNANT for each box, N."""
        return self.probabilities[:, BENIGN:].argmax(dim=1) + BENIGN


Part = Literal["trunk", "regions", "heads"]
Loss = Literal["objectness", "region", "classification", "box", "mask"]


@dataclass(frozen=True, slots=True)
class Step:
    """Which parts of the network a step of training moves, and by which losses."""

    parts: tuple[Part, ...]
    losses: tuple[Loss, ...]


UNITED: tuple[Loss, ...] = ("classification", "box", "mask")  # equation 10, each with weight 1
# Table 1. Steps 1 and 2 are the weights to begin with.
STEPS = {
    3: Step(("trunk", "regions"), ("objectness", "region")),
    4: Step(("heads",), UNITED),
    5: Step(("trunk", "heads"), UNITED),
}


class FtMtlNet(nn.Module):
    """Detect, segment and classify masses (section 2).

    Without transfer it is the baseline: the same network, 768 parameters fewer. At a width of 64
    and with ResNet-50 it is the paper's.
    """

    def __init__(
        self,
        *,
        trunk: TrunkName = "resnet50",
        in_channels: int = 3,
        width: int = 64,
        norm: Norm = "group",
        anchors_px: Sequence[int] = (16, 32, 64, 128, 256),
        transfer: bool = True,
    ) -> None:
        super().__init__()
        self.trunk = Trunk(trunk, in_channels=in_channels, width=width, norm=norm, last_stage=3)
        anchors = AnchorGenerator((tuple(anchors_px),), ((0.5, 1.0, 2.0),))
        self.regions = RegionProposalNetwork(
            anchors,
            RPNHead(self.trunk.channels, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=256,
            positive_fraction=0.5,
            pre_nms_top_n=_REGIONS,
            post_nms_top_n=_REGIONS,
            nms_thresh=_REGION_OVERLAP,
        )
        self.heads = Heads(self.trunk.channels, 4 * width, transfer=transfer)
        self.sampled_regions = 200  # of a picture in training; fewer cost less time and memory
        initialize(self)

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch's own signature
        """Turn training on or off; only reading asks a region for objectness."""
        super().train(mode)
        # A network that has learned nothing yet would leave its heads without a region.
        self.regions.score_thresh = 0.0 if mode else _OBJECTNESS
        return self

    def forward(
        self,
        pictures: Tensor,
        shown: Sequence[tuple[int, int]],
        truths: Sequence[Truth] | None = None,
    ) -> dict[Loss, Tensor] | tuple[Reading, ...]:
        """Return the losses by name in training, and a reading of each picture otherwise.

        Pictures are B C H W. The height and width that each of them shows end where the padding
        of the batch begins; no box reaches beyond.
        """
        if self.training != (truths is not None):
            raise ValueError("truths are for training, and training needs them: call train or eval")
        # Anchors lie on whole strides only if the picture ends on one.
        height, width = pictures.shape[-2:]
        pictures = F.pad(pictures, (0, -width % _STRIDE, 0, -height % _STRIDE))
        features = self.trunk(pictures)  # B 1024 H/16 W/16
        marked = None if truths is None else [{"boxes": truth.boxes} for truth in truths]
        images = ImageList(pictures, [(int(rows), int(columns)) for rows, columns in shown])
        # In full precision: half of it places a box a whole pixel aside.
        with torch.autocast(pictures.device.type, enabled=False):
            regions, found = self.regions(images, {"0": features.float()}, marked)
        if truths is None:
            return self._read(features, regions, shown)
        return {
            "objectness": found["loss_objectness"],
            "region": found["loss_rpn_box_reg"],
            **self._losses(features, regions, truths),
        }

    def _losses(
        self, features: Tensor, regions: Sequence[Tensor], truths: Sequence[Truth]
    ) -> dict[Loss, Tensor]:
        """Judge all three heads on the same sampled regions, in parallel (section 2.3)."""
        samples = [
            sampled(boxes, truth.boxes, truth.classes, most=self.sampled_regions)
            for boxes, truth in zip(regions, truths, strict=True)
        ]
        said = self.heads(_pooled(features, [sample.boxes for sample in samples]))
        classes = torch.cat([sample.classes for sample in samples])
        mass = classes != BACKGROUND
        targets = [
            encoded(truth.boxes[sample.truth], sample.boxes[: len(sample.truth)])
            for sample, truth in zip(samples, truths, strict=True)
        ]
        masks = [
            _mask_targets(truth.masks[sample.truth], sample.boxes[: len(sample.truth)])
            for sample, truth in zip(samples, truths, strict=True)
        ]
        return {
            "classification": F.cross_entropy(said.classes.float(), classes),  # equation 9
            "box": box_loss(said.boxes[mass].float(), torch.cat(targets)),
            "mask": mask_loss(said.masks[mass].float(), classes[mass], torch.cat(masks)),
        }

    def _read(
        self, features: Tensor, regions: Sequence[Tensor], shown: Sequence[tuple[int, int]]
    ) -> tuple[Reading, ...]:
        """Refine each box, pool it again, and only then make mask and class (section 2.3)."""
        moves = self.heads.moves(_pooled(features, regions)).float()
        counts = [len(boxes) for boxes in regions]
        refined = [
            clip_boxes_to_image(decoded(move, boxes), size)
            for move, boxes, size in zip(torch.split(moves, counts), regions, shown, strict=True)
        ]
        pooled = torch.split(_pooled(features, refined), _AT_ONCE)
        said = Said(*map(torch.cat, zip(*map(self.heads, pooled), strict=True)))
        probabilities = torch.split(said.classes.float().softmax(dim=1), counts)
        masks = torch.split(said.masks.float().sigmoid(), counts)
        return tuple(
            _surest(Reading(*each)) for each in zip(refined, probabilities, masks, strict=True)
        )


class Said(NamedTuple):
    """What the heads say of R regions, before any softmax or sigmoid."""

    boxes: Tensor  # R 4: how to move the region
    masks: Tensor  # R 2 28 28: benign, malignant
    classes: Tensor  # R 3


class Heads(nn.Module):
    """Refine a region's box, draw its masks, and tell its class (section 2.2)."""

    def __init__(self, channels: int, mask_channels: int, *, transfer: bool) -> None:
        super().__init__()
        self.transfer = transfer
        self.box = nn.Linear(channels, 4)
        self.up1 = nn.ConvTranspose2d(channels, mask_channels, 2, stride=2)
        self.up2 = nn.ConvTranspose2d(mask_channels, mask_channels, 2, stride=2)
        self.mask = nn.Conv2d(mask_channels, 2, 1)
        self.classifier = nn.Linear(channels + (mask_channels if transfer else 0), 3)

    def forward(self, regions: Tensor) -> Said:
        """Look at pooled regions, R C 7 7."""
        coarse = regions.mean(dim=(2, 3))  # R 1024
        fine = F.relu(self.up2(F.relu(self.up1(regions))))  # R 256 28 28, the paper's theta 4
        masks = self.mask(fine)  # R 2 28 28
        seen = [coarse, transferred(fine, masks)] if self.transfer else [coarse]
        return Said(self.box(coarse), masks, self.classifier(torch.cat(seen, dim=1)))

    def moves(self, regions: Tensor) -> Tensor:
        """Return only how to move each region, R 4."""
        moves: Tensor = self.box(regions.mean(dim=(2, 3)))
        return moves


def transferred(fine: Tensor, masks: Tensor) -> Tensor:
    """Weigh R C 28 28 features by the likelier of R 2 28 28 mask logits, and pool them to R C."""
    weight = masks.sigmoid().amax(dim=1, keepdim=True)  # equation 5: max(M_b, M_m)
    return F.max_pool2d(fine * weight, 2).mean(dim=(2, 3))  # equation 6


def box_loss(moves: Tensor, targets: Tensor) -> Tensor:
    """Return the smooth L1 distance, the mean over masses and coordinates (equations 1 and 2)."""
    # A mean over nothing is no number; without a mass there is nothing to learn.
    return F.smooth_l1_loss(moves, targets, reduction="sum") / max(1, targets.numel())


def mask_loss(masks: Tensor, classes: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy of the true class's mask (equations 7 and 8)."""
    own = masks[torch.arange(len(classes), device=masks.device), classes - BENIGN]  # P 28 28
    loss = F.binary_cross_entropy_with_logits(own, targets, reduction="sum")
    return loss / max(1, targets.numel())


def initialize(network: FtMtlNet, std: float = _STD) -> None:
    """Draw all weights but the trunk's from a normal distribution (table 1, step 2)."""
    for part in (network.regions, network.heads):
        for module in part.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=std)
                assert module.bias is not None
                nn.init.zeros_(module.bias)


def _pooled(features: Tensor, boxes: Sequence[Tensor]) -> Tensor:
    # Not "aligned": feature i of a ResNet is centered on pixel 16 i, as its anchors are.
    pooled: Tensor = roi_align(
        features.float(), [each.float() for each in boxes], _POOLED, 1 / _STRIDE, 2
    )
    return pooled  # R C 7 7


def _mask_targets(masks: Tensor, boxes: Tensor) -> Tensor:
    """Crop each mass's mask to the region that was matched with it."""
    numbers = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)
    # Aligned: pixel i of a mask lies between i and i + 1.
    targets: Tensor = roi_align(
        masks[:, None].to(boxes.dtype), torch.cat([numbers[:, None], boxes], 1), _MASK, aligned=True
    )
    return targets[:, 0]  # P 28 28


def _surest(all_boxes: Reading) -> Reading:
    """Keep the boxes that stand for something, and the mask of the class they say.

    Boxes of different classes do not suppress each other: the malignant-veto is about them.
    """
    boxes, scores = all_boxes.boxes, all_boxes.scores
    sides = boxes[:, 2:] - boxes[:, :2]
    likely = torch.where((scores > _LEAST_SCORE) & (sides >= 1).all(dim=1))[0]
    classes = all_boxes.classes
    kept = likely[batched_nms(boxes[likely], scores[likely], classes[likely], _BOX_OVERLAP)]
    kept = kept[:_MOST_BOXES]
    return Reading(
        boxes[kept], all_boxes.probabilities[kept], all_boxes.masks[kept, classes[kept] - BENIGN]
    )
