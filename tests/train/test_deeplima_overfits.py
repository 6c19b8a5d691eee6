"""What cannot learn eight images by heart cannot learn: both networks of DeepLIMa must."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inference.bundle import Calibration
from inference.findings import Kind
from inference.preparing.prepare import PreparedView
from inference.systems.deeplima import Decision, Deeplima, DeeplimaNet
from inference.systems.views import BOTH
from train.data.augment import pool
from train.data.calcium_tiles import calcium_view
from train.data.lesson import Lesson
from train.data.phantom import lessons
from train.engine import Run, fit
from train.evaluation import compared
from train.metrics.froc import sensitivity_at
from train.recipes.by_name import read_recipe
from train.recipes.deeplima import Matter, Recipe, masses_alone, stage
from train.recipes.recipe import lesions_of

RECIPE = """
system = "deeplima"
seed = 1
calcification_studies = 1
bundle = { name = "Overfitted", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 0.0, zoom = 0.0, contrast = 0.0, flip = false }
optimizer = { weight_decay = 0.0, clip_norm = 5.0, amp = false, validate_every = 1000 }
[decision]
calcium = 0.5
least_px = 10
linking_mm = 5.0
least_members = 2
tiling = { size_px = 128, step_px = 64 }
[data]
pitch_mm = 0.4
training = { first_seed = 0, studies = 1 }
validation = { first_seed = 1, studies = 1 }
[preparation.mass]
height_px = 272
width_px = 128
pitch_mm = 0.9
channels = ["mean", "max"]
[preparation.calcification]
height_px = 608
width_px = 288
pitch_mm = 0.4
channels = ["max"]
mend_columns = true
[network.mass]
trunk = "resnet18"
in_channels = 2
width = 16
channels = 32
norm = "group"
fpn = true
focal = true
nonlocal_at = ["layer3", "layer4"]
smallest_anchor_px = 8.0
[network.calcification]
in_channels = 1
width = 8
norm = "group"
[[stages]]
name = "masses by heart"
learns = "mass"
steps = 400
learning_rate = 2e-3
batch = 4
height_px = 272
width_px = 128
centered = false
malignant = 0.35
benign = 0.35
[[stages]]
name = "calcifications by heart"
learns = "calcification"
steps = 300
learning_rate = 5e-3
batch = 8
calcification_weight = 5.0
"""
PLAIN = Calibration(slope=1.0, intercept=0.0)

View = tuple[Lesson, Lesson]  # coarse and fine


def eight(recipe: Recipe, cache: Path) -> list[View]:
    """Choose three views with masses, three with calcifications, two with nothing."""
    how = recipe.preparation
    views = list(
        zip(
            lessons(range(100, 112), 0.4, how.mass, cache, workers=2),
            lessons(range(100, 112), 0.4, how.calcification, cache, workers=2),
            strict=True,
        )
    )
    masses = [view for view in views if set(view[0].kinds) == {Kind.MASS}]
    calcifications = [view for view in views if Kind.CALCIFICATION in view[0].kinds]
    healthy = [view for view in views if not view[0].boxes]
    return [*masses[:3], *calcifications[:3], *healthy[:2]]


def prepared(lesson: Lesson) -> PreparedView:
    return PreparedView(lesson.picture.astype(np.float32) / np.float32(255), lesson.placement)


@pytest.mark.slow
def test_both_networks_learn_eight_images(tmp_path: Path) -> None:
    recipe = read_recipe(RECIPE)
    assert isinstance(recipe, Recipe)
    views = eight(recipe, tmp_path)
    assert len(views) == 8
    matter = Matter(
        masses=pool([masses_alone(coarse) for coarse, _ in views]),
        calcium=[
            calcium_view(fine, recipe.preparation.calcification.pitch_mm) for _, fine in views
        ],
    )
    torch.manual_seed(1)
    network = recipe.network.build()
    assert isinstance(network, DeeplimaNet)
    fit(
        network,
        [stage(course, recipe, matter, "cpu") for course in recipe.stages],
        recipe.optimizer.options(recipe.seed, "cpu"),
        Run(tmp_path / "run", RECIPE),
        lambda _: {},
    )
    reader = Deeplima(
        network=network,
        preparation=recipe.preparation,
        decision=Decision(
            **recipe.decision.model_dump(), mass_score=PLAIN, calcification_score=PLAIN
        ),
        device=torch.device("cpu"),
    )
    seen = [
        compared(
            None,
            reader.read([prepared(coarse), prepared(fine)]).findings,
            lesions_of(coarse),
            reader.scope,
        )
        for coarse, fine in views
    ]
    assert {kind for view in seen for kind in view.kinds} == set(BOTH)
    for kind in BOTH:
        marks = [view.marked for view in seen if kind in view.kinds or not view.kinds]
        assert sensitivity_at(marks, 0.25) >= 0.95, kind
