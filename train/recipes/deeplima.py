"""Cao and others (DeepLIMa): masses by detection, calcifications by segmentation, each by itself.

Two networks are trained one after the other, each in stages in which the other one stands still.

Masses learn from coarse whole views, with the calcifications left aside. Calcifications learn
from tiles of fine views. The paper leaves tiles with vessels and with large regions out of its
training, because its readers outlined some calcifications one by one and others all together. A
phantom's calcifications are all outlined together, whatever their shape, and nothing is left out:
so the U-Net learns the area of a cluster, and its components are clusters, or parts of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from inference.bundle import Calibration, Card
from inference.findings import Box, Finding, Kind
from inference.networks.deeplima import MassReading
from inference.platt import platt
from inference.scores import logit_of
from inference.systems.deeplima import (
    NAME,
    Clustering,
    Decision,
    Deeplima,
    DeeplimaNet,
    Network,
    Preparations,
)
from inference.systems.views import BOTH, Seen
from train import losses
from train.data.augment import Batch, Draw, Pool, drawn, pool, require_drawable, unchanged
from train.data.calcium_tiles import CalciumView, Tiles, calcium_view, drawn_tiles
from train.data.lesson import Lesson
from train.engine import Run, Stage, fit
from train.errors import Refused
from train.export import Described
from train.metrics.dice import Dice
from train.metrics.froc import finds, marked, sensitivity_at
from train.recipes.patients import Split
from train.recipes.recipe import (
    Common,
    Course,
    View,
    at_most_all,
    finished,
    marked_throughout,
    read_validation,
)

_PARTS = ("mass", "calcification")
_UNSCALED = Calibration(slope=1.0, intercept=0.0)
_STEERING_VIEWS = 100  # as many views are measured on during a training; all of them afterwards
_STEERING_TILES = 64
_AT_ONCE = 8
_PIXELS = 2  # classes: background, calcification


class Detecting(Course):
    """One stage in which the mass network learns."""

    learns: Literal["mass"]
    batch: int = Field(ge=1)
    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    centered: bool
    malignant: float = Field(ge=0, le=1)  # part of the batch that shows a malignant mass
    benign: float = Field(ge=0, le=1)  # part that shows benign masses only
    frozen: Annotated[tuple[Literal["scales.trunk"], ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _are_parts(self) -> Self:
        return at_most_all(self, self.malignant, self.benign)


class Segmenting(Course):
    """One stage in which the calcification network learns."""

    learns: Literal["calcification"]
    batch: int = Field(ge=2)  # every second tile shows a calcification
    calcification_weight: float = Field(gt=0)  # of a pixel's cross entropy; background counts 1


class Recipe(Common):
    """Everything that a run depends on."""

    judges: ClassVar[bool] = False

    system: Literal["deeplima"]
    calcification_studies: int = Field(ge=1)  # of the training patients, the first so many
    proposed_regions: int = Field(default=1000, ge=1)  # of a picture, in training
    sampled_regions: int = Field(default=256, ge=2)  # of these, that the mass heads judge
    preparation: Preparations
    network: Network
    decision: Clustering
    stages: Annotated[
        tuple[Annotated[Detecting | Segmenting, Field(discriminator="learns")], ...],
        Field(strict=False, min_length=1),
    ]

    @property
    def learned(self) -> tuple[Kind, ...]:
        """Name the kinds whose network learns; of one kind alone, no bundle can be made."""
        taught = {course.learns for course in self.stages}
        return tuple(kind for kind in BOTH if kind.value in taught)

    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training, into a run folder."""
        torch.manual_seed(self.seed)
        few = self.data.some(self.calcification_studies)
        matter = Matter(
            masses=pool(self._masses(self.data.training, cache, workers)),
            calcium=self._calcium(few, cache, workers),
        )
        steer = self.data.validation
        coarse = self._masses(steer, cache, workers)
        fine = self._calcium(steer, cache, workers)
        tiles = None
        if fine:
            size_px, rng = self.decision.tiling.size_px, np.random.default_rng(self.seed)
            tiles = drawn_tiles(fine, _STEERING_TILES, size_px, rng)
        network = self.network.build()
        network.mass.learn_from(proposed=self.proposed_regions, sampled=self.sampled_regions)
        if self.begin is not None:
            self.begin.fill(network.mass.scales.trunk)
        fit(
            network,
            [stage(course, self, matter, device) for course in self.stages],
            self.optimizer.options(self.seed, device),
            run,
            partial(
                _validation,
                masses=coarse[:_STEERING_VIEWS],
                calcium=tiles,
                device=device,
            ),
        )

    def reader(self, run: Run) -> Deeplima:
        """Open what a finished run has learned; its scores are the networks' own."""
        network = self.network.build()
        network.load_state_dict(self.weights_of(run))
        return self._reader(network.eval(), dict.fromkeys(BOTH, _UNSCALED))

    def export(self, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
        """Make scores comparable on the validation patients of a run, and write the bundle."""
        if self.learned != BOTH:
            raise Refused(
                f"this recipe teaches a {self.learned[0]} network alone, and a bundle holds two: "
                "add stages for the other one"
            )
        raw = self.reader(run)
        views = read_validation(self, raw, cache, workers=workers)
        lines = {kind: line(views, kind) for kind in BOTH}
        reader = self._reader(raw.network, lines)
        return finished(
            self,
            run,
            folder,
            reader=reader,
            described=Described(NAME, self.network, self.preparation, reader.decision),
            network=reader.network,
            views=[(lessons, rescored(seen, reader.decision)) for lessons, seen in views],
            courses=self.stages,
        )

    def _masses(self, split: Split, cache: Path, workers: int) -> list[Lesson]:
        """Return what the mass network learns from; nothing where no stage is about masses."""
        if Kind.MASS not in self.learned:
            return []
        lessons = self.lessons(split, self.preparation.mass, cache, workers)
        return [masses_alone(lesson) for lesson in marked_throughout(lessons)]

    def _calcium(self, split: Split, cache: Path, workers: int) -> list[CalciumView]:
        """Return what the calcification network learns from; nothing without such a stage."""
        if Kind.CALCIFICATION not in self.learned:
            return []
        how = self.preparation.calcification
        lessons = self.lessons(split, how, cache, workers)
        return [calcium_view(lesson, how.pitch_mm) for lesson in marked_throughout(lessons)]

    def _reader(self, network: DeeplimaNet, lines: Mapping[Kind, Calibration]) -> Deeplima:
        return Deeplima(
            network=network,
            preparation=self.preparation,
            decision=Decision(
                **self.decision.model_dump(),
                mass_score=lines[Kind.MASS],
                calcification_score=lines[Kind.CALCIFICATION],
            ),
            device=torch.device("cpu"),
            marks=self.learned,
        )


def line(views: Sequence[View], kind: Kind) -> Calibration:
    """Fit the line from a network's own scores to the probability that a mark is true."""
    scores, true = [], []
    for (lesson, *_), seen in views:
        if not lesson.outlined:
            continue
        there = [box for box, its in zip(lesson.boxes, lesson.kinds, strict=True) if its is kind]
        for finding in seen.findings:
            if finding.kind is kind:
                scores.append(logit_of(finding.score))
                true.append(any(finds(finding.box, box) for box in there))
    if not any(true) or all(true):
        found = f"{sum(true)} of {len(true)} marks on {len(views)} validation views find a {kind}"
        raise Refused(
            f"{found}, and the line for its score needs true marks and false ones: train longer, "
            f"take more patients, or change decision.calcium"
        )
    slope, intercept = platt(scores, true)
    return Calibration(slope=slope, intercept=intercept)


def rescored(seen: Seen, decision: Decision) -> Seen:
    """Give findings that carry a network's own score the score that a decision makes of it."""
    return seen._replace(findings=tuple(_rescored(one, decision) for one in seen.findings))


def _rescored(finding: Finding, decision: Decision) -> Finding:
    return replace(finding, score=decision.score(finding.kind, finding.score))


@dataclass(frozen=True, slots=True, eq=False)
class Matter:
    """What both networks learn from."""

    masses: Pool
    calcium: Sequence[CalciumView]


class Taught(Protocol):
    """What a step learns from, whichever network it is for."""

    def losses(self, network: nn.Module) -> Mapping[str, Tensor]:
        """Return what the network still has to learn."""


@dataclass(frozen=True, slots=True, eq=False)
class _Masses:
    batch: Batch

    def losses(self, network: nn.Module) -> Mapping[str, Tensor]:
        """Return the four losses of the detector."""
        named: dict[str, Tensor] = network.get_submodule("mass")(
            self.batch.pictures, self.batch.sizes, [shown.boxes for shown in self.batch.lesions]
        )
        return named


@dataclass(frozen=True, slots=True, eq=False)
class _Calcium:
    tiles: Tiles
    weight: float

    def losses(self, network: nn.Module) -> Mapping[str, Tensor]:
        """Return the weighted cross entropy of pixels (Cao, section 2.2.2)."""
        pixels = network.get_submodule("calcification")(self.tiles.pictures).pixels.float()
        weights = torch.tensor([1.0, self.weight], device=pixels.device)
        return {"calcification": losses.segmentation(pixels, self.tiles.labels, weights)}


def stage(
    course: Detecting | Segmenting, recipe: Recipe, matter: Matter, device: str
) -> Stage[Taught]:
    """Make a stage in which one network learns and the other one stands still."""
    still = [part for part in _PARTS if part != course.learns]
    if isinstance(course, Detecting):
        require_drawable(
            matter.masses,
            cancers=course.malignant,
            benign=course.benign,
            stage=course.name,
            keys=("malignant", "benign"),
        )
        batch = partial(_masses, course, recipe, matter, device)
        still += [f"{course.learns}.{part}" for part in course.frozen]
    else:
        batch = partial(_calcium, course, recipe, matter, device)
    return Stage(
        course.name,
        course.steps,
        course.learning_rate,
        batch,
        lambda network, taught: taught.losses(network),
        frozen=tuple(still),
    )


def _masses(
    course: Detecting, recipe: Recipe, matter: Matter, device: str, rng: np.random.Generator
) -> Taught:
    draw = Draw(
        size=course.batch,
        height_px=course.height_px,
        width_px=course.width_px,
        cancers=course.malignant,
        benign=course.benign,
        centered=course.centered,
    )
    return _Masses(drawn(matter.masses, draw, recipe.changes.augmentation(), rng).to(device))


def _calcium(
    course: Segmenting, recipe: Recipe, matter: Matter, device: str, rng: np.random.Generator
) -> Taught:
    tiles = drawn_tiles(matter.calcium, course.batch, recipe.decision.tiling.size_px, rng)
    return _Calcium(tiles.to(device), course.calcification_weight)


def masses_alone(lesson: Lesson) -> Lesson:
    """Leave a view's calcifications aside: to the mass network they are tissue."""
    kept = [at for at, kind in enumerate(lesson.kinds) if kind is Kind.MASS]
    return replace(
        lesson,
        boxes=tuple(lesson.boxes[at] for at in kept),
        kinds=tuple(lesson.kinds[at] for at in kept),
        malignant=tuple(lesson.malignant[at] for at in kept),
    )


def _validation(
    network: nn.Module, masses: Sequence[Lesson], calcium: Tiles | None, device: str
) -> dict[str, float]:
    """Return how many masses are found at one false mark a view, and the Dice of calcifications."""
    figures = {}
    if masses:
        figures["mass_sensitivity_at_1"] = _found(network, masses, device)
    if calcium is not None:
        figures["calcification_dice"] = _outlined(network, calcium, device)
    return figures


def _found(network: nn.Module, masses: Sequence[Lesson], device: str) -> float:
    images = []
    with torch.inference_mode():
        for start in range(0, len(masses), _AT_ONCE):
            batch = unchanged(masses[start : start + _AT_ONCE]).to(device)
            reading: MassReading = network.get_submodule("mass")(batch.pictures, batch.sizes)
            for boxes, scores, shown in zip(*reading, batch.lesions, strict=True):
                marks = zip(_boxes(boxes), scores.tolist(), strict=True)
                images.append(marked(list(marks), _boxes(shown.boxes)))
    return round(sensitivity_at(images, 1.0), 4)


def _outlined(network: nn.Module, calcium: Tiles, device: str) -> float:
    dice = Dice(_PIXELS)
    with torch.inference_mode():
        for start in range(0, len(calcium.pictures), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            pixels: Tensor = network.get_submodule("calcification")(
                calcium.pictures[here].to(device)
            ).pixels
            dice.add(calcium.labels[here].numpy(), pixels.argmax(dim=1).cpu().numpy())
    return round(float(dice.by_class()[1]), 4)


def _boxes(boxes: Tensor) -> list[Box]:
    return [Box(*box) for box in boxes.tolist()]
