"""Sainz de Cea and others 2020: detection and the recall of the exam are learned together."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from inference.bundle import Card
from inference.networks.recall_retina import Marks, RecallRetinaNet, Truth
from inference.preparing.prepare import Preparation
from inference.systems.recall_retina import (
    NAME,
    Decision,
    Network,
    RecallRetina,
    bundled,
    findings,
)
from inference.systems.views import BOTH
from train.data.augment import Batch, Pool, pool, unchanged
from train.data.divided import chance
from train.data.lesson import Lesson
from train.engine import Run, Stage, fit
from train.export import Described
from train.metrics.auc import auc
from train.metrics.froc import marked, sensitivity_at
from train.recipes.on_views import OnViews
from train.recipes.recipe import Changes, Common, at_most_all, finished, read_validation
from train.recipes.table import Table

_VALIDATION_BATCH = 8
_LABEL_OF_FIRST_CLASS = 1  # of the lessons; RetinaNet counts its classes from 0


class Population(Table):
    """What screening shows, as parts of all views; the rest is healthy."""

    cancers: float = Field(gt=0, lt=1)
    benign: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _are_parts(self) -> Self:
        return at_most_all(self, self.cancers, self.benign)


class Detecting(OnViews):
    """One stage: on what, and how much the recall counts beside the boxes (lambda)."""

    recall_weight: float = Field(ge=0)
    frozen: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Stretching(Changes):
    """How far lessons are changed, also where nobody knows how wide a pixel is."""

    stretch: float = Field(default=0.0, ge=0)


class Recipe(Common):
    """Everything that a run depends on."""

    system: Literal["recall_retina"]
    changes: Stretching
    preparation: Preparation
    network: Network
    decision: Decision
    # Part of the patients whose lesions were outlined; the others teach recall alone.
    outlined: float = Field(default=1.0, ge=0, le=1)
    # None: each drawn view counts the same. Else by how much rarer or commoner it is in screening.
    population: Population | None = None
    stages: Annotated[tuple[Detecting, ...], Field(strict=False, min_length=1)]

    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training, into a run folder."""
        teach = self.lessons(self.data.training, self.preparation, cache, workers)
        steer = self.lessons(self.data.validation, self.preparation, cache, workers)
        lot = pool(teach)
        for number in range(self.network.members):
            torch.manual_seed(self.seed + number)
            network = self.network.member()
            if self.begin is not None:
                self.begin.fill(network.trunk)
            fit(
                network,
                [_stage(course, self, lot, device) for course in self.stages],
                self.optimizer.options(self.seed + number, device),
                self._member(run, number),
                partial(_validation, lessons=steer, recipe=self, device=device),
            )

    def _member(self, run: Run, number: int) -> Run:
        """Return the folder of one of several networks; one alone has the run's."""
        return run if self.network.members == 1 else run.part(f"member_{number}")

    def reader(self, run: Run) -> RecallRetina:
        """Open what a finished run has learned, as the service would."""
        networks = self.network.build()
        for number, network in enumerate(networks):
            network.load_state_dict(self.weights_of(self._member(run, number)))
        return RecallRetina(
            networks=networks.eval(),
            preparation=self.preparation,
            decision=self.decision,
            device=torch.device("cpu"),
        )

    def export(self, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
        """Calibrate a finished run on its validation patients, and write the bundle."""
        lessons = self.lessons(self.data.validation, self.preparation, cache, workers)
        shown = {kind for lesson in lessons for kind in lesson.kinds}
        reader = replace(self.reader(run), kinds=tuple(kind for kind in BOTH if kind in shown))
        return finished(
            self,
            run,
            folder,
            reader=reader,
            described=Described(NAME, self.network, self.preparation, self.decision),
            network=bundled(reader.networks),
            views=read_validation(self, reader, cache, workers=workers),
            courses=self.stages * self.network.members,
        )


def weights(
    lessons: Sequence[tuple[bool, bool]], draw: tuple[float, float], population: Population | None
) -> list[float]:
    """Weigh views, each told by (cancer, any lesion), by one over their chance to be drawn.

    Cancers are drawn far more often than screening shows them. Divided by how often it is drawn,
    and multiplied by how often it occurs, a view counts as it would in screening; the mean over
    what is drawn is one.
    """
    if population is None:
        return [1.0] * len(lessons)
    cancers, benign = draw
    occurs = (population.cancers, population.benign, 1 - population.cancers - population.benign)
    is_drawn = (cancers, benign, 1 - cancers - benign)
    strata = [0 if cancer else 1 if lesion else 2 for cancer, lesion in lessons]
    return [occurs[stratum] / is_drawn[stratum] if is_drawn[stratum] else 0.0 for stratum in strata]


def outlined(patient: str, part: float) -> bool:
    """Tell whether a patient's lesions count as outlined; the same patients in every run."""
    return chance(patient, "outlined") < part


def _stage(course: Detecting, recipe: Recipe, lot: Pool, device: str) -> Stage[Batch]:
    batch = course.drawing(lot, recipe.changes.augmentation(), device)

    def named(network: nn.Module, lesson: Batch) -> Mapping[str, Tensor]:
        assert isinstance(network, RecallRetinaNet)
        truth = _truth(lesson, recipe, course)
        losses = network.losses(lesson.pictures, lesson.sizes, truth)
        return losses | {"recall": course.recall_weight * losses["recall"]}

    return Stage(course.name, course.steps, course.learning_rate, batch, named, course.frozen)


def _truth(lesson: Batch, recipe: Recipe, course: Detecting) -> Truth:
    told = [
        (bool(cancer), bool(diseased))
        for cancer, diseased in zip(lesson.cancer, lesson.diseased, strict=True)
    ]
    weight = weights(told, (course.cancers, course.benign), recipe.population)
    return Truth(
        recall=lesson.cancer,
        weight=torch.tensor(weight, device=lesson.cancer.device),
        marks=[
            Marks(lesions.boxes, lesions.classes - _LABEL_OF_FIRST_CLASS)
            if known and outlined(patient, recipe.outlined)
            else None
            for lesions, patient, known in zip(
                lesson.lesions, lesson.patients, lesson.outlined, strict=True
            )
        ],
    )


def _validation(
    network: nn.Module, lessons: Sequence[Lesson], recipe: Recipe, device: str
) -> dict[str, float]:
    """Return how well the views are ranked, as drawn and as in screening, and lesions found."""
    assert isinstance(network, RecallRetinaNet)
    recall, seen = [], []
    with torch.inference_mode():
        for start in range(0, len(lessons), _VALIDATION_BATCH):
            some = lessons[start : start + _VALIDATION_BATCH]
            batch = unchanged(some).to(device)
            reading = network.read(
                batch.pictures,
                batch.sizes,
                least_score=recipe.decision.least_score,
                most_overlap=recipe.decision.most_overlap,
            )
            recall.extend(reading.recall.tolist())
            parts = zip(some, reading.boxes, reading.scores, reading.labels, strict=True)
            for lesson, *answer in parts:
                boxes, scores, labels = (part.cpu() for part in answer)
                found = findings(boxes, scores, labels, lesson.placement, recipe.decision)
                seen.append(marked([(one.box, one.score) for one in found], lesson.boxes))
    cancer = [lesson.cancer for lesson in lessons]
    told = [(lesson.cancer, bool(lesson.boxes)) for lesson in lessons]
    drawn_ = (float(np.mean(cancer)), float(np.mean([any_ and not bad for bad, any_ in told])))
    return {
        "image_auc": round(auc(cancer, recall), 4),
        "image_auc_in_screening": round(
            auc(cancer, recall, weights(told, drawn_, recipe.population)), 4
        ),
        "sensitivity_at_1": round(sensitivity_at(seen, 1.0), 4),
    }
