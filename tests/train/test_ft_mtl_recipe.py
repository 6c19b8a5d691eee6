"""The five steps of Gao's table 1, as stages of one run."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from inference.analyzer import open_bundle
from inference.errors import BadBundle
from inference.findings import Kind
from inference.networks.ft_mtl import STEPS, FtMtlNet
from inference.networks.trunks import Trunk
from inference.systems.ft_mtl import FtMtl
from train.data.augment import Draw, drawn, pool
from train.data.lesson import Lesson
from train.engine import METRICS, WEIGHTS, Run
from train.recipes import ft_mtl
from train.recipes.by_name import read_recipe
from train.recipes.ft_mtl import TOGETHER, Recipe, masses_only, truths
from train.recipes.recipe import Begin

ROOT = Path(__file__).parents[2]
SHARED_TRUNK = ROOT / "bundles" / "shared_trunk_phantom"
STAGE = """
[[stages]]
name = "step {step}"
step = {step}
steps = 2
learning_rate = 1e-3
sampled_regions = 8
objectness = 0.0
batch = 2
height_px = 160
width_px = 80
centered = false
cancers = 0.5
benign = 0.3
"""
RECIPE = """
system = "ft_mtl"
seed = 1
initial_std = 0.05
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }
optimizer = { weight_decay = 0.01, clip_norm = 5.0, amp = false, validate_every = 3 }
decision = { objectness = 0.6, veto = "gated", gate = 0.5, overlap = 0.4, extent = 0.5 }
[data]
pitch_mm = 0.8
training = { first_seed = 8, studies = 3 }
validation = { first_seed = 23, studies = 2 }
[preparation]
height_px = 160
width_px = 80
pitch_mm = 1.6
channels = ["mean", "max"]
[network]
trunk = "resnet18"
in_channels = 2
width = 8
norm = "group"
anchors_px = [6, 12]
transfer = true
""" + "".join(STAGE.format(step=step) for step in (*STEPS, TOGETHER))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    read = read_recipe(RECIPE)
    assert isinstance(read, Recipe)
    return read


@pytest.fixture(scope="module")
def teaching(recipe: Recipe, cache: Path) -> list[Lesson]:
    return recipe.lessons(recipe.data.training, recipe.preparation, cache, 1)


def test_a_recipe_becomes_a_bundle_that_reads(recipe: Recipe, cache: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", RECIPE)
    recipe.train(run, cache, device="cpu", workers=1)
    lines = [json.loads(line) for line in (run.folder / METRICS).read_text().splitlines()]
    told = {line["stage"]: set(line) - {"step", "stage", "rate", "seconds"} for line in lines[::-1]}
    losses = {number: set(step.losses) for number, step in STEPS.items()}
    assert told == {f"step {number}": named for number, named in losses.items()} | {
        "step 6": losses[3] | losses[5]
    }
    assert set(lines[-1]["validation"]) == {"image_auc", "sensitivity_at_1"}
    card = recipe.export(run, cache, tmp_path / "bundle", workers=1)
    assert (card.system, card.training.steps) == ("ft_mtl", 8)
    figures = {figure.name for figure in card.metrics}
    assert {"image_auc", "exam_auc_any_cancer", "sensitivity_balanced"} <= figures
    opened = open_bundle(tmp_path / "bundle")
    assert opened.card.model_dump_json(exclude={"created"}) == card.model_dump_json(
        exclude={"created"}
    )
    reader = opened.system.reader
    assert isinstance(reader, FtMtl)
    assert (reader.decision, reader.preparation) == (recipe.decision, recipe.preparation)
    for name, weight in load_file(run.folder / WEIGHTS).items():
        assert torch.equal(reader.network.state_dict()[name], weight)


@pytest.mark.parametrize(
    ("number", "frozen", "parts"),
    [
        *((number, (), step.parts) for number, step in STEPS.items()),
        (TOGETHER, (), ("trunk", "regions", "heads")),
        (3, ("trunk",), ("regions",)),
    ],
)
def test_each_step_moves_its_parts_and_leaves_the_others_bit_by_bit(
    recipe: Recipe,
    cache: Path,
    tmp_path: Path,
    number: int,
    frozen: tuple[str, ...],
    parts: tuple[str, ...],
) -> None:
    (course,) = (course for course in recipe.stages if course.step == number)
    held = course.model_copy(update={"frozen": frozen})
    alone = recipe.model_copy(update={"stages": (held,)})
    torch.manual_seed(recipe.seed)
    before = recipe.untrained().state_dict()
    alone.train(Run(tmp_path / "run", RECIPE), cache, device="cpu", workers=1)
    after = load_file(tmp_path / "run" / WEIGHTS)
    assert set(before) == set(after)
    moved = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert {name.split(".")[0] for name in moved} == set(parts)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(
    recipe: Recipe, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    def cut(*_: object, **__: object) -> dict[str, float]:
        raise Cut

    def train(folder: str) -> dict[str, Tensor]:
        recipe.train(Run(tmp_path / folder, RECIPE), cache, device="cpu", workers=1)
        return load_file(tmp_path / folder / WEIGHTS)

    whole = train("whole")
    validation, calls = ft_mtl._validation, []

    def second_cuts(network: nn.Module, **how: object) -> dict[str, float]:
        calls.append(1)
        return cut() if len(calls) == 2 else validation(network, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(ft_mtl, "_validation", second_cuts)
    with pytest.raises(Cut):
        train("parts")
    monkeypatch.setattr(ft_mtl, "_validation", validation)
    parts = train("parts")
    for name, weight in whole.items():
        torch.testing.assert_close(parts[name], weight, rtol=0, atol=0)


def test_a_lesson_without_its_calcifications_tells_of_masses_alone(teaching: list[Lesson]) -> None:
    assert {kind for lesson in teaching for kind in lesson.kinds} == set(Kind)
    for lesson in teaching:
        left = masses_only(lesson)
        assert len(left.boxes) == len(left.malignant) == lesson.kinds.count(Kind.MASS)
        assert set(left.kinds) <= {Kind.MASS}
        assert set(np.unique(left.labels)) == {0, *left.classes}
        kept = np.isin(lesson.labels, [1, 2])
        np.testing.assert_array_equal(left.labels[kept], lesson.labels[kept])
        worst = replace(lesson, malignant=(True,) * len(lesson.boxes))
        assert masses_only(worst).cancer is (Kind.MASS in lesson.kinds)


def test_each_mass_is_told_with_its_box_its_class_and_its_outline(
    recipe: Recipe, teaching: list[Lesson]
) -> None:
    draw = Draw(6, 160, 80, cancers=0.6, benign=0.4, centered=False)
    lot = pool([masses_only(lesson) for lesson in teaching])
    batch = drawn(lot, draw, recipe.changes.augmentation(), np.random.default_rng(1))
    told = truths(batch)
    assert {int(label) for truth in told for label in truth.classes} == {1, 2}
    for truth, labels in zip(told, batch.labels, strict=True):
        for box, label, mask in zip(truth.boxes, truth.classes, truth.masks, strict=True):
            assert (labels[mask] == label).all()
            rows, columns = mask.nonzero(as_tuple=True)
            around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [int(edge) for edge in around]


def test_step_2_draws_with_the_recipes_deviation(recipe: Recipe) -> None:
    network = recipe.model_copy(update={"initial_std": 0.01}).untrained()
    assert isinstance(network, FtMtlNet)
    assert network.heads.up1.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert network.trunk.conv1.weight.std().item() > 0.02


def test_step_1_begins_with_another_bundles_trunk_as_far_as_the_networks_goes() -> None:
    trunk = Trunk("resnet18", in_channels=2, width=24, last_stage=3)
    Begin(bundle=SHARED_TRUNK).fill(trunk)
    theirs = load_file(SHARED_TRUNK / "weights.safetensors")
    assert any(name.startswith("trunk.layer4.") for name in theirs)
    for name, weight in trunk.state_dict().items():
        torch.testing.assert_close(weight, theirs[f"trunk.{name}"], rtol=0, atol=0)
    whole = Trunk("resnet18", in_channels=2, width=24)
    Begin(bundle=SHARED_TRUNK).fill(whole)
    last = "layer4.1.conv2.weight"
    assert torch.equal(whole.state_dict()[last], theirs[f"trunk.{last}"])


def test_a_trunk_that_does_not_fit_is_refused() -> None:
    for trunk in (Trunk("resnet18", in_channels=2, width=16), Trunk("resnet34", in_channels=2)):
        with pytest.raises(BadBundle, match="shared_trunk_phantom does not fit the recipe's"):
            Begin(bundle=SHARED_TRUNK).fill(trunk)


def test_the_shipped_recipe_takes_the_papers_steps_in_their_order() -> None:
    text = (ROOT / "config" / "recipes" / "ft_mtl_phantom.toml").read_text(encoding="utf-8")
    recipe = read_recipe(text)
    assert isinstance(recipe, Recipe)
    steps = [course.step for course in recipe.stages]
    assert steps == sorted(steps)
    assert set(steps) == {*STEPS, TOGETHER}
    assert recipe.begin is not None
    assert tomllib.loads(text)["bundle"]["name"] == "FT-MTL, phantom"
    shared = (ROOT / "config" / "recipes" / "shared_trunk_phantom.toml").read_text(encoding="utf-8")
    prepared, data = (tomllib.loads(shared)[table] for table in ("preparation", "data"))
    assert tomllib.loads(text)["preparation"] == prepared
    assert tomllib.loads(text)["data"] == data
