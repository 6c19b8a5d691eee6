"""Le and others 2019, section 2: one trunk learns segmentation and classification together."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from inference.bundle import Card
from inference.networks.shared_trunk import Reading
from inference.preparing.prepare import Preparation
from inference.systems.shared_trunk import NAME, Decision, Network, SharedTrunk
from train import losses
from train.data.augment import Batch, Pool, pool, unchanged
from train.data.lesson import Lesson
from train.engine import Run, Stage, fit
from train.export import Described
from train.metrics.auc import auc
from train.metrics.dice import Dice
from train.recipes.on_views import OnViews
from train.recipes.recipe import Common, finished, read_validation

_CLASSES = 5
_VALIDATION_BATCH = 8


Scheme = Literal["classification", "segmentation", "sequential", "joint"]


class Segmenting(OnViews):
    """One stage: on what, and the share of classification (lambda)."""

    classification_share: float = Field(ge=0, le=1)

    @property
    def frozen(self) -> tuple[str, ...]:
        """Name the head that has no share; decay alone would wear it away."""
        if self.classification_share == 0:
            return ("c_net",)
        return ("s_net",) if self.classification_share == 1 else ()


class Recipe(Common):
    """Everything that a run depends on."""

    system: Literal["shared_trunk"]
    preparation: Preparation
    network: Network
    decision: Decision
    stages: Annotated[tuple[Segmenting, ...], Field(strict=False, min_length=1)]

    @property
    def scheme(self) -> Scheme:
        """Name the way of training, by Le's table 1: each task alone, in turn, or together."""
        shares = {course.classification_share for course in self.stages}
        if shares == {1.0}:
            return "classification"
        if shares == {0.0}:
            return "segmentation"
        return "sequential" if shares == {0.0, 1.0} else "joint"

    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training, into a run folder."""
        torch.manual_seed(self.seed)
        teach = self.lessons(self.data.training, self.preparation, cache, workers)
        steer = self.lessons(self.data.validation, self.preparation, cache, workers)
        weights = losses.class_weights(_pixels([one for one in teach if one.outlined])).to(device)
        lot = pool(teach)
        network = self.network.build()
        if self.begin is not None:
            self.begin.fill(network.trunk)
        fit(
            network,
            [_stage(course, self, lot, weights, device) for course in self.stages],
            self.optimizer.options(self.seed, device),
            run,
            partial(_validation, lessons=steer, device=device),
        )

    def reader(self, run: Run) -> SharedTrunk:
        """Open what a finished run has learned, as the service would."""
        network = self.network.build()
        network.load_state_dict(self.weights_of(run))
        return SharedTrunk(
            network=network.eval(),
            preparation=self.preparation,
            decision=self.decision,
            device=torch.device("cpu"),
        )

    def export(self, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
        """Calibrate a finished run on its validation patients, and write the bundle."""
        reader = self.reader(run)
        return finished(
            self,
            run,
            folder,
            reader=reader,
            described=Described(NAME, self.network, self.preparation, self.decision),
            network=reader.network,
            views=read_validation(self, reader, cache, workers=workers),
            courses=self.stages,
        )


def _stage(
    course: Segmenting, recipe: Recipe, lot: Pool, weights: Tensor, device: str
) -> Stage[Batch]:
    batch = course.drawing(lot, recipe.changes.augmentation(), device)

    def named(network: nn.Module, lesson: Batch) -> Mapping[str, Tensor]:
        reading: Reading = network(lesson.pictures)
        return losses.joint(
            losses.classification(reading.cancer.float(), lesson.cancer),
            losses.segmentation(reading.pixels.float(), lesson.labels, weights, lesson.outlined),
            course.classification_share,
        )

    return Stage(course.name, course.steps, course.learning_rate, batch, named, course.frozen)


def _validation(network: nn.Module, lessons: Sequence[Lesson], device: str) -> dict[str, float]:
    """Return image AUC and mean Dice, the two numbers of Le's table 1."""
    dice, scores = Dice(_CLASSES), []
    with torch.inference_mode():
        for start in range(0, len(lessons), _VALIDATION_BATCH):
            batch = unchanged(lessons[start : start + _VALIDATION_BATCH]).to(device)
            reading: Reading = network(batch.pictures)
            known = np.array(batch.outlined)
            shown = reading.pixels.argmax(dim=1).cpu().numpy()
            dice.add(batch.labels.cpu().numpy()[known], shown[known])
            scores.extend(reading.cancer.tolist())
    return {
        "image_auc": round(auc([lesson.cancer for lesson in lessons], scores), 4),
        "mean_dice": round(dice.mean(), 4),
    }


def _pixels(lot: Sequence[Lesson]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Count the pixels of each class."""
    counts = np.zeros(_CLASSES, dtype=np.int64)
    for lesson in lot:
        counts += np.bincount(lesson.labels.ravel(), minlength=_CLASSES)
    return counts
