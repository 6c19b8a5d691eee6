"""Cao and others: masses by Faster R-CNN, calcifications by a U-Net."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from torchvision.models.detection.faster_rcnn import (  # type: ignore[import-untyped]
    FastRCNNPredictor,
    TwoMLPHead,
)
from torchvision.models.detection.image_list import ImageList  # type: ignore[import-untyped]
from torchvision.models.detection.roi_heads import (  # type: ignore[import-untyped]
    RoIHeads,
    fastrcnn_loss,
)
from torchvision.models.detection.rpn import (  # type: ignore[import-untyped]
    RegionProposalNetwork,
    RPNHead,
)
from torchvision.ops import (  # type: ignore[import-untyped]
    FeaturePyramidNetwork,
    MultiScaleRoIAlign,
)
from torchvision.ops.feature_pyramid_network import (  # type: ignore[import-untyped]
    LastLevelMaxPool,
)
from torchvision.ops.poolers import initLevelMapper  # type: ignore[import-untyped]

from inference.networks.anchors import Anchors, Sizes, doubling
from inference.networks.focal import sigmoid_focal, softmax_focal
from inference.networks.group_unet import GroupUNet, UNetNorm
from inference.networks.non_local import BlockNorm, NonLocal
from inference.networks.trunks import Norm, Trunk, TrunkName

LateStage = Literal["layer3", "layer4"]
Shown = Sequence[tuple[int, int]]  # rows and columns of each picture that are no padding

_MASS = 1  # R-CNN's classes start with the background; nothing outside this module sees it
_STRIDES = (4, 8, 16, 32, 64)  # P2 to P6
_C4_STRIDE = 16
_SCALES = len(_STRIDES)
_ROI_PX = 7  # a side of what the heads see of a proposal
_PRIOR = 0.01  # how likely an anchor is a mass before anything is learned (Lin 2017, section 3.3)


class MassReading(NamedTuple):
    """The masses of a batch of pictures, surest first in each; benign or not is not asked."""

    boxes: list[Tensor]  # n 4, left, top, right, bottom in pixels of the picture
    scores: list[Tensor]  # n, 0 to 1


class MassNet(nn.Module):
    """Detect masses; each idea can be left out (Cao, section 2.1 and table 1).

    With `fpn=False, focal=False, nonlocal_at=()` it is the paper's vanilla Faster R-CNN.
    """

    def __init__(  # noqa: PLR0913 - one argument a key of the card
        self,
        *,
        trunk: TrunkName = "resnet50",
        in_channels: int = 3,
        width: int = 64,
        channels: int = 256,
        norm: Norm = "group",
        fpn: bool = True,
        focal: bool = True,
        nonlocal_at: Sequence[LateStage] = ("layer3", "layer4"),
        smallest_anchor_px: float = 32,
    ) -> None:
        super().__init__()
        bare = Trunk(
            trunk,
            in_channels=in_channels,
            width=width,
            norm=norm,
            last_stage=4 if fpn else 3,  # the vanilla network ends at a stride of 16
        )
        self.scales = _Scales(bare, nonlocal_at, channels if fpn else None)
        sizes = doubling(smallest_anchor_px, _SCALES)
        anchors = Anchors(sizes, _STRIDES) if fpn else Anchors((_together(sizes),), (_C4_STRIDE,))
        self.proposals = _proposals(anchors, self.scales.channels, focal=focal)
        self.heads = _heads(self.scales, hidden=4 * channels, focal=focal)

    def learn_from(self, *, proposed: int, sampled: int) -> None:
        """Let training look at fewer regions of a picture; on a CPU they are most of its time.

        Proposed regions are those kept of all; sampled ones are those that the heads judge.
        """
        self.proposals._pre_nms_top_n["training"] = 2 * proposed  # noqa: SLF001 - no other way
        self.proposals._post_nms_top_n["training"] = proposed  # noqa: SLF001 - "
        self.heads.fg_bg_sampler.batch_size_per_image = sampled

    def forward(
        self, pictures: Tensor, shown: Shown, masses: Sequence[Tensor] | None = None
    ) -> dict[str, Tensor] | MassReading:
        """Return the named losses in training, the masses in evaluation.

        Masses are the true boxes of each picture, N 4; a picture without any is background.
        """
        if not self.training:
            return self.read(pictures, shown)
        if masses is None:
            raise ValueError("in training the network needs to be told the masses of each picture")
        return self.losses(pictures, shown, masses)

    def losses(self, pictures: Tensor, shown: Shown, masses: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return what proposals and heads still have to learn."""
        truth = [{"boxes": _checked(boxes).float(), "labels": _labels(boxes)} for boxes in masses]
        _, proposing, deciding = self._detected(pictures, shown, truth)
        return {
            "proposal": proposing["loss_objectness"],
            "proposal_box": proposing["loss_rpn_box_reg"],
            "mass": deciding["loss_classifier"],
            "box": deciding["loss_box_reg"],
        }

    def read(self, pictures: Tensor, shown: Shown) -> MassReading:
        """Return the masses of each picture."""
        found, _, _ = self._detected(pictures, shown, None)
        return MassReading([one["boxes"] for one in found], [one["scores"] for one in found])

    def _detected(
        self, pictures: Tensor, shown: Shown, truth: list[dict[str, Tensor]] | None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor], dict[str, Tensor]]:
        scales = self.scales(pictures)
        images = ImageList(pictures, [(rows, columns) for rows, columns in shown])
        # torchvision decodes boxes in the type of the features: half precision misses by pixels.
        with torch.autocast(pictures.device.type, enabled=False):
            scales = {name: features.float() for name, features in scales.items()}
            proposals, proposing = self.proposals(images, scales, truth)
            found, deciding = self.heads(scales, proposals, images.image_sizes, truth)
        return found, proposing, deciding


class CalcificationReading(NamedTuple):
    """What the network says of a batch of tiles, before any softmax."""

    pixels: Tensor  # B 2 H W: background, calcification


class CalcificationNet(nn.Module):
    """Segment calcifications in tiles of 512 pixels (Cao, section 2.2)."""

    def __init__(self, *, in_channels: int = 1, width: int = 64, norm: UNetNorm = "group") -> None:
        super().__init__()
        self.u_net = GroupUNet(in_channels=in_channels, classes=2, width=width, norm=norm)

    def forward(self, tiles: Tensor) -> CalcificationReading:
        """Read a batch of tiles, B C H W, both sides multiples of eight."""
        return CalcificationReading(self.u_net(tiles))


class _Scales(nn.Module):
    """A trunk with non-local blocks in its late stages, and a pyramid or its fourth map alone.

    The blocks stand beside the trunk, not within: its state still fits torchvision's.
    """

    def __init__(
        self, trunk: Trunk, nonlocal_at: Sequence[LateStage], pyramid_channels: int | None
    ) -> None:
        super().__init__()
        last = 3 if pyramid_channels is None else 4
        widths = {f"layer{n}": trunk.channels // 2 ** (last - n) for n in range(1, last + 1)}
        absent = [stage for stage in nonlocal_at if stage not in widths]
        if absent:
            raise ValueError(
                f"no non-local block can stand in {', '.join(absent)}: without a pyramid the trunk "
                f"ends with layer3"
            )
        self.trunk = trunk
        self.stages = tuple(widths)
        block_norm: BlockNorm = "group" if isinstance(trunk.bn1, nn.GroupNorm) else "batch"
        self.non_local = nn.ModuleDict(
            {stage: NonLocal(widths[stage], norm=block_norm) for stage in nonlocal_at}
        )
        self.pyramid = (
            None
            if pyramid_channels is None
            else FeaturePyramidNetwork(list(widths.values()), pyramid_channels, LastLevelMaxPool())
        )
        self.channels = pyramid_channels or trunk.channels

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return feature maps by name, finest first."""
        features, maps = self.trunk.stem(pictures), {}
        for number, stage in enumerate(self.stages):
            *blocks, last = getattr(self.trunk, stage)
            for block in blocks:
                features = block(features)
            if stage in self.non_local:
                features = self.non_local[stage](features)
            features = maps[str(number)] = last(features)
        if self.pyramid is None:
            return {"0": features}
        levels: dict[str, Tensor] = self.pyramid(maps)
        return levels


class _FocalProposals(RegionProposalNetwork):  # type: ignore[misc]
    """Propose with the focal loss over all anchors, where torchvision draws a balanced sample."""

    def compute_loss(
        self,
        objectness: Tensor,
        pred_bbox_deltas: Tensor,
        labels: list[Tensor],
        regression_targets: list[Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Return the losses of objectness and boxes, for each anchor on a mass."""
        truth, aims = torch.cat(labels), torch.cat(regression_targets)
        positive, heard = truth >= 1, truth >= 0
        masses = positive.sum().clamp(min=1)
        focal = sigmoid_focal(objectness.flatten()[heard], truth[heard]).sum() / masses
        box = F.smooth_l1_loss(
            pred_bbox_deltas[positive], aims[positive], beta=1 / 9, reduction="sum"
        )
        return focal, box / masses


class _FocalHeads(RoIHeads):  # type: ignore[misc]
    """Decide with the focal loss; the mean over the sampled proposals."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return nothing and the losses in training, the masses in evaluation."""
        if not self.training:
            found: tuple[list[dict[str, Tensor]], dict[str, Tensor]] = super().forward(
                features, proposals, image_shapes
            )
            return found
        proposals, _, labels, aims = self.select_training_samples(proposals, targets)
        seen = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, shifts = self.box_predictor(seen)
        _, box = fastrcnn_loss(logits, shifts, labels, aims)
        focal = softmax_focal(logits, torch.cat(labels))
        return [], {"loss_classifier": focal, "loss_box_reg": box}


def _proposals(anchors: Anchors, channels: int, *, focal: bool) -> RegionProposalNetwork:
    """Propose few regions: a mammogram holds a few masses at most (Cao, section 4.1.1)."""
    head = RPNHead(channels, anchors.at_each_place())
    if focal:
        nn.init.constant_(head.cls_logits.bias, -math.log((1 - _PRIOR) / _PRIOR))
    kind = _FocalProposals if focal else RegionProposalNetwork
    return kind(
        anchors,
        head,
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=256,
        positive_fraction=0.5,
        pre_nms_top_n={"training": 2000, "testing": 1000},
        post_nms_top_n={"training": 1000, "testing": 100},
        nms_thresh=0.7,
    )


def _pooling(scales: _Scales) -> MultiScaleRoIAlign:
    """Pool proposals from the maps whose strides are known.

    Left to itself, torchvision infers the strides once, from the first picture that it meets: and
    wrongly, for good, if that picture shows little and is mostly padding.
    """
    strides = [_C4_STRIDE] if scales.pyramid is None else _STRIDES[: len(scales.stages)]
    names = [str(at) for at in range(len(strides))]
    pooling = MultiScaleRoIAlign(names, _ROI_PX, sampling_ratio=2)
    pooling.scales = [1 / stride for stride in strides]
    pooling.map_levels = initLevelMapper(int(math.log2(strides[0])), int(math.log2(strides[-1])))
    return pooling


def _heads(scales: _Scales, *, hidden: int, focal: bool) -> RoIHeads:
    kind = _FocalHeads if focal else RoIHeads
    return kind(
        _pooling(scales),
        TwoMLPHead(scales.channels * _ROI_PX**2, hidden),
        FastRCNNPredictor(hidden, _MASS + 1),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=256,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=0.05,
        nms_thresh=0.3,
        detections_per_img=20,
    )


def _together(sizes: Sizes) -> tuple[float, ...]:
    return tuple(size for level in sizes for size in level)


def _labels(boxes: Tensor) -> Tensor:
    return torch.full((len(boxes),), _MASS, dtype=torch.int64, device=boxes.device)


def _checked(boxes: Tensor) -> Tensor:
    """Refuse boxes that no proposal can overlap."""
    flat = (boxes[:, 2:] <= boxes[:, :2]).any(dim=1)
    if bool(flat.any()):
        raise ValueError(
            f"the box {boxes[flat][0].tolist()} has no area: boxes are left, top, right, bottom, "
            f"and a single pixel is one wide and one high"
        )
    return boxes
