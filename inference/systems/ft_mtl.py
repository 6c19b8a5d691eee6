"""Gao and others 2020: preparation, network and decision of the feature-transfer network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from inference.bundle import Card
from inference.findings import Box, Finding, Kind, Mask
from inference.networks.ft_mtl import BENIGN, MALIGNANT, FtMtlNet, Reading
from inference.networks.malignant_veto import Mass, malignant_veto
from inference.networks.trunks import Norm, TrunkName, channels_last
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView
from inference.scores import logit_of
from inference.systems.views import Scope, Seen, finite_answers, loaded

NAME = "ft_mtl"

Veto = Literal["paper", "gated", "discounted"]
# Of a view without any box, or with none as malignant. No box says less than a twentieth, so such a
# view may hold as much; nothing at all would outweigh the other view of the breast in their mean.
_LEAST_MALIGNANCY = 0.01


class Network(BaseModel):
    """The arguments of `FtMtlNet`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    trunk: TrunkName
    in_channels: int = Field(ge=1)
    width: int = Field(ge=8)
    norm: Norm
    anchors_px: Annotated[tuple[int, ...], Field(strict=False, min_length=1)]  # of the picture
    transfer: bool  # of the masks' features to the class; the paper's baseline has none

    def build(self) -> FtMtlNet:
        """Make the network, with weights that were never trained."""
        return FtMtlNet(**self.model_dump())


class Decision(BaseModel):
    """How boxes become findings, and findings the view's cancer score.

    The paper's veto says 1 - S of a mass whose surest box is benign with a score of S. What it
    leaves of one is malignancy and background: of a weak benign box, nearly all background. Gated,
    a mass is only asked if it is likely to be one. Discounted, the background is taken off first:
    what S leaves of the chance to be a mass at all. Where there is no background, all three agree.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    objectness: float = Field(gt=0, lt=1)  # a region that looks less like a mass is not looked at
    veto: Veto
    gate: float = Field(default=0.5, gt=0, lt=1)  # of the gated veto: how likely to be a mass
    overlap: float = Field(gt=0, lt=1)  # at which boxes are of one mass
    extent: float = Field(gt=0, lt=1)  # a pixel this likely to be mass belongs to its mask


@dataclass(frozen=True, slots=True, eq=False)
class FtMtl:
    """The system of one bundle."""

    network: FtMtlNet
    preparation: Preparation
    decision: Decision
    device: torch.device

    @classmethod
    def opened(cls, card: Card, weights: dict[str, Tensor], device: torch.device) -> Self:
        """Rebuild the system that a card describes."""
        network = Network.model_validate(card.network).build()
        loaded(network, weights, device)
        return cls(
            network=network,
            preparation=Preparation.model_validate(card.preparation),
            decision=Decision.model_validate(card.decision),
            device=device,
        )

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        """Tell how a view's one picture is made."""
        return (self.preparation,)

    @property
    def scope(self) -> Scope:
        """Tell what the system can be asked for."""
        return Scope(marks=(Kind.MASS,), judges=(Kind.MASS,))

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view."""
        (prepared,) = pictures
        picture = torch.from_numpy(prepared.picture)[None].to(self.device)  # 1 C H W
        shown = (prepared.placement.rows, prepared.placement.columns)
        (reading,) = look(self.network, channels_last(picture), [shown], self.decision)
        return seen(reading, prepared.placement, self.decision)


def look(
    network: FtMtlNet, pictures: Tensor, shown: Sequence[tuple[int, int]], decision: Decision
) -> tuple[Reading, ...]:
    """Read pictures, B C H W, with the regions that the decision wants."""
    # The paper's 0.5 is an example (section 2.1.2), and `eval` sets it; a small network that has
    # seen few masses is rarely that sure of a region, and its heads tell masses better.
    network.regions.score_thresh = decision.objectness
    with torch.inference_mode(), finite_answers(_layers(network)):
        readings: tuple[Reading, ...] = network(pictures, shown)
    return readings


def seen(reading: Reading, placement: Placement, decision: Decision) -> Seen:
    """Make the boxes that lie on each other one finding, and judge the view by the worst of them.

    Every mass becomes a finding, however unsure; where to stop is the operating point's to say.
    The gate is about malignancy alone: below it, a mass says nothing of cancer, neither in its own
    finding nor for the view.
    """
    kept = Reading(*(part.float().cpu() for part in reading))
    boxes, probabilities = kept.boxes, kept.probabilities
    masses = malignant_veto(boxes, probabilities, form="paper", overlap=decision.overlap)
    judged = masses
    if decision.veto == "gated":
        judged = malignant_veto(
            boxes, probabilities, form="gated", gate=decision.gate, overlap=decision.overlap
        )
    malignancies = {mass: malignancy(mass, probabilities, decision.veto) for mass in judged}
    return Seen(
        cancer=logit_of(max([_LEAST_MALIGNANCY, *malignancies.values()])),
        findings=tuple(
            _finding(mass, malignancies.get(mass), kept, placement, decision.extent)
            for mass in masses
        ),
    )


def malignancy(mass: Mass, probabilities: Tensor, veto: Veto) -> float:
    """Return how malignant a mass is, in the sense of the decision's veto."""
    if mass.malignant or veto != "discounted":
        return mass.malignancy
    members = probabilities[list(mass.members)]
    # The chance to be a mass, less the chance to be a benign one.
    return float(members[members[:, BENIGN].argmax(), MALIGNANT])


def _finding(
    mass: Mass, cancer: float | None, reading: Reading, placement: Placement, extent: float
) -> Finding:
    """Show a mass where the box that is likeliest to hold one lies."""
    members = list(mass.members)
    likely = reading.probabilities[members, BENIGN:].sum(dim=1)
    surest = members[int(likely.argmax())]
    box = Box(*reading.boxes[surest].tolist())
    return Finding(
        kind=Kind.MASS,
        box=placement.box_to_source(box),
        score=min(float(likely.max()), 1.0),
        cancer_score=cancer,
        mask=_mask(reading.masks[surest], box, placement, extent),
        systems=(NAME,),
    )


def _mask(mask: Tensor, box: Box, placement: Placement, extent: float) -> Mask | None:
    """Lay a 28 x 28 mask over its box; nothing of it may be likely enough to be mass."""
    area = pasted(mask, box, (placement.rows, placement.columns)) > extent
    return placement.mask_to_source(area) if area.any() else None


def pasted(mask: Tensor, box: Box, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Stretch a mask over its box in a picture; pixels whose centers lie outside get nothing."""
    down, up = _inside(box.top, box.bottom, shape[0])
    across, over = _inside(box.left, box.right, shape[1])
    picture = np.zeros(shape, dtype=np.float32)
    grid = torch.stack(torch.meshgrid(over, up, indexing="xy"), dim=-1)  # h w 2, -1 to 1
    picture[down, across] = F.grid_sample(
        mask[None, None], grid[None], padding_mode="border", align_corners=False
    )[0, 0].numpy()
    return picture


def _inside(start: float, end: float, length: int) -> tuple[slice, Tensor]:
    """Return the pixels with their center between two edges, and where: from -1 to 1."""
    centers = torch.arange(length) + 0.5
    numbers = torch.where((centers >= start) & (centers < end))[0]
    first = int(numbers[0]) if len(numbers) else 0
    where = 2 * (centers[numbers] - start) / (end - start) - 1
    return slice(first, first + len(numbers)), where


def _layers(network: FtMtlNet) -> tuple[nn.Module, ...]:
    """Name the layers whose answers decide; see `finite_answers`."""
    proposes, heads = network.regions.head, network.heads
    return (
        network.trunk,
        proposes.cls_logits,
        proposes.bbox_pred,
        heads.box,
        heads.mask,
        heads.classifier,
    )
