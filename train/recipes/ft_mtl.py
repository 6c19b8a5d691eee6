"""Gao and others 2020, table 1: first the regions, then the heads, then heads and trunk.

Step 5 of the table moves the trunk under regions that stay as they are, and they lose sight of the
masses. On phantoms, step 3 proposed all of 26 malignant masses (by a box with an IoU above 0.5 and
an objectness above 0.05); after 600 steps of step 5 it was 1 of 18. So a sixth step of ours may
follow, in which the regions learn along with all the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from inference.bundle import Card
from inference.findings import Kind
from inference.networks.ft_mtl import STEPS, UNITED, FtMtlNet, Part, Step, Truth, initialize
from inference.preparing.prepare import Preparation
from inference.systems.ft_mtl import NAME, Decision, FtMtl, Network, look, seen
from inference.systems.views import Seen
from train.data.augment import Batch, Pool, pool, unchanged
from train.data.lesson import Lesson, label_of
from train.engine import Run, Stage, fit
from train.export import Described
from train.metrics.auc import auc
from train.metrics.froc import marked, sensitivity_at
from train.recipes.on_views import OnViews
from train.recipes.recipe import Common, finished, marked_throughout, read_validation

_VALIDATION_BATCH = 4
_PARTS: tuple[Part, ...] = ("trunk", "regions", "heads")
TOGETHER = 6  # the step that is ours
_STEPS = STEPS | {TOGETHER: Step(_PARTS, ("objectness", "region", *UNITED))}


class Tuning(OnViews):
    """One stage: which step of table 1 it is, and on what."""

    step: Literal[3, 4, 5, 6]
    # Parts of the step that stay as they are all the same. New parts ask for large steps, and a
    # trunk that takes them with them forgets: what told benign from malignant (an AUC of 0.99 on
    # the masses' pooled features) fell to 0.83 when regions and trunk learned at one rate.
    frozen: Annotated[tuple[Part, ...], Field(strict=False)] = ()
    sampled_regions: int = Field(ge=4)  # of a picture; the paper's package has 200
    # The heads learn from regions that look at least this much like a mass. The paper's package
    # takes the best 2,000 of a quarter of a million; of the few thousand that a small picture has,
    # they would be nearly all, and the heads would meet what is hard to tell too seldom.
    objectness: float = Field(ge=0, lt=1)


class Recipe(Common):
    """Everything that a run depends on.

    Steps 1 and 2 of table 1 are where it begins: `begin` stands for ImageNet, `initial_std` is the
    deviation of all other weights. The stages are steps 3 to 5, and the sixth; one step may take
    several stages.
    """

    system: Literal["ft_mtl"]
    preparation: Preparation
    network: Network
    decision: Decision
    initial_std: float = Field(gt=0)
    stages: Annotated[tuple[Tuning, ...], Field(strict=False, min_length=1)]

    def train(self, run: Run, cache: Path, *, device: str, workers: int) -> None:
        """Train, or go on training, into a run folder."""
        torch.manual_seed(self.seed)
        teach = self.lessons(self.data.training, self.preparation, cache, workers)
        steer = self.lessons(self.data.validation, self.preparation, cache, workers)
        lot = pool([masses_only(lesson) for lesson in marked_throughout(teach)])
        fit(
            self.untrained(),
            [_stage(course, self, lot, device) for course in self.stages],
            self.optimizer.options(self.seed, device),
            run,
            partial(
                _validation,
                lessons=[masses_only(lesson) for lesson in steer],
                decision=self.decision,
                device=device,
            ),
        )

    def untrained(self) -> FtMtlNet:
        """Take steps 1 and 2 of table 1."""
        network = self.network.build()
        if self.begin is not None:
            self.begin.fill(network.trunk)
        initialize(network, self.initial_std)
        return network

    def reader(self, run: Run) -> FtMtl:
        """Open what a finished run has learned, as the service would."""
        network = self.network.build()
        network.load_state_dict(self.weights_of(run))
        return FtMtl(
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


def masses_only(lesson: Lesson) -> Lesson:
    """Leave out what is no mass: the network has no class for it, and it may lie on background."""
    masses = [number for number, kind in enumerate(lesson.kinds) if kind is Kind.MASS]
    classes = [label_of(Kind.MASS, malignant=malignant) for malignant in (False, True)]
    return replace(
        lesson,
        labels=np.where(np.isin(lesson.labels, classes), lesson.labels, 0).astype(np.uint8),
        boxes=tuple(lesson.boxes[number] for number in masses),
        kinds=tuple(lesson.kinds[number] for number in masses),
        malignant=tuple(lesson.malignant[number] for number in masses),
    )


def _stage(course: Tuning, recipe: Recipe, lot: Pool, device: str) -> Stage[Batch]:
    step = _STEPS[course.step]
    united = set(step.losses) & set(UNITED)
    batch = course.drawing(lot, recipe.changes.augmentation(), device)

    def named(network: nn.Module, lesson: Batch) -> Mapping[str, Tensor]:
        assert isinstance(network, FtMtlNet)
        # Frozen or not, it has to propose regions as in training.
        network.regions.train()
        network.regions.score_thresh = course.objectness
        # The heads look at regions in any case; where nobody asks them, one is enough.
        network.sampled_regions = course.sampled_regions if united else 1
        losses = network(lesson.pictures, lesson.sizes, truths(lesson))
        return {name: losses[name] for name in step.losses}

    frozen = tuple(part for part in _PARTS if part not in step.parts or part in course.frozen)
    return Stage(course.name, course.steps, course.learning_rate, batch, named, frozen)


def truths(lesson: Batch) -> list[Truth]:
    """Tell the masses of each picture; their classes are the first two of Le's lesions."""
    return [Truth(lesions.boxes, lesions.classes, lesions.masks) for lesions in lesson.lesions]


def _validation(
    network: nn.Module, lessons: Sequence[Lesson], decision: Decision, device: str
) -> dict[str, float]:
    """Return how well views are ranked by malignant masses, and how many masses are found."""
    assert isinstance(network, FtMtlNet)
    answers: list[Seen] = []
    for start in range(0, len(lessons), _VALIDATION_BATCH):
        some = lessons[start : start + _VALIDATION_BATCH]
        batch = unchanged(some).to(device)
        readings = look(network, batch.pictures, batch.sizes, decision)
        answers += [
            seen(reading, lesson.placement, decision)
            for reading, lesson in zip(readings, some, strict=True)
        ]
    marks = [
        marked([(one.box, one.score) for one in answer.findings], lesson.boxes)
        for answer, lesson in zip(answers, lessons, strict=True)
        if lesson.outlined
    ]
    logits = [answer.cancer for answer in answers if answer.cancer is not None]
    return {
        "image_auc": round(auc([lesson.cancer for lesson in lessons], logits), 4),
        "sensitivity_at_1": round(sensitivity_at(marks, 1.0), 4),
    }
