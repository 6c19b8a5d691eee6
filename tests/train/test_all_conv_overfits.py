"""What cannot learn eight images by heart cannot learn: Shen's way from patches to pictures."""

from pathlib import Path

import pytest
import torch
from torch import nn

from inference.preparing.prepare import PreparedView
from inference.scores import sigmoid
from inference.systems.all_conv import AllConv
from train.data.augment import pool
from train.data.lesson import Lesson
from train.engine import Run
from train.metrics.auc import auc
from train.recipes.all_conv import Recipe
from train.recipes.by_name import read_recipe

RECIPE = """
system = "all_conv"
seed = 1
bundle = { name = "Overfitted", version = "0.0.1", license = "Apache-2.0" }
decision = { flips = true }
sampling = { per_lesion = 10 }
[data]
pitch_mm = 0.4
training = { first_seed = 100, studies = 16 }
validation = { first_seed = 116, studies = 1 }
[preparation]
height_px = 272
width_px = 128
pitch_mm = 0.9
channels = ["mean", "max"]
[network]
in_channels = 2
[[network.members]]
trunk = "resnet18"
width = 16
norm = "group"
patch_px = 32
top = ["[16-16-32] x 1", "[16-16-32] x 1"]
top_norm = "group"
[changes]
turn_deg = 0.0
zoom = 0.0
contrast = 0.0
flip = true
mirror = true
shear_rad = 0.0
shift = 0.0
[optimizer]
kind = "adam"
weight_decay = 0.0
clip_norm = 5.0
amp = false
validate_every = 1000
[[patch_stages]]
name = "patches"
steps = 100
learning_rate = 2e-3
learns = "all"
batch = 32
[[picture_stages]]
name = "new layers"
steps = 50
learning_rate = 2e-3
learns = "top"
weight_decay = 0.0
batch = 8
cancers = 0.5
[[picture_stages]]
name = "by heart"
steps = 250
learning_rate = 1e-3
learns = "all"
weight_decay = 0.0
batch = 8
cancers = 0.5
"""


@pytest.mark.slow
def test_all_conv_learns_eight_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_recipe(RECIPE)
    assert isinstance(recipe, Recipe)
    lot = pool(recipe.lessons(recipe.data.training, recipe.preparation, tmp_path / "cache", 2))
    eight = [*lot.cancers[:4], *lot.benign[:2], *lot.healthy[:2]]

    def kept(*_: object) -> list[Lesson]:
        return eight

    monkeypatch.setattr(Recipe, "lessons", kept)
    run = Run(tmp_path / "run", RECIPE)
    recipe.train(run, tmp_path / "cache", device="cpu", workers=1)
    networks: nn.ModuleList = recipe.network.build(recipe.preparation)
    networks[0].load_state_dict(Run(run.folder / "pictures_0", RECIPE).weights())
    reader = AllConv(networks.eval(), recipe.preparation, recipe.decision, torch.device("cpu"))
    scores = []
    for lesson in eight:
        seen = reader.read([PreparedView(lesson.picture.astype("float32") / 255, lesson.placement)])
        assert seen.cancer is not None
        scores.append(sigmoid(seen.cancer))
    assert auc([lesson.cancer for lesson in eight], scores) == 1
    assert min(scores[:4]) > 0.9
    assert max(scores[4:]) < 0.1
