"""Sainz de Cea and others 2020: preparation, network and decision of the recall RetinaNet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torchvision.ops import box_iou  # type: ignore[import-untyped]

from inference.bundle import Card
from inference.findings import Box, Finding, Kind
from inference.networks.recall_retina import (
    BENIGN_CALCIFICATION,
    BENIGN_MASS,
    CLASSES,
    MALIGNANT_CALCIFICATION,
    MALIGNANT_MASS,
    Attach,
    Reading,
    RecallRetinaNet,
)
from inference.networks.trunks import Norm, TrunkName, channels_last
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView
from inference.scores import logit_of
from inference.systems.views import BOTH, Scope, Seen, finite, finite_answers, loaded

NAME = "recall_retina"
_MALIGNANT = (MALIGNANT_MASS, MALIGNANT_CALCIFICATION)


class Network(BaseModel):
    """The arguments of `RecallRetinaNet`, and how many of it look."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    trunk: TrunkName
    in_channels: int = Field(ge=1)
    width: int = Field(ge=8)
    channels: int = Field(ge=8)
    norm: Norm
    attach: Attach
    smallest_anchor_px: float = Field(gt=0)
    edges: int = Field(default=0, ge=0)  # directions in which the last channel's edges are told
    members: int = Field(default=1, ge=1)  # each begun and taught by another chance

    def member(self) -> RecallRetinaNet:
        """Make one of the networks, with weights that were never trained."""
        return RecallRetinaNet(**self.model_dump(exclude={"members"}))

    def build(self) -> nn.ModuleList:
        """Make all of them."""
        return nn.ModuleList(self.member() for _ in range(self.members))


def bundled(networks: nn.ModuleList) -> nn.Module:
    """Return what a bundle's weights are named by: several networks have their numbers first."""
    return networks[0] if len(networks) == 1 else networks


class Decision(BaseModel):
    """How boxes become findings."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    least_score: float = Field(gt=0, lt=1)  # less sure boxes are not looked at
    most_overlap: float = Field(gt=0, lt=1)  # of two boxes of one class; else they are one
    same_lesion: float = Field(gt=0, lt=1)  # overlap at which boxes of any class are one lesion
    # Who says whether a view shows a cancer: the recall head, the surest malignant box, as of a
    # detector alone, the paper's single task, or both, by the mean of their logits.
    judged_by: Literal["recall", "boxes", "both"] = "recall"
    upside_down: bool = False  # look a second time, at the view upside down, and take the mean


@dataclass(frozen=True, slots=True, eq=False)
class RecallRetina:
    """The system of one bundle."""

    networks: nn.ModuleList  # of `RecallRetinaNet`s
    preparation: Preparation
    decision: Decision
    device: torch.device
    kinds: tuple[Kind, ...] = BOTH  # that it learned to mark; of others it says nothing

    @classmethod
    def opened(cls, card: Card, weights: dict[str, Tensor], device: torch.device) -> Self:
        """Rebuild the system that a card describes."""
        networks = Network.model_validate(card.network).build()
        loaded(bundled(networks), weights, device)
        return cls(
            networks=networks,
            preparation=Preparation.model_validate(card.preparation),
            decision=Decision.model_validate(card.decision),
            device=device,
            kinds=card.marks,
        )

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        """Tell how a view's one picture is made."""
        return (self.preparation,)

    @property
    def scope(self) -> Scope:
        """Tell what the system can be asked for."""
        return Scope(marks=self.kinds, judges=self.kinds)

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        """Look at one view; its cancer score is the one that the decision asks for."""
        (prepared,) = pictures
        picture = torch.from_numpy(prepared.picture)[None].to(self.device)  # 1 C H W
        rows, columns = prepared.placement.rows, prepared.placement.columns
        looks = [picture]
        if self.decision.upside_down:
            looks.append(torch.cat([picture[:, :, :rows].flip(2), picture[:, :, rows:]], dim=2))
        batch = channels_last(torch.cat(looks))
        readings = [self._reading(network, batch, (rows, columns)) for network in self.networks]
        seen = [look for reading in readings for look in _looks(reading, rows)]
        together = met(seen, self.decision.most_overlap) if len(seen) > 1 else seen[0]
        found = findings(*together, prepared.placement, self.decision)
        recall = torch.cat([reading.recall for reading in readings])
        return Seen(
            cancer=self._cancer(float(recall.mean()), together),
            findings=tuple(one for one in found if one.kind in self.kinds),
        )

    def _reading(self, network: nn.Module, batch: Tensor, size: tuple[int, int]) -> Reading:
        assert isinstance(network, RecallRetinaNet)
        # Boxes of NaN are dropped as too small before anyone could look at them.
        with torch.inference_mode(), finite_answers((network.pyramid, network.head)):
            return network.read(
                batch,
                [size] * len(batch),
                least_score=self.decision.least_score,
                most_overlap=self.decision.most_overlap,
            )

    def _cancer(self, recall: float, boxes: "Boxes") -> float:
        """Return the logit of cancer."""
        if self.decision.judged_by == "recall":
            return recall
        malignant = boxes.scores[torch.isin(boxes.labels, torch.tensor(_MALIGNANT))]
        surest = logit_of(float(malignant.max()) if len(malignant) else 0.0)
        return surest if self.decision.judged_by == "boxes" else (recall + surest) / 2


class Boxes(NamedTuple):
    """What was boxed in one look at a picture, surest first."""

    boxes: Tensor  # n 4, left, top, right, bottom
    scores: Tensor  # n
    labels: Tensor  # n


def _looks(reading: Reading, rows: int) -> Iterator[Boxes]:
    """Return what was boxed in each look, of the second one where it lies upright."""
    for at, parts in enumerate(zip(reading.boxes, reading.scores, reading.labels, strict=True)):
        look = Boxes(*(part.cpu() for part in parts))
        finite(look.boxes, look.scores, reading.recall)
        yield look._replace(boxes=turned(look.boxes, rows)) if at else look


def turned(boxes: Tensor, rows: int) -> Tensor:
    """Return where boxes of a picture lie in it upside down."""
    left, top, right, bottom = boxes.unbind(dim=1)
    return torch.stack([left, rows - bottom, right, rows - top], dim=1)


def met(looks: Sequence[Boxes], most_overlap: float) -> Boxes:
    """Make boxes of one class that overlap, from several looks, one box: their weighted mean.

    Its score is the mean over all looks: one that saw nothing there counts as 0.
    """
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*looks, strict=True))
    look = torch.cat([torch.full((len(one.scores),), at) for at, one in enumerate(looks)])
    together = (box_iou(boxes, boxes) > most_overlap) & (labels[:, None] == labels)
    left = torch.ones(len(scores), dtype=torch.bool)
    made: list[tuple[Tensor, Tensor, Tensor]] = []
    for surest in scores.argsort(descending=True, stable=True).tolist():
        if not left[surest]:
            continue
        here = together[surest] & left
        here[surest] = True
        left &= ~here
        # A look has no two such boxes but where both overlap a third: its surest one counts.
        each = [scores.where(here & (look == at), torch.tensor(0.0)) for at in range(len(looks))]
        chosen = [(part.argmax(), part.max()) for part in each]
        weights = torch.stack([score for _, score in chosen])
        places = boxes[torch.stack([place for place, _ in chosen])]
        made.append((weights @ places / weights.sum(), weights.sum() / len(looks), labels[surest]))
    if not made:
        return looks[0]
    mean_boxes, mean_scores, its_labels = (torch.stack(parts) for parts in zip(*made, strict=True))
    order = mean_scores.argsort(descending=True, stable=True)
    return Boxes(mean_boxes[order], mean_scores[order], its_labels[order])


def findings(
    boxes: Tensor, scores: Tensor, labels: Tensor, placement: Placement, decision: Decision
) -> tuple[Finding, ...]:
    """Make boxes that lie on each other one finding, whatever their classes say.

    RetinaNet asks of each class alone whether it is there, so one lesion may be boxed as benign and
    as malignant. A reader wants one mark, and both answers in its cancer score.
    """
    overlap = box_iou(boxes, boxes)
    left = scores.argsort(descending=True, stable=True).tolist()
    found = []
    while left:
        surest = left[0]
        members = [
            one for one in left if one == surest or overlap[surest, one] > decision.same_lesion
        ]
        left = [one for one in left if one not in members]
        sure = torch.zeros(CLASSES).scatter_reduce(0, labels[members], scores[members], "amax")
        found.append(_finding(boxes[surest], float(scores[surest]), sure, placement))
    return tuple(found)


def _finding(box: Tensor, score: float, sure: Tensor, placement: Placement) -> Finding:
    mass = sure[BENIGN_MASS] + sure[MALIGNANT_MASS]
    calcification = sure[BENIGN_CALCIFICATION] + sure[MALIGNANT_CALCIFICATION]
    malignant = sure[MALIGNANT_MASS] + sure[MALIGNANT_CALCIFICATION]
    return Finding(
        kind=Kind.MASS if mass >= calcification else Kind.CALCIFICATION,
        box=placement.box_to_source(Box(*box.tolist())),
        score=score,
        cancer_score=float(malignant / (mass + calcification)),
        mask=None,
        systems=(NAME,),
    )
