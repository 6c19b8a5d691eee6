"""Gao and others 2020, section 2.3: one malignant box makes a mass malignant."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torchvision.ops import box_iou  # type: ignore[import-untyped]

Form = Literal["paper", "gated"]

_BENIGN, _MALIGNANT = 1, 2  # columns of the probabilities


@dataclass(frozen=True, slots=True)
class Mass:
    """What all boxes of one mass say together."""

    members: tuple[int, ...]  # numbers of the boxes, surest first
    malignant: bool
    malignancy: float  # 0 to 1


def malignant_veto(
    boxes: Tensor,
    probabilities: Tensor,
    *,
    form: Form = "gated",
    gate: float = 0.5,
    overlap: float = 0.4,
) -> tuple[Mass, ...]:
    """Make the N 4 boxes that lie on each other one mass, by their N 3 probabilities.

    The paper's form makes of a single benign box of score .32 a malignancy of .68, above a
    malignant box of .60: one minus a weak score for benign is mostly background. The paper means
    it for masses that were detected; so the gated form leaves out a mass none of whose boxes is
    at least so likely to be a mass at all.
    """
    scores = probabilities[:, _BENIGN:].amax(dim=1)
    touching = box_iou(boxes, boxes) >= overlap
    left = scores.argsort(descending=True, stable=True).tolist()
    masses = []
    while left:
        members = [number for number in left if number == left[0] or touching[left[0], number]]
        left = [number for number in left if number not in members]
        likely = float(probabilities[members, _BENIGN:].sum(dim=1).max())
        if form == "paper" or likely >= gate:
            masses.append(_judged(members, probabilities[members]))
    return tuple(masses)


def _judged(members: list[int], probabilities: Tensor) -> Mass:
    benign, malignant = probabilities[:, _BENIGN], probabilities[:, _MALIGNANT]
    vetoing = malignant > benign
    if vetoing.any():
        return Mass(tuple(members), malignant=True, malignancy=float(malignant[vetoing].max()))
    return Mass(tuple(members), malignant=False, malignancy=float(1 - benign.max()))
