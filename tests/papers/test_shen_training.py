"""How Shen and others 2019 train (arXiv 1708.09427, sections 3.1.1, 3.1.2 and 3.1.4)."""

import math
import re
from pathlib import Path

import pytest
import torch

from inference.networks.trunks import parameters_in
from train.data.patches import LEAST_OVERLAP
from train.recipes.all_conv import Recipe
from train.recipes.by_name import read_recipe

IMAGES, PATCHES_A_STEP, PICTURES_A_STEP = 1903, 32, 2


PAPER = Path("config/recipes/all_conv_paper.toml")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    read = read_recipe(PAPER.read_text(encoding="utf-8"))
    assert isinstance(read, Recipe)
    return read


def test_pictures_and_patches_have_the_papers_sizes(recipe: Recipe) -> None:  # 3.1.1
    assert recipe.size == (1152, 896)
    assert {member.patch_px for member in recipe.network.members} == {224}
    assert recipe.data.training.studies == math.ceil(IMAGES / 4)


def test_ten_patches_a_lesion_overlap_it_by_nine_tenths(recipe: Recipe) -> None:  # 3.1.1
    assert recipe.sampling.per_lesion == 10
    assert LEAST_OVERLAP == 0.9


def test_patches_teach_at_one_rate_from_chance_and_in_three_stages_a_taught_trunk(
    recipe: Recipe,
) -> None:  # 3.1.2
    epoch = math.floor(IMAGES * 2 * recipe.sampling.per_lesion / PATCHES_A_STEP)

    def stages(taken: Recipe) -> list[tuple[str, float, int, float]]:
        return [
            (course.learns, course.learning_rate, course.batch, course.steps / epoch)
            for course in taken.patch_stages
        ]

    assert recipe.begin is None
    assert stages(recipe) == [("all", 1e-3, 32, 50)]
    text = PAPER.read_text(encoding="utf-8")
    before, _, rest = text.partition("[[patch_stages]]")
    _, _, commented = rest.partition("from the top down instead:\n")
    taught = read_recipe(before + re.sub(r"^# ?", "", commented, flags=re.MULTILINE))
    assert isinstance(taught, Recipe)
    assert stages(taught) == [
        ("classifier", 1e-3, 32, 3),
        ("upper", 1e-4, 32, 10),
        ("all", 1e-5, 32, 37),
    ]


def test_pictures_teach_in_two_stages_for_fifty_epochs(recipe: Recipe) -> None:  # 3.1.2
    epoch = math.ceil(IMAGES / PICTURES_A_STEP)
    assert [
        (
            course.learns,
            course.learning_rate,
            course.weight_decay,
            course.batch,
            course.steps / epoch,
        )
        for course in recipe.picture_stages
    ] == [("top", 1e-4, 0.001, 2, 30), ("all", 1e-5, 0.01, 2, 20)]
    assert recipe.optimizer.kind == "adam"
    assert recipe.optimizer.schedule == "constant"


def test_patches_and_pictures_are_changed_as_far_as_the_papers(recipe: Recipe) -> None:  # 3.1.2
    change = recipe.changes.augmentation()
    assert (change.flip, change.mirror) == (True, True)
    assert (change.turn_deg, change.shear_rad, change.zoom) == (25, 0.2, 0.2)
    assert round(change.shift * 255) == 20


def test_four_networks_on_two_patch_networks_are_averaged_over_flips(recipe: Recipe) -> None:
    # Section 3.1.4: Resnet-Resnet, Resnet-VGG, VGG-VGG and VGG-Resnet.
    members = recipe.network.members
    assert [member.trunk for member in members] == ["resnet50", "resnet50", "vgg16", "vgg16"]
    assert len({member.patches for member in members}) == 2
    assert recipe.decision.flips
    with torch.device("meta"):
        networks = recipe.network.build(recipe.preparation)
    assert [round(parameters_in(network) / 1e6, 2) for network in networks] == [
        40.83,
        28.52,
        16.19,
        29.68,
    ]
