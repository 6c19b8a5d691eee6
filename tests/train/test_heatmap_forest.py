"""Shen's two-step baseline: a forest on what stands out of a heatmap (section 3.1.4)."""

import builtins
from typing import Any

import numpy as np
import pytest
import torch

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
from train.data.lesson import Lesson


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
    with pytest.raises(ValueError, match="with and without cancer"):
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
    with pytest.raises(ModuleNotFoundError, match="scikit-learn: install the project with its dev"):
        grown(np.zeros((2, 80)), [False, True], seed=1)
