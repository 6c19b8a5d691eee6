"""Cao and others (DeepLIMa): masses by detection, calcifications by segmentation, one answer.

The system does not judge malignancy, as the paper does not: its findings have no cancer score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from inference.bundle import Calibration, Card
from inference.findings import Box, Finding, Kind
from inference.networks.deeplima import (
    CalcificationNet,
    CalcificationReading,
    LateStage,
    MassNet,
    MassReading,
)
from inference.networks.group_unet import UNetNorm
from inference.networks.trunks import Norm, TrunkName, channels_last
from inference.preparing.clusters import LEAST_MEMBERS, LINKING_MM, Group, grouped
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView
from inference.preparing.tiles import Tiling, read_by_tiles
from inference.scores import logit_of, sigmoid
from inference.systems.memory import in_parts
from inference.systems.views import (
    BOTH,
    Scope,
    Seen,
    finite,
    finite_answers,
    loaded,
)

NAME = "deeplima"
_TILES_AT_ONCE = 4  # more are no faster on a processor, and hold more memory

Picture = NDArray[np.float32]


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class MassSettings(_Table):
    """The arguments of `MassNet`."""

    trunk: TrunkName
    in_channels: int = Field(ge=1)
    width: int = Field(ge=8)
    channels: int = Field(ge=8)
    norm: Norm
    fpn: bool
    focal: bool
    nonlocal_at: Annotated[tuple[LateStage, ...], Field(strict=False)]
    smallest_anchor_px: float = Field(gt=0)


class CalcificationSettings(_Table):
    """The arguments of `CalcificationNet`."""

    in_channels: int = Field(ge=1)
    width: int = Field(ge=4)
    norm: UNetNorm


class DeeplimaNet(nn.Module):
    """Both networks under one name; neither hears of the other."""

    def __init__(self, mass: MassNet, calcification: CalcificationNet) -> None:
        super().__init__()
        self.mass = mass
        self.calcification = calcification


class Network(_Table):
    """Both networks of the system."""

    mass: MassSettings
    calcification: CalcificationSettings

    def build(self) -> DeeplimaNet:
        """Make the networks, with weights that were never trained."""
        return DeeplimaNet(
            MassNet(**self.mass.model_dump()),
            CalcificationNet(**self.calcification.model_dump()),
        )


class Preparations(_Table):
    """A coarse picture for masses, a fine one for calcifications."""

    mass: Preparation
    calcification: Preparation


class Clustering(_Table):
    """How tiles become clusters of calcifications."""

    tiling: Tiling
    calcium: float = Field(gt=0, lt=1)  # a pixel this likely to be calcification belongs to one
    least_px: int = Field(ge=1)  # of the picture; smaller components are left out
    linking_mm: float = Field(default=LINKING_MM, gt=0)
    least_members: int = Field(default=LEAST_MEMBERS, ge=1)


class Decision(Clustering):
    """How tiles become clusters, and how the two networks' scores become comparable.

    A detector's score and a U-Net's are of different scales. Platt's line on the logit of each
    makes them the probability that a mark is true, so that one threshold serves both kinds.
    """

    mass_score: Calibration
    calcification_score: Calibration

    def line(self, kind: Kind) -> Calibration:
        """Return the line for the scores of a kind."""
        return self.mass_score if kind is Kind.MASS else self.calcification_score

    def score(self, kind: Kind, raw: float) -> float:
        """Return how likely a mark is true, of the network's own score, 0 to 1."""
        return sigmoid(self.line(kind).logit(logit_of(raw)))


@dataclass(frozen=True, slots=True, eq=False)
class Deeplima:
    """The system of one bundle."""

    network: DeeplimaNet
    preparation: Preparations
    decision: Decision
    device: torch.device
    marks: tuple[Kind, ...] = BOTH  # a training of one network alone asks that one alone

    @classmethod
    def opened(cls, card: Card, weights: dict[str, Tensor], device: torch.device) -> Self:
        """Rebuild the system that a card describes."""
        network = Network.model_validate(card.network).build()
        loaded(network, weights, device)
        return cls(
            network=network,
            preparation=Preparations.model_validate(card.preparation),
            decision=Decision.model_validate(card.decision),
            device=device,
        )

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        """Tell how a view's pictures are made, one for each network."""
        hows = {
            Kind.MASS: self.preparation.mass,
            Kind.CALCIFICATION: self.preparation.calcification,
        }
        return tuple(hows[kind] for kind in self.marks)

    @property
    def scope(self) -> Scope:
        """Tell what the system can be asked for."""
        return Scope(marks=self.marks, judges=())

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view."""
        look = {Kind.MASS: self._masses, Kind.CALCIFICATION: self._calcifications}
        with torch.inference_mode():
            found = [
                look[kind](picture) for kind, picture in zip(self.marks, pictures, strict=True)
            ]
        return Seen(cancer=None, findings=tuple(one for some in found for one in some))

    def _masses(self, prepared: PreparedView) -> tuple[Finding, ...]:
        placement = prepared.placement
        picture = torch.from_numpy(prepared.picture)[None].to(self.device)  # 1 C H W
        network = self.network.mass
        decide = (*network.proposals.head.children(), *network.heads.box_predictor.children())
        with finite_answers((network.scales, *decide)):
            reading: MassReading = network(
                channels_last(picture), [(placement.rows, placement.columns)]
            )
        (boxes,), (scores,) = reading
        return masses(boxes, scores, placement, self.decision)

    def _calcifications(self, prepared: PreparedView) -> tuple[Finding, ...]:
        (probability,) = read_by_tiles(
            prepared.picture,
            lambda tiles: in_parts(self._calcium, tiles),
            self.decision.tiling,
            kinds=1,
            at_once=_TILES_AT_ONCE,
        )
        # The pitch of this very picture is not told: it is the one asked for, unless the breast
        # is too large for it or the source is coarser, and then distances are a little longer.
        pitch_mm = self.preparation.calcification.pitch_mm
        return calcifications(probability, prepared.placement, pitch_mm, self.decision)

    def _calcium(self, tiles: Picture) -> Picture:
        """Return how likely each pixel of each tile is calcification, B 1 T T."""
        reading: CalcificationReading = self.network.calcification(
            channels_last(torch.from_numpy(tiles).to(self.device))
        )
        finite(reading.pixels)
        likely: Picture = reading.pixels.float().softmax(dim=1)[:, 1:].cpu().numpy()
        return likely


def masses(
    boxes: Tensor, scores: Tensor, placement: Placement, decision: Decision
) -> tuple[Finding, ...]:
    """Make each detected box, n 4 in pixels of the picture, a finding."""
    return tuple(
        Finding(
            kind=Kind.MASS,
            box=placement.box_to_source(Box(*box)),
            score=decision.score(Kind.MASS, score),
            cancer_score=None,
            mask=None,
            systems=(NAME,),
        )
        for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)
    )


def calcifications(
    probability: Picture, placement: Placement, pitch_mm: float, decision: Decision
) -> tuple[Finding, ...]:
    """Make each cluster, and each calcification that stands alone, a finding."""
    shown = probability[: placement.rows, : placement.columns]
    groups = grouped(
        shown > decision.calcium,
        (pitch_mm, pitch_mm),
        linking_mm=decision.linking_mm,
        least_members=decision.least_members,
        least_px=decision.least_px,
    )
    return tuple(_cluster(group, shown, placement, decision) for group in groups)


def _cluster(group: Group, shown: Picture, placement: Placement, decision: Decision) -> Finding:
    area = group.mask.on(*shown.shape)
    mask = placement.mask_to_source(area)
    height, width = mask.pixels.shape
    return Finding(
        kind=Kind.CALCIFICATION,
        box=Box(mask.left, mask.top, mask.left + width, mask.top + height),
        score=decision.score(Kind.CALCIFICATION, float(shown[area].mean())),
        cancer_score=None,
        mask=mask,
        systems=(NAME,),
    )
