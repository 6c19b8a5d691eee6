"""Le and others 2019: preparation, network and decision of the shared trunk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage
from torch import Tensor

from inference.bundle import Card
from inference.findings import Box, Finding, Kind
from inference.networks.shared_trunk import SharedTrunkNet
from inference.networks.trunks import Norm, Stride, TrunkName, channels_last
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView
from inference.systems.views import BOTH, Scope, Seen, finite, loaded

NAME = "shared_trunk"
# The five classes of Le, section 2, in the order of the S-Net's channels.
HEALTHY, BENIGN_MASS, MALIGNANT_MASS, BENIGN_CALCIFICATION, MALIGNANT_CALCIFICATION = range(5)

Probabilities = NDArray[np.float32]  # K H W, adding up to 1 in each pixel


class Network(BaseModel):
    """The arguments of `SharedTrunkNet`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    trunk: TrunkName
    in_channels: int = Field(ge=1)
    width: int = Field(ge=8)
    output_stride: Stride
    norm: Norm

    def build(self) -> SharedTrunkNet:
        """Make the network, with weights that were never trained."""
        return SharedTrunkNet(**self.model_dump())


class Decision(BaseModel):
    """How a probability map becomes findings."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    extent: float = Field(gt=0, lt=1)  # a pixel this likely to be lesion belongs to a finding
    least_px: int = Field(ge=1)  # of the picture; smaller components are no findings


@dataclass(frozen=True, slots=True, eq=False)
class SharedTrunk:
    """The system of one bundle."""

    network: SharedTrunkNet
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
        return Scope(marks=BOTH, judges=BOTH)

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view."""
        (prepared,) = pictures
        picture = torch.from_numpy(prepared.picture)[None].to(self.device)  # 1 C H W
        with torch.inference_mode():
            reading = self.network(channels_last(picture))
            probabilities = reading.pixels[0].float().softmax(dim=0).cpu()
        finite(probabilities, reading.cancer)
        return Seen(
            cancer=float(reading.cancer[0]),
            findings=findings(probabilities.numpy(), prepared.placement, self.decision),
        )


def findings(
    probabilities: Probabilities, placement: Placement, decision: Decision
) -> tuple[Finding, ...]:
    """Make each connected area that is likely lesion a finding."""
    rows, columns = placement.rows, placement.columns
    shown = probabilities[:, :rows, :columns]
    lesion = 1 - shown[HEALTHY]
    parts, _ = ndimage.label(lesion > decision.extent, structure=np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(parts), start=1):
        inside = parts[place] == number
        score = float(lesion[place][inside].max())
        if inside.sum() < decision.least_px:
            continue
        sums = shown[(slice(None), *place)][:, inside].sum(axis=1, dtype=np.float64)
        found.append(_finding(parts == number, sums, score, placement))
    return tuple(found)


def _finding(
    area: NDArray[np.bool_], sums: NDArray[np.float64], score: float, placement: Placement
) -> Finding:
    """Describe one area: the kind and the truth that most of its probability stands for."""
    mask = placement.mask_to_source(area)
    height, width = mask.pixels.shape
    mass = sums[BENIGN_MASS] + sums[MALIGNANT_MASS]
    calcification = sums[BENIGN_CALCIFICATION] + sums[MALIGNANT_CALCIFICATION]
    malignant = sums[MALIGNANT_MASS] + sums[MALIGNANT_CALCIFICATION]
    return Finding(
        kind=Kind.MASS if mass >= calcification else Kind.CALCIFICATION,
        box=Box(mask.left, mask.top, mask.left + width, mask.top + height),
        score=min(score, 1.0),
        cancer_score=float(malignant / (mass + calcification)),
        mask=mask,
        systems=(NAME,),
    )
