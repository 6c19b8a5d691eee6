"""Regions that a detector learns from, and how far they lie from the truth."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import box_iou  # type: ignore[import-untyped]

# Matterport's Mask R-CNN, which Gao, section 3.3, keeps.
_MATCHED = 0.5  # overlap with a truth that makes a region positive
_POSITIVE = 0.33  # of the regions of a picture
# Centers vary by a tenth of a side, sides by a fifth of an e-fold: their targets by about 1.
_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
_LARGEST_MOVE = math.log(1000 / 16)  # no step of training may blow a box up to infinity


class Sample(NamedTuple):
    """The regions of one picture that a step of training looks at, positive ones first."""

    boxes: Tensor  # R 4
    classes: Tensor  # R, 0 for background
    truth: Tensor  # P, for each positive region the number of its truth


def sampled(
    regions: Tensor, truth_boxes: Tensor, truth_classes: Tensor, *, most: int = 200
) -> Sample:
    """Draw regions by chance, at most a third of them positive.

    The true boxes join the regions, so that a network that proposes nothing right can learn.
    """
    boxes = torch.cat([regions, truth_boxes.to(regions)]).detach()  # R 4
    if len(truth_boxes):
        overlap, matched = box_iou(truth_boxes.to(regions), boxes).max(dim=0)
        positive = overlap >= _MATCHED
    else:
        matched = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
        positive = matched > 0
    chosen = _some(positive, int(most * _POSITIVE))
    others = _some(~positive, most - len(chosen))
    truth = matched[chosen]
    classes = torch.cat([truth_classes[truth].to(truth), torch.zeros_like(others)])
    return Sample(boxes[torch.cat([chosen, others])], classes, truth)


def _some(among: Tensor, most: int) -> Tensor:
    numbers = torch.where(among)[0]
    return numbers[torch.randperm(len(numbers), device=numbers.device)[:most]]


def encoded(boxes: Tensor, regions: Tensor) -> Tensor:
    """Say how to move each region onto its box, R 4 (Gao, equations 3 and 4).

    The paper's logarithm has base 2; this one is natural, and the weight makes up for it.
    """
    centers, sides = _centers_and_sides(boxes.to(regions))
    from_centers, from_sides = _centers_and_sides(regions)
    moves = torch.cat([(centers - from_centers) / from_sides, (sides / from_sides).log()], dim=1)
    return moves * moves.new_tensor(_WEIGHTS)


def decoded(moves: Tensor, regions: Tensor) -> Tensor:
    """Move each region, the opposite of `encoded`."""
    moves = moves / moves.new_tensor(_WEIGHTS)
    centers, sides = _centers_and_sides(regions.to(moves))
    centers = centers + moves[:, :2] * sides
    sides = sides * moves[:, 2:].clamp(max=_LARGEST_MOVE).exp()
    return torch.cat([centers - sides / 2, centers + sides / 2], dim=1)


def _centers_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
