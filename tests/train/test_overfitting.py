"""What cannot learn eight images by heart cannot learn: each system must."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from inference.networks.recall_retina import RecallRetinaNet
from inference.networks.shared_trunk import SharedTrunkNet
from inference.preparing.prepare import Preparation, PreparedView
from inference.systems.recall_retina import RecallRetina
from inference.systems.shared_trunk import SharedTrunk
from inference.systems.views import Reader
from train import losses
from train.data.augment import pool
from train.data.lesson import Lesson
from train.data.phantom import lessons
from train.engine import Options, Run, fit
from train.evaluation import SeenView, compared
from train.metrics.auc import auc
from train.metrics.froc import sensitivity_at
from train.recipes import recall_retina, shared_trunk
from train.recipes.by_name import read_recipe
from train.recipes.recipe import lesions_of

COMMON = """
seed = 1
bundle = { name = "Overfitted", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 0.0, zoom = 0.0, contrast = 0.0, flip = false }
optimizer = { weight_decay = 0.0, clip_norm = 5.0, amp = false, validate_every = 1000 }
[data]
pitch_mm = 0.4
training = { first_seed = 0, studies = 1 }
validation = { first_seed = 1, studies = 1 }
[preparation]
height_px = 272
width_px = 128
pitch_mm = 0.9
channels = ["mean", "max"]
[network]
trunk = "resnet18"
in_channels = 2
width = 16
norm = "group"
"""
STAGE = """
[[stages]]
name = "by heart"
steps = 400
learning_rate = 2e-3
batch = 8
height_px = 272
width_px = 128
centered = false
cancers = 0.5
benign = 0.25
"""
SHARED = f"""
system = "shared_trunk"
decision = {{ extent = 0.5, least_px = 2 }}
{COMMON}
output_stride = 8
{STAGE}
classification_share = 0.5
"""
RECALL = f"""
system = "recall_retina"
decision = {{ least_score = 0.05, most_overlap = 0.3, same_lesion = 0.3 }}
{COMMON}
channels = 32
attach = "c5"
smallest_anchor_px = 8.0
{STAGE}
recall_weight = 1.0
"""
AS_ASKED = Options(
    seed=1, weight_decay=0.0, clip_norm=5.0, amp=False, validate_every=1000, device="cpu"
)


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> list[Lesson]:
    """Choose four views with a cancer, two with benign lesions, two with nothing."""
    how = Preparation(height_px=272, width_px=128, pitch_mm=0.9, channels=("mean", "max"))
    views = lessons(range(100, 116), 0.4, how, tmp_path_factory.mktemp("lessons"), workers=2)
    lot = pool(views)
    return [*lot.cancers[:4], *lot.benign[:2], *lot.healthy[:2]]


def looked_at(reader: Reader, lot: Sequence[Lesson]) -> list[SeenView]:
    views = []
    for lesson in lot:
        seen = reader.read([PreparedView(lesson.picture.astype("float32") / 255, lesson.placement)])
        views.append(compared(seen.cancer, seen.findings, lesions_of(lesson), reader.scope))
    return views


def assert_known_by_heart(views: Sequence[SeenView]) -> None:
    assert auc([bool(view.cancers) for view in views], [view.score or 0 for view in views]) == 1
    assert sensitivity_at([view.marked for view in views], 0.125) >= 0.95


@pytest.mark.slow
def test_the_shared_trunk_learns_eight_images(eight: list[Lesson], tmp_path: Path) -> None:
    recipe = read_recipe(SHARED)
    assert isinstance(recipe, shared_trunk.Recipe)
    torch.manual_seed(1)
    network = recipe.network.build()
    weights = losses.class_weights(shared_trunk._pixels(eight))
    (course,) = recipe.stages
    stage = shared_trunk._stage(course, recipe, pool(eight), weights, "cpu")
    validation = partial(shared_trunk._validation, lessons=eight, device="cpu")
    fit(network, [stage], AS_ASKED, Run(tmp_path / "run", SHARED), validation)
    assert isinstance(network, SharedTrunkNet)
    assert validation(network)["mean_dice"] > 0.75
    reader = SharedTrunk(network, recipe.preparation, recipe.decision, torch.device("cpu"))
    assert_known_by_heart(looked_at(reader, eight))


@pytest.mark.slow
def test_the_recall_retinanet_learns_eight_images(eight: list[Lesson], tmp_path: Path) -> None:
    recipe = read_recipe(RECALL)
    assert isinstance(recipe, recall_retina.Recipe)
    torch.manual_seed(1)
    network = recipe.network.member()
    (course,) = recipe.stages
    stage = recall_retina._stage(course, recipe, pool(eight), "cpu")
    validation = partial(recall_retina._validation, lessons=eight, recipe=recipe, device="cpu")
    fit(network, [stage], AS_ASKED, Run(tmp_path / "run", RECALL), validation)
    assert isinstance(network, RecallRetinaNet)
    reader = RecallRetina(
        nn.ModuleList([network]), recipe.preparation, recipe.decision, torch.device("cpu")
    )
    assert_known_by_heart(looked_at(reader, eight))
