"""Shen's two-step baseline: a forest on what stands out of a heatmap (section 3.1.4)."""

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_recipe import ALL_CONV_CHANGES
from typer.testing import CliRunner

from inference.mammogram import Side
from inference.networks.all_conv import PatchNet
from inference.preparing.placement import Placement
from train.baselines.heatmap_forest import (
    CUTOFFS,
    DEPTH,
    FEATURES,
    LEAST_SPLIT,
    TREES,
    described,
    grown,
    heatmap,
)
from train.cli import app, main
from train.data.lesson import Lesson
from train.errors import Refused
from train.recipes.all_conv import Recipe
from train.recipes.by_name import read_recipe
from train.run_folder import Run

RECIPE = (
    """
system = "all_conv"
seed = 1
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
decision = { flips = true }
sampling = { per_lesion = 1 }
optimizer = { kind = "adam", weight_decay = 0.0, clip_norm = 5.0, amp = false, validate_every = 3 }
[data]
pitch_mm = 1.0
training = { first_seed = 6, studies = 2 }
validation = { first_seed = 8, studies = 2 }
[preparation]
height_px = 160
width_px = 96
pitch_mm = 1.6
channels = ["mean", "max"]
"""
    + ALL_CONV_CHANGES
    + """[network]
in_channels = 2
[[network.members]]
trunk = "resnet18"
norm = "group"
top = ["8 x 1"]
width = 8
patch_px = 32
top_norm = "group"
[[picture_stages]]
name = "pictures"
learns = "top"
steps = 2
learning_rate = 1e-3
weight_decay = 1e-3
batch = 2
cancers = 0.5
"""
)
PATCHES = """
[[patch_stages]]
name = "patches"
learns = "all"
steps = 2
learning_rate = 1e-3
batch = 8
"""


def seen(*areas: tuple[int, slice, slice, float]) -> np.ndarray:
    """Make a heatmap of 12 x 10 that is background but for these areas."""
    made = np.zeros((5, 12, 10))
    made[0] = 1
    for label, rows, columns, chance in areas:
        made[label, rows, columns], made[0, rows, columns] = chance, 1 - chance
    return made


def named(found: np.ndarray, label: int, cutoff: float) -> dict[str, float]:
    table = found.reshape(4, len(CUTOFFS), len(FEATURES))
    return dict(zip(FEATURES, table[label - 1, CUTOFFS.index(cutoff)], strict=True))


def test_the_forest_is_the_papers() -> None:
    assert CUTOFFS == (0.3, 0.5, 0.7, 0.9)
    assert (TREES, DEPTH, LEAST_SPLIT) == (500, 9, 300)


def test_what_stands_out_is_described_by_hand_counted_numbers() -> None:
    found = described(seen((2, np.s_[1:3], np.s_[1:7], 0.8), (2, np.s_[8:9], np.s_[8:9], 0.6)))
    assert len(found) == 4 * 4 * 5
    at_half = named(found, 2, 0.5)
    assert at_half["regions"] == 2
    assert at_half["area"] == 13
    assert at_half["largest_area"] == 12
    # An ellipse with the moments of a rectangle of 6: its axis is 4 * 6 / sqrt(12).
    assert at_half["largest_major_axis"] == pytest.approx(4 * 6 / 12**0.5)
    assert at_half["largest_mean"] == pytest.approx(0.8)
    assert named(found, 2, 0.7)["regions"] == 1
    assert set(named(found, 2, 0.9).values()) == {0}
    assert set(named(found, 1, 0.3).values()) == {0}


def test_background_is_not_described() -> None:
    assert described(seen()).tolist() == [0] * 80


def test_a_heatmap_is_the_patch_networks_own_word_at_each_place() -> None:
    torch.manual_seed(1)
    network = PatchNet(trunk="resnet18", in_channels=1, width=8, norm="group", patch_px=64).eval()
    picture = np.random.default_rng(1).integers(0, 255, (1, 96, 64), dtype=np.uint8)
    lesson = Lesson(
        patient="1",
        side=Side.LEFT,
        picture=picture,
        labels=np.zeros((96, 64), np.uint8),
        placement=Placement(0, 0, 64, 96, flipped=False, rows=96, columns=64),
        boxes=(),
        kinds=(),
        malignant=(),
    )
    found = heatmap(network, lesson)
    assert found.shape == (5, 2, 1)
    np.testing.assert_allclose(found.sum(axis=0), 1)
    with torch.inference_mode():
        logits = network.scan(torch.from_numpy(picture)[None].float() / 255)[0]
    np.testing.assert_allclose(found, logits.double().softmax(dim=0).numpy(), atol=1e-6)


def test_the_forest_learns_that_malignant_regions_are_cancers() -> None:
    rng = np.random.default_rng(1)
    truths = rng.random(650) < 0.5  # a tree sees two thirds of them, and splits 300 at least
    found = np.array(
        [
            described(seen((2 if truth else 1, np.s_[2:5], np.s_[2:5], rng.uniform(0.6, 1))))
            for truth in truths
        ]
    )
    score = grown(found[:600], truths[:600].tolist(), seed=1)
    chances = score(found[600:])
    assert chances[truths[600:]].min() > chances[~truths[600:]].max()


def test_too_few_pictures_to_split_are_all_scored_alike() -> None:
    found = np.array([described(seen((2, np.s_[0:n], np.s_[0:3], 0.8))) for n in range(1, 11)])
    score = grown(found, [True, False] * 5, seed=1)
    assert len(np.unique(score(found).round(9))) == 1


def test_pictures_of_one_kind_grow_no_forest() -> None:
    with pytest.raises(Refused, match="with and without cancer"):
        grown(np.zeros((3, 80)), [False] * 3, seed=1)


def test_without_scikit_learn_the_forest_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as __import__
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Refused, match="scikit-learn: install the project with its dev"):
        grown(np.zeros((2, 80)), [False, True], seed=1)


def test_the_command_measures_the_forest_of_a_run_on_those_who_steered_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusal(folder: Path) -> str:
        monkeypatch.setattr("sys.argv", ["train", "forest", str(folder)])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().err

    assert "is no run folder" in refusal(tmp_path)
    patchless = Run(tmp_path / "patchless", "without_patches = true\n" + RECIPE)
    assert "has taught no patch network" in refusal(patchless.folder)
    run = Run(tmp_path / "run", RECIPE + PATCHES)
    assert "train it with `train run`" in refusal(run.folder)
    course, part = read_recipe(RECIPE + PATCHES), run.part("patches_0")
    assert isinstance(course, Recipe)
    torch.manual_seed(1)
    part.begin(seed=1, steps=2, done=0, device="cpu", processes=1)
    part.end(course.network.members[0].build(2), 2)
    said = CliRunner().invoke(
        app, ["forest", str(run.folder), "--cache", str(tmp_path / "cache"), "--workers", "1"]
    )
    assert said.exit_code == 0, said.output
    # Of so few pictures the paper's forest splits none, and scores all alike.
    (line,) = [line for line in said.output.splitlines() if "image_auc" in line]
    assert "0.500" in line
    assert str(course.data.validation) in " ".join(said.output.split())
