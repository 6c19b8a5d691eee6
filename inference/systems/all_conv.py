"""Shen and others 2019: preparation, networks and decision of the all-convolutional readers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor, nn

from inference.bundle import Card
from inference.networks.all_conv import (
    AllConvNet,
    Block,
    HeatmapLayersNet,
    PatchNet,
    PatchTrunk,
    Reading,
    ResNetBlock,
    VggBlock,
    augmented_score,
)
from inference.networks.trunks import Norm, channels_last
from inference.preparing.prepare import Preparation, PreparedView
from inference.scores import logit_of
from inference.systems.views import BOTH, Scope, Seen, finite, loaded

NAME = "all_conv"

WholeNet = AllConvNet | HeatmapLayersNet

_RESNET = re.compile(r"\[(\d+)-(\d+)-(\d+)\] x (\d+)")
_VGG = re.compile(r"(\d+) x (\d+)")
_LAYERS = re.compile(r"pool (\d+)x(\d+), FC (\d+), FC (\d+)")


@dataclass(frozen=True, slots=True)
class Layers:
    """The heatmap's own top, the lower parts of tables 2 and 3: pooling and two layers."""

    pool: int
    hidden: tuple[int, int]


def top_of(words: Sequence[str]) -> tuple[Block, ...] | Layers:
    """Read what stands on a patch network, in the words of tables 2 and 3.

    Either blocks, "[512-512-1024] x 2" and "256 x 1", or the one line "pool 5x5, FC 64, FC 32".
    """
    if len(words) == 1 and (layers := _LAYERS.fullmatch(words[0])):
        pool, other, first, second = map(int, layers.groups())
        if pool != other:
            raise ValueError(f"{words[0]!r} pools {pool} x {other}; choose a square")
        return Layers(pool, (first, second))
    return tuple(_block(word) for word in words)


def _block(word: str) -> Block:
    if seen := _RESNET.fullmatch(word):
        narrow, middle, wide, units = map(int, seen.groups())
        return ResNetBlock((narrow, middle, wide), units)
    if seen := _VGG.fullmatch(word):
        depth, convolutions = map(int, seen.groups())
        return VggBlock(depth, convolutions)
    raise ValueError(
        f'{word!r} is no block: write "[512-512-1024] x 2", "256 x 1", '
        'or "pool 5x5, FC 64, FC 32" alone'
    )


def _readable(words: tuple[str, ...]) -> tuple[str, ...]:
    top_of(words)
    return words


class Patches(BaseModel):
    """The arguments of a `PatchNet`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    trunk: PatchTrunk
    width: int = Field(ge=8)
    norm: Norm | Literal["none"]  # only vgg16 can do without
    patch_px: int = Field(ge=32, multiple_of=32)
    edges: int = Field(default=0, ge=0)  # directions in which the last channel's edges are told

    def build(self, in_channels: int) -> PatchNet:
        """Make the network, with weights that were never trained."""
        return PatchNet(
            trunk=self.trunk,
            in_channels=in_channels,
            width=self.width,
            norm=None if self.norm == "none" else self.norm,
            patch_px=self.patch_px,
            edges=self.edges,
        )


class Member(Patches):
    """One network of the average: what it was converted from, and what stands on top."""

    top: Annotated[tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(_readable)]
    top_norm: Norm
    heatmap: bool = False  # keep the patch classifier, the paper's bottleneck, between the two

    @property
    def patches(self) -> Patches:
        """Return the patch network that it is converted from."""
        return Patches(**{name: getattr(self, name) for name in Patches.model_fields})

    def converted(self, patches: PatchNet, picture_px: tuple[int, int]) -> WholeNet:
        """Make a reader of whole pictures of what patches taught."""
        top = top_of(self.top)
        if isinstance(top, Layers):
            return HeatmapLayersNet(
                patches, picture_px=picture_px, pool=top.pool, hidden=top.hidden
            )
        return AllConvNet(patches, top, norm=self.top_norm, heatmap=self.heatmap)


class Network(BaseModel):
    """The members whose scores are averaged; the paper has four, a single one is no average."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    in_channels: int = Field(ge=1)
    members: Annotated[tuple[Member, ...], Field(strict=False, min_length=1)]

    def build(self, how: Preparation) -> nn.ModuleList:
        """Make the networks, with weights that were never trained."""
        size = how.height_px, how.width_px
        return nn.ModuleList(
            member.converted(member.build(self.in_channels), size) for member in self.members
        )


class Decision(BaseModel):
    """How the members' answers become a score."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    flips: bool  # each member's score is its mean over the four flips


@dataclass(frozen=True, slots=True, eq=False)
class AllConv:
    """The system of one bundle."""

    networks: nn.ModuleList  # of `WholeNet`s
    preparation: Preparation
    decision: Decision
    device: torch.device

    @classmethod
    def opened(cls, card: Card, weights: dict[str, Tensor], device: torch.device) -> Self:
        """Rebuild the system that a card describes."""
        preparation = Preparation.model_validate(card.preparation)
        networks = Network.model_validate(card.network).build(preparation)
        loaded(networks, weights, device)
        return cls(
            networks=networks,
            preparation=preparation,
            decision=Decision.model_validate(card.decision),
            device=device,
        )

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        """Tell how a view's one picture is made."""
        return (self.preparation,)

    @property
    def scope(self) -> Scope:
        """Tell what the system can be asked for: it judges, and marks nothing."""
        return Scope(marks=(), judges=BOTH)

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view."""
        (prepared,) = pictures
        picture = channels_last(torch.from_numpy(prepared.picture)[None].to(self.device))
        with torch.inference_mode():
            scores = torch.cat([self._score(network, picture) for network in self.networks])
        finite(scores)
        return Seen(cancer=logit_of(float(scores.mean())), findings=())

    def _score(self, network: nn.Module, picture: Tensor) -> Tensor:
        """Return one member's probability of cancer (section 3.1.4)."""
        if self.decision.flips:
            return augmented_score(network, picture)
        reading: Reading = network(picture)
        return reading.cancer.float().sigmoid()
