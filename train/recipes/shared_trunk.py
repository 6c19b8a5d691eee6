"""Le and others 2019, section 2: one trunk learns segmentation and classification together."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from rich.progress import track
from safetensors.torch import load_file
from torch import Tensor, nn

from inference.bundle import Calibration, Card, Training
from inference.networks.shared_trunk import Reading
from inference.networks.trunks import parameters_in
from inference.preparing.prepare import Preparation, PreparedView
from inference.systems.shared_trunk import (
    NAME,
    Decision,
    Network,
    SharedTrunk,
    exam_score,
    findings,
)
from train import losses
from train.data.augment import Augmentation, Batch, Draw, Pool, drawn, pool, unchanged
from train.data.phantom import Lesson, lessons
from train.data.splits import Seeds, overlapping
from train.engine import WEIGHTS, Options, Run, Stage, fit
from train.evaluation import SeenPatient, SeenView, measured
from train.export import (
    Described,
    Naming,
    code_version,
    export,
    operating_points,
    torch_version,
)
from train.metrics.auc import auc
from train.metrics.dice import Dice
from train.metrics.froc import marked
from train.metrics.platt import platt

_CLASSES = 5
_VALIDATION_BATCH = 8


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Data(_Table):
    """Which phantoms teach and which steer."""

    pitch_mm: float = Field(gt=0)
    training: Seeds
    validation: Seeds

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if overlapping([self.training, self.validation]):
            raise ValueError("training and validation share patients: move a first_seed")
        return self


class Course(_Table):
    """One stage: how long, how fast, on what, and the share of classification (lambda)."""

    name: str
    steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    classification_share: float = Field(ge=0, le=1)
    batch: int = Field(ge=1)
    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    centered: bool
    cancers: float = Field(ge=0, le=1)
    benign: float = Field(ge=0, le=1)


class Changes(_Table):
    """How far lessons are changed."""

    turn_deg: float = Field(ge=0)
    zoom: float = Field(ge=0)
    contrast: float = Field(ge=0)
    flip: bool


class Optimizer(_Table):
    """AdamW, clipped."""

    weight_decay: float = Field(ge=0)
    clip_norm: float = Field(gt=0)
    amp: bool
    validate_every: int = Field(ge=1)


class Recipe(_Table):
    """Everything that a run depends on."""

    system: Literal["shared_trunk"]
    seed: int = Field(ge=0)
    bundle: Naming
    data: Data
    preparation: Preparation
    network: Network
    decision: Decision
    changes: Changes
    optimizer: Optimizer
    stages: Annotated[tuple[Course, ...], Field(strict=False, min_length=1)]


def train(recipe: Recipe, run: Run, cache: Path, *, device: str, workers: int) -> None:
    """Train, or go on training, into a run folder."""
    torch.manual_seed(recipe.seed)
    teach = _lessons(recipe, recipe.data.training, cache, workers)
    steer = _lessons(recipe, recipe.data.validation, cache, workers)
    weights = losses.class_weights(_pixels(teach)).to(device)
    lot = pool(teach)
    fit(
        recipe.network.build(),
        [_stage(course, recipe, lot, weights, device) for course in recipe.stages],
        Options(seed=recipe.seed, device=device, **recipe.optimizer.model_dump()),
        run,
        partial(_validation, lessons=steer, device=device),
    )


def bundle(recipe: Recipe, run: Run, cache: Path, folder: Path, *, workers: int) -> Card:
    """Calibrate a finished run on its validation patients, and export it."""
    stored = load_file(run.folder / WEIGHTS)
    network = recipe.network.build()
    network.load_state_dict(stored)
    raw = SharedTrunk(
        network=network.eval(),
        preparation=recipe.preparation,
        decision=recipe.decision,
        calibration=Calibration(slope=1.0, intercept=0.0),
        device=torch.device("cpu"),
    )
    steer = _lessons(recipe, recipe.data.validation, cache, workers)
    patients = [_seen(raw, views) for views in track(_by_patient(steer), "Calibrating")]
    views = [view for patient in patients for view in patient.views]
    slope, intercept = platt([view.score for view in views], [view.cancer for view in views])
    points = operating_points([view.marked for view in views], str(recipe.data.validation))
    return export(
        folder,
        stored,
        naming=recipe.bundle,
        described=Described(NAME, recipe.network, recipe.preparation, recipe.decision),
        training=Training(
            recipe=f"{recipe.system}: {', '.join(course.name for course in recipe.stages)}",
            recipe_sha256=run.recipe_sha256,
            data=f"{recipe.data.training}, synthetic, at {recipe.data.pitch_mm:g} mm",
            studies=recipe.data.training.studies,
            seed=recipe.seed,
            steps=sum(course.steps for course in recipe.stages),
            parameters=parameters_in(network),
            torch_version=torch_version(),
            code_version=code_version(),
        ),
        calibration=Calibration(slope=slope, intercept=intercept),
        points=points,
        metrics=measured(
            patients,
            {name: point.finding_score for name, point in points.items()},
            f"{recipe.data.validation}, which steered the training",
        ),
    )


def _lessons(recipe: Recipe, split: Seeds, cache: Path, workers: int) -> list[Lesson]:
    return lessons(split.seeds, recipe.data.pitch_mm, recipe.preparation, cache, workers=workers)


def _stage(course: Course, recipe: Recipe, lot: Pool, weights: Tensor, device: str) -> Stage[Batch]:
    draw = Draw(
        size=course.batch,
        height_px=course.height_px,
        width_px=course.width_px,
        cancers=course.cancers,
        benign=course.benign,
        centered=course.centered,
    )
    change = Augmentation(**recipe.changes.model_dump())

    def batch(rng: np.random.Generator) -> Batch:
        return drawn(lot, draw, change, rng).to(device)

    def named(network: nn.Module, lesson: Batch) -> Mapping[str, Tensor]:
        reading: Reading = network(lesson.pictures)
        return losses.joint(
            losses.classification(reading.cancer.float(), lesson.cancer),
            losses.segmentation(reading.pixels.float(), lesson.labels, weights),
            course.classification_share,
        )

    return Stage(course.name, course.steps, course.learning_rate, batch, named)


def _validation(network: nn.Module, lessons: Sequence[Lesson], device: str) -> dict[str, float]:
    """Return image AUC and mean Dice, the two numbers of Le's table 1."""
    dice, scores = Dice(_CLASSES), []
    with torch.inference_mode():
        for start in range(0, len(lessons), _VALIDATION_BATCH):
            batch = unchanged(lessons[start : start + _VALIDATION_BATCH]).to(device)
            reading: Reading = network(batch.pictures)
            dice.add(batch.labels.cpu().numpy(), reading.pixels.argmax(dim=1).cpu().numpy())
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


def _by_patient(lot: Sequence[Lesson]) -> list[list[Lesson]]:
    return [list(views) for _, views in groupby(lot, key=lambda lesson: lesson.seed)]


def _seen(system: SharedTrunk, views: Sequence[Lesson]) -> SeenPatient:
    """Read one patient's lessons as the service would, every finding kept."""
    seen, logits = [], []
    for lesson in views:
        picture = lesson.picture.astype(np.float32) / np.float32(255)
        probabilities, logit = system.read_picture(PreparedView(picture, lesson.placement))
        marks = findings(probabilities, lesson.placement, system.decision, 0.0)
        logits.append(logit)
        seen.append(
            SeenView(
                score=logit,
                marked=marked([(mark.box, mark.score) for mark in marks], lesson.boxes),
                malignant=lesson.malignant,
            )
        )
    score = exam_score([lesson.side for lesson in views], logits)
    return SeenPatient(seed=views[0].seed, score=score, views=tuple(seen))
