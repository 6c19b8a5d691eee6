"""What cannot learn eight images by heart cannot learn."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch

from inference.findings import Finding
from inference.preparing.prepare import PreparedView
from inference.systems.ft_mtl import FtMtl
from train.data.augment import pool
from train.data.lesson import Lesson
from train.data.phantom import lessons
from train.engine import Run, fit
from train.metrics.auc import auc
from train.metrics.froc import marked, overlapping, sensitivity_at
from train.recipes import ft_mtl
from train.recipes.by_name import read_recipe
from train.recipes.ft_mtl import Recipe, masses_only

RECIPE = """
system = "ft_mtl"
seed = 1
initial_std = 0.05
bundle = { name = "Overfitted", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 0.0, zoom = 0.0, contrast = 0.0, flip = false }
optimizer = { weight_decay = 0.0, clip_norm = 5.0, amp = false, validate_every = 1000 }
decision = { objectness = 0.1, veto = "discounted", overlap = 0.2, extent = 0.5 }
[data]
pitch_mm = 0.45
training = { first_seed = 0, studies = 1 }
validation = { first_seed = 1, studies = 1 }
[preparation]
height_px = 400
width_px = 192
pitch_mm = 0.6
channels = ["mean", "max"]
[network]
trunk = "resnet18"
in_channels = 2
width = 16
norm = "group"
anchors_px = [12, 20, 32]
transfer = true
"""
STAGE = """
[[stages]]
name = "{name}"
step = {step}
steps = {steps}
learning_rate = 2e-3
sampled_regions = 16
objectness = 0.0
batch = 8
height_px = 400
width_px = 192
centered = false
cancers = 0.5
benign = 0.25
"""
STAGES = ("regions", 3, 100), ("heads", 4, 20), ("united", 5, 10), ("together", 6, 200)
TEXT = RECIPE + "".join(
    STAGE.format(name=name, step=step, steps=steps) for name, step, steps in STAGES
)
PATIENTS = (3, 8, 9, 23)  # nothing; a malignant mass; a benign one; a malignant one


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    read = read_recipe(TEXT)
    assert isinstance(read, Recipe)
    return read


@pytest.fixture(scope="module")
def eight(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> list[Lesson]:
    """Choose four views with a malignant mass, two with a benign one, two with nothing."""
    cache = tmp_path_factory.mktemp("lessons")
    views = lessons(PATIENTS, recipe.data.pitch_mm, recipe.preparation, cache, workers=1)
    lot = pool([masses_only(lesson) for lesson in views])
    return [*lot.cancers[:4], *lot.benign[:2], *lot.healthy[:2]]


def sensitivity(
    found: Sequence[Sequence[Finding]], lot: Sequence[Lesson], false_marks: float
) -> float:
    """Return the part of the masses whose box is met by half, at so many false marks a view."""
    half = overlapping(0.5)
    marks = [
        marked([(one.box, one.score) for one in some], lesson.boxes, found_by=half)
        for some, lesson in zip(found, lot, strict=True)
    ]
    return sensitivity_at(marks, false_marks)


@pytest.mark.slow
def test_the_feature_transfer_network_learns_eight_images(
    recipe: Recipe, eight: list[Lesson], tmp_path: Path
) -> None:
    assert [lesson.cancer for lesson in eight] == [True] * 4 + [False] * 4
    torch.manual_seed(recipe.seed)
    network = recipe.untrained()
    stages = [ft_mtl._stage(course, recipe, pool(eight), "cpu") for course in recipe.stages]
    validation = partial(ft_mtl._validation, lessons=eight, decision=recipe.decision, device="cpu")
    options = recipe.optimizer.options(recipe.seed, "cpu")
    fit(network, stages, options, Run(tmp_path / "run", TEXT), validation)
    assert validation(network) == {"image_auc": 1.0, "sensitivity_at_1": 1.0}
    reader = FtMtl(network, recipe.preparation, recipe.decision, torch.device("cpu"))
    seen = [
        reader.read([PreparedView(lesson.picture.astype("float32") / 255, lesson.placement)])
        for lesson in eight
    ]
    assert auc([lesson.cancer for lesson in eight], [view.cancer or 0.0 for view in seen]) == 1
    assert sensitivity([view.findings for view in seen], eight, 0.25) >= 0.95
    for view, lesson in zip(seen, eight, strict=True):
        surest = max(view.findings, key=lambda found: found.score, default=None)
        if lesson.boxes:
            assert surest is not None
            assert surest.mask is not None
            assert surest.cancer_score is not None
            assert (surest.cancer_score > 0.5) == lesson.cancer
