"""Detection and recall learned together, also where nobody outlined a lesion."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tiny_recipe import RETINA_NETWORK

from inference.analyzer import open_bundle
from inference.findings import Kind
from inference.networks.recall_retina import RecallRetinaNet
from inference.preparing.prepare import Preparation
from train.data.augment import Draw, drawn, pool
from train.data.lesson import Lesson
from train.engine import METRICS, WEIGHTS, Run
from train.errors import Refused
from train.export import halved
from train.recipes.by_name import read_recipe
from train.recipes.patients import Split
from train.recipes.recall_retina import Population, Recipe, _truth, outlined, weights
from train.recipes.recipe import prepared_view

RECIPE = (
    """
system = "recall_retina"
seed = 1
outlined = 0.5
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }
optimizer = { weight_decay = 0.01, clip_norm = 5.0, amp = false, validate_every = 2 }
decision = { least_score = 0.01, most_overlap = 0.3, same_lesion = 0.3 }
population = { cancers = 0.01, benign = 0.09 }
[data]
pitch_mm = 0.8
training = { first_seed = 4, studies = 4 }
validation = { first_seed = 8, studies = 4 }
[preparation]
height_px = 160
width_px = 80
pitch_mm = 1.6
channels = ["mean", "max"]
"""
    + RETINA_NETWORK
    + """[[stages]]
name = "heads"
steps = 2
learning_rate = 1e-3
recall_weight = 0.0
batch = 4
height_px = 48
width_px = 48
centered = true
cancers = 0.5
benign = 0.3
frozen = ["trunk"]
[[stages]]
name = "joint"
steps = 2
learning_rate = 1e-3
recall_weight = 1.0
batch = 2
height_px = 160
width_px = 80
centered = false
cancers = 0.5
benign = 0.3
"""
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    read = read_recipe(RECIPE)
    assert isinstance(read, Recipe)
    return read


def test_a_recipe_becomes_a_bundle_that_reads(recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", RECIPE)
    recipe.train(run, cache, device="cpu", workers=1)
    card = recipe.export(run, cache, tmp_path / "bundle", workers=1)
    assert (card.system, card.training.steps) == ("recall_retina", 4)
    assert {"exam_auc", "calcification_sensitivity_at_1_false_marks_per_image"} <= {
        figure.name for figure in card.metrics
    }
    opened = open_bundle(tmp_path / "bundle").card
    assert opened.weights_sha256 == card.weights_sha256
    assert opened.metrics == card.metrics
    lines = [json.loads(line) for line in (run.folder / METRICS).read_text().splitlines()]
    assert {"image_auc", "image_auc_in_screening", "sensitivity_at_1"} == set(
        lines[-1]["validation"]
    )


def test_several_members_are_trained_one_by_one_and_their_scores_averaged(
    recipe: Recipe, cache: Path, tmp_path: Path
) -> None:
    text = RECIPE.replace("width = 8\n", "width = 8\nmembers = 2\n", 1)
    both = read_recipe(text)
    assert isinstance(both, Recipe)
    run = Run(tmp_path / "both", text)
    both.train(run, cache, device="cpu", workers=1)
    one_more = Run(tmp_path / "alone", RECIPE.replace("seed = 1", "seed = 2", 1))
    alone = recipe.model_copy(update={"seed": 2})
    alone.train(one_more, cache, device="cpu", workers=1)
    second = load_file(run.folder / "member_1" / WEIGHTS)
    assert all(
        torch.equal(tensor, second[name])
        for name, tensor in load_file(one_more.folder / WEIGHTS).items()
    )
    card = both.export(run, cache, tmp_path / "bundle", workers=1)
    assert (card.training.steps, card.network["members"]) == (8, 2)
    own = sum(tensor.numel() for tensor in alone.network.member().parameters())
    assert card.training.parameters == 2 * own
    lesson = both.lessons(both.data.validation, both.preparation, cache, workers=1)[0]
    pictures = [prepared_view(lesson)]
    first = replace(both.reader(run), networks=both.reader(run).networks[:1])
    scores = [reader.read(pictures).cancer for reader in (first, alone.reader(one_more))]
    reader = open_bundle(tmp_path / "bundle").system.reader  # type: ignore[attr-defined]
    assert reader.read(pictures).cancer == pytest.approx(sum(filter(None, scores)) / 2)


def test_half_precision_takes_half_the_room_and_what_is_kept_is_what_is_measured(
    cache: Path, tmp_path: Path
) -> None:
    text = RECIPE.replace('"Apache-2.0" }', '"Apache-2.0", half = true }', 1)
    recipe = read_recipe(text)
    assert isinstance(recipe, Recipe)
    run = Run(tmp_path / "run", text)
    recipe.train(run, cache, device="cpu", workers=1)
    recipe.export(run, cache, tmp_path / "bundle", workers=1)
    learned, kept = run.weights(), load_file(tmp_path / "bundle" / WEIGHTS)
    assert {one.dtype for one in kept.values()} == {torch.float16}
    assert all(torch.allclose(one, kept[name].to(one), 1e-3, 1e-7) for name, one in learned.items())
    lesson = recipe.lessons(recipe.data.validation, recipe.preparation, cache, workers=1)[0]
    served = open_bundle(tmp_path / "bundle").system.reader  # type: ignore[attr-defined]
    measured = recipe.reader(run)
    assert (
        served.read([prepared_view(lesson)]).cancer == measured.read([prepared_view(lesson)]).cancer
    )


def test_weights_too_large_for_half_precision_are_refused_and_counts_stay_whole() -> None:
    assert halved({"seen": torch.tensor(70001)})["seen"].item() == 70001
    with pytest.raises(Refused, match="shares holds numbers that half precision does not"):
        halved({"bias": torch.ones(2), "shares": torch.tensor([1e5])})


def test_lessons_of_masses_alone_make_a_bundle_that_speaks_of_masses_alone(
    recipe: Recipe, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Recipe.lessons

    def masses(
        own: Recipe, split: Split, how: Preparation, kept: Path, workers: int
    ) -> list[Lesson]:
        return [_of_masses(lesson) for lesson in every(own, split, how, kept, workers)]

    monkeypatch.setattr(Recipe, "lessons", masses)
    run = Run(tmp_path / "run", RECIPE)
    drawn = {"cancers": 0.8, "benign": 0.0}  # none of the few has benign masses alone
    stages = tuple(stage.model_copy(update=drawn) for stage in recipe.stages)
    recipe = recipe.model_copy(update={"stages": stages})
    recipe.train(run, cache, device="cpu", workers=1)
    card = recipe.export(run, cache, tmp_path / "bundle", workers=1)
    assert card.kinds == ["mass"]
    reader = open_bundle(tmp_path / "bundle").system.reader
    assert reader.scope.marks == reader.scope.judges == (Kind.MASS,)
    assert not any("calcification" in figure.name for figure in card.metrics)


def _of_masses(lesson: Lesson) -> Lesson:
    kept = [at for at, kind in enumerate(lesson.kinds) if kind is Kind.MASS]
    boxes, kinds, malignant = (
        tuple(part[at] for at in kept) for part in (lesson.boxes, lesson.kinds, lesson.malignant)
    )
    return replace(lesson, boxes=boxes, kinds=kinds, malignant=malignant)


def test_heads_learn_on_a_frozen_trunk(recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    heads = recipe.model_copy(update={"stages": recipe.stages[:1]})
    torch.manual_seed(recipe.seed)
    before = recipe.network.member().state_dict()
    heads.train(Run(tmp_path / "run", RECIPE), cache, device="cpu", workers=1)
    after = load_file(tmp_path / "run" / WEIGHTS)
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert {"pyramid", "head"} <= moved
    assert "trunk" not in moved


def test_a_view_counts_by_what_it_shows_as_a_whole_also_where_a_window_cut_it_off(
    recipe: Recipe, cache: Path
) -> None:
    lessons = recipe.lessons(recipe.data.training, recipe.preparation, cache, 1)
    lot = pool(lessons)
    assert lot.benign
    draw = Draw(32, 16, 16, cancers=0.0, benign=1.0, centered=False)
    batch = drawn(lot, draw, recipe.changes.augmentation(), np.random.default_rng(1))
    assert any(not len(lesions.boxes) for lesions in batch.lesions), "no lesion was cut off"
    counted = recipe.model_copy(update={"population": Population(cancers=0.1, benign=0.3)})
    course = recipe.stages[1].model_copy(update={"cancers": 0.2, "benign": 0.5})
    assert _truth(batch, counted, course).weight.tolist() == pytest.approx([0.3 / 0.5] * 32)


def test_parts_of_a_population_are_no_more_than_all() -> None:
    with pytest.raises(ValidationError, match="more than all views"):
        Population(cancers=0.7, benign=0.6)
    with pytest.raises(ValidationError, match="more than all views"):
        read_recipe(re.sub(r"benign = 0\.\d+", "benign = 0.95", RECIPE))


def test_patients_without_outlines_teach_recall_alone(recipe: Recipe, cache: Path) -> None:
    lessons = recipe.lessons(recipe.data.training, recipe.preparation, cache, 1)
    draw = Draw(16, 160, 80, cancers=0.5, benign=0.3, centered=False)
    batch = drawn(pool(lessons), draw, recipe.changes.augmentation(), np.random.default_rng(1))
    truth = _truth(batch, recipe, recipe.stages[1])
    known = [outlined(name, recipe.outlined) for name in batch.patients]
    assert [marks is not None for marks in truth.marks] == known
    assert set(known) == {True, False}
    nobody = recipe.model_copy(update={"outlined": 0.0})
    network = recipe.network.member().train()
    assert isinstance(network, RecallRetinaNet)
    losses = network.losses(batch.pictures, batch.sizes, _truth(batch, nobody, recipe.stages[1]))
    assert losses["focal"] == losses["box"] == 0
    assert losses["recall"] > 0


def test_the_same_patients_are_outlined_in_every_run_and_about_as_many_as_asked() -> None:
    first = [outlined(str(name), 0.3) for name in range(2000)]
    assert first == [outlined(str(name), 0.3) for name in range(2000)]
    assert sum(first) / 2000 == pytest.approx(0.3, abs=0.03)
    assert not any(outlined(str(name), 0.0) for name in range(50))
    assert all(outlined(str(name), 1.0) for name in range(50))


def test_weights_give_each_view_the_part_it_has_in_screening() -> None:
    cancer, benign, healthy = (True, True), (False, True), (False, False)
    drawn_ = [cancer] * 40 + [benign] * 35 + [healthy] * 25
    weight = weights(drawn_, (0.40, 0.35), Population(cancers=0.01, benign=0.09))
    assert sum(weight) / len(weight) == pytest.approx(1)
    assert sum(weight[:40]) / sum(weight) == pytest.approx(0.01)
    assert sum(weight[40:75]) / sum(weight) == pytest.approx(0.09)
    assert weights(drawn_, (0.40, 0.35), None) == [1.0] * 100
    # Nobody is divided by what was never drawn.
    assert weights([cancer], (1.0, 0.0), Population(cancers=0.5, benign=0.2)) == [0.5]
