"""Shen's training in small: patches, then whole pictures, then another hospital's pictures."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tiny_recipe import ALL_CONV_CHANGES
from torch import Tensor

from inference.analyzer import open_bundle
from inference.bundle import load_card
from inference.errors import BadBundle
from inference.findings import Box
from inference.networks.all_conv import AllConvNet, PatchNet, VggBlock
from inference.preparing.prepare import Preparation
from train.data.lesson import Lesson
from train.data.phantom import case
from train.data.splits import Seeds
from train.engine import WEIGHTS, Run
from train.errors import Refused, Unfinished
from train.recipes import all_conv
from train.recipes.all_conv import Patches, Pictures, Recipe
from train.recipes.all_conv_learning import below, labeled, patch_losses, picture_losses
from train.recipes.by_name import read_recipe

HEAD = (
    """
system = "all_conv"
seed = 1
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
decision = { flips = true }
sampling = { per_lesion = 10 }
optimizer = { kind = "adam", weight_decay = 0.0, clip_norm = 5.0, amp = false, validate_every = 3 }
[data]
pitch_mm = 0.8
training = { first_seed = 1, studies = 3 }
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
"""
)


def member(trunk: str, norm: str, top: str, width: int = 8, heatmap: str = "false") -> str:
    return f"""
[[network.members]]
trunk = "{trunk}"
norm = "{norm}"
top = ["{top}"]
width = {width}
patch_px = 32
top_norm = "group"
heatmap = {heatmap}
"""


def patch_stage(learns: str) -> str:
    return f"""
[[patch_stages]]
name = "patches: {learns}"
learns = "{learns}"
steps = 2
learning_rate = 1e-3
batch = 8
"""


def picture_stage(learns: str) -> str:
    return f"""
[[picture_stages]]
name = "pictures: {learns}"
learns = "{learns}"
steps = 2
learning_rate = 1e-3
weight_decay = 1e-3
batch = 2
cancers = 0.5
"""


PATCH_STAGES = [patch_stage(learns) for learns in ("classifier", "upper", "all")]
PICTURE_STAGES = [picture_stage(learns) for learns in ("top", "all")]
# Two members on one patch network, whose norm keeps statistics, and one between on another; the
# second keeps the heatmap, and the third reads it with fully connected layers.
MEMBERS = [
    member("resnet18", "batch", "8 x 1"),
    member("vgg16", "none", "8 x 1", heatmap="true"),
    member("resnet18", "batch", "pool 2x2, FC 8, FC 4"),
]
ONE, THREE = HEAD + MEMBERS[0], "".join([HEAD, *MEMBERS])
WHOLE = "".join([THREE, *PATCH_STAGES, *PICTURE_STAGES])
PATCHLESS = "without_patches = true\n"


def recipe(text: str) -> Recipe:
    read = read_recipe(text)
    assert isinstance(read, Recipe)
    return read


def trained(folder: Path, text: str, cache: Path) -> Path:
    recipe(text).train(Run(folder, text), cache, device="cpu", workers=1)
    return folder


def weights(run: Path, name: str) -> dict[str, Tensor]:
    return load_file(run / name / WEIGHTS)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "whole", WHOLE, cache)


@pytest.fixture(scope="module")
def bundle(run: Path, cache: Path) -> Path:
    recipe(WHOLE).export(Run(run, WHOLE), cache, run.parent / "bundle", workers=1)
    return run.parent / "bundle"


@pytest.fixture(scope="module")
def lessons(cache: Path) -> list[Lesson]:
    read = recipe(WHOLE)
    return read.lessons(read.data.training, read.preparation, cache, 1)


# From a recipe to a bundle


def test_members_on_one_patch_network_share_its_training(run: Path) -> None:  # section 3.1.4
    folders = {path.name for path in run.iterdir() if path.is_dir()}
    assert folders == {"patches_0", "patches_1", "pictures_0", "pictures_1", "pictures_2"}


def test_the_card_says_what_was_trained_and_the_bundle_reads_exams(bundle: Path) -> None:
    card = load_card(bundle)
    assert card.training.steps == 2 * 6 + 3 * 4
    assert card.training.recipe.startswith("all_conv: patches: classifier, patches: upper,")
    # It marks nothing, so that there are figures of scores alone.
    assert {metric.name.partition("_")[0] for metric in card.metrics} == {"exam", "image"}
    analyzer = open_bundle(bundle)
    seen = analyzer.analyze(case(9, 0.8).exam)
    assert seen.cancer_score is not None
    assert 0 < seen.cancer_score < 1
    assert all(view.findings == () for view in seen.views)


def test_a_run_that_is_interrupted_again_and_again_ends_with_the_same_weights(
    tmp_path: Path, cache: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(Exception):
        pass

    def cut_at(name: str, turns: set[int]) -> None:
        measure: Callable[..., dict[str, float]] = getattr(all_conv, name)
        calls = 0

        def measured(*arguments: object, **named: object) -> dict[str, float]:
            nonlocal calls
            calls += 1
            if calls in turns:
                raise Cut
            return measure(*arguments, **named)

        monkeypatch.setattr(all_conv, name, measured)

    cut_at("patch_figures", {2, 6})
    cut_at("picture_figures", {2, 5})
    cuts = 0
    while True:
        try:
            trained(tmp_path, WHOLE, cache)
            break
        except Cut:
            cuts += 1
    assert cuts == 4
    for folder in ("patches_0", "patches_1", "pictures_0", "pictures_1", "pictures_2"):
        one, other = weights(run, folder), weights(tmp_path, folder)
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_that_is_not_trained_to_its_end_is_not_exported(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(Unfinished, match="no step is done"):
        recipe(WHOLE).export(Run(tmp_path, WHOLE), cache, tmp_path / "bundle", workers=1)


# What learns when


def changed_names(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_patches_teach_from_the_top_down(tmp_path: Path, cache: Path) -> None:  # section 3.1.2
    torch.manual_seed(all_conv._seed(recipe(WHOLE), 0, 0))
    states = [recipe(WHOLE).network.members[0].build(2).state_dict()]
    for count in (1, 2, 3):
        text = "".join([ONE, *PATCH_STAGES[:count], PICTURE_STAGES[0]])
        states.append(weights(trained(tmp_path / str(count), text, cache), "patches_0"))
    assert changed_names(states[0], states[1]) == {"classifier.weight", "classifier.bias"}
    upper = changed_names(states[1], states[2])
    assert {name.split(".")[0] for name in upper} == {"trunk", "classifier"}
    assert all(
        name.startswith(("trunk.layer3.1.", "trunk.layer4.", "classifier.")) for name in upper
    )
    assert "trunk.layer4.0.bn1.running_mean" in upper
    everything = changed_names(states[2], states[3])
    assert {"trunk.conv1.weight", "trunk.bn1.running_mean"} <= everything


def test_new_layers_learn_alone_at_first_and_the_trunk_stays_bit_by_bit(
    tmp_path: Path, cache: Path
) -> None:  # section 3.1.2
    for count, moved in ((1, False), (2, True)):
        text = "".join([ONE, PATCH_STAGES[0], *PICTURE_STAGES[:count]])
        run = trained(tmp_path / str(count), text, cache)
        taught, whole = weights(run, "patches_0"), weights(run, "pictures_0")
        trunk = {name for name in taught if name.startswith("trunk.")}
        assert trunk == {name for name in whole if name.startswith("trunk.")}
        same = all(torch.equal(taught[name], whole[name]) for name in trunk)
        assert same is not moved


def test_below_the_upper_layers_are_the_lower_ones() -> None:
    resnet = PatchNet(trunk="resnet18", in_channels=1, width=8, norm="group")
    assert {name.split(".")[1] for name in below(resnet)} == {
        "conv1",
        "bn1",
        "layer1",
        "layer2",
        "layer3",
    }
    assert not any(name.startswith("trunk.layer3.1") for name in below(resnet))
    vgg = PatchNet(trunk="vgg16", in_channels=1, width=8, norm=None)
    # Blocks 1 to 3: two, two and three convolutions.
    assert below(vgg) == tuple(f"trunk.features.{at}" for at in (0, 2, 5, 7, 10, 12, 14))


# Losses


def test_each_class_of_a_batch_counts_alike() -> None:  # section 3.1.2
    logits = torch.tensor([[2.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0], [0, 0, 3.0]])
    labels = torch.tensor([0, 0, 0, 2])
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    loss = patch_losses(torch.nn.Identity(), Patches(logits, labels))["patches"]
    torch.testing.assert_close(loss, (each[:3].mean() + each[3]) / 2)


def test_only_the_new_layers_kernels_decay() -> None:  # section 3.1.2, and the paper's code
    torch.manual_seed(1)
    patch = PatchNet(trunk="resnet18", in_channels=1, width=8, norm="group", patch_px=32)
    network = AllConvNet(patch, (VggBlock(8, 1),), norm="group")
    batch = Pictures(torch.rand(2, 1, 64, 64), torch.tensor([0, 1]))
    decay = picture_losses(network, batch, 0.5)["decay"]
    kernels = [network.top[0][0].weight, network.classifier.weight]  # type: ignore[index]
    torch.testing.assert_close(decay, 0.5 * sum(kernel.square().sum() for kernel in kernels))
    decay.backward()
    taught = {name for name, weight in network.named_parameters() if weight.grad is not None}
    assert taught == {"top.0.0.weight", "classifier.weight"}
    torch.testing.assert_close(network.classifier.weight.grad, network.classifier.weight.detach())


# Beginnings


def test_patches_begin_with_another_bundles_trunk(tmp_path: Path, cache: Path) -> None:
    folder = Path("bundles/shared_trunk_phantom")
    begin = f'[begin]\nbundle = "{folder}"\n'
    one = member("resnet18", "group", "8 x 1", width=24)
    text = "".join([HEAD, one, begin, PATCH_STAGES[0], PICTURE_STAGES[0]])
    theirs = load_file(folder / "weights.safetensors")
    ours = weights(trained(tmp_path, text, cache), "patches_0")
    trunk = {name for name in ours if name.startswith("trunk.")}
    assert trunk
    assert all(torch.equal(theirs[name], ours[name]) for name in trunk)


def test_a_trunk_that_does_not_fit_is_no_beginning(tmp_path: Path, cache: Path) -> None:
    text = WHOLE + '[begin]\nbundle = "bundles/shared_trunk_phantom"\n'
    with pytest.raises(BadBundle, match="does not fit the recipe's"):
        trained(tmp_path, text, cache)


def test_a_recipe_without_patches_needs_a_bundle() -> None:
    for text, fault in ((ONE + PICTURE_STAGES[0], "nothing"), (PATCHLESS + WHOLE, "contradict")):
        with pytest.raises(ValidationError, match=fault):
            recipe(text)


def test_without_patches_whole_pictures_teach_all_layers(tmp_path: Path, cache: Path) -> None:
    top, whole = (  # of one seed, they begin alike
        weights(
            trained(tmp_path / stage.split('"')[1], PATCHLESS + ONE + stage, cache), "pictures_0"
        )
        for stage in PICTURE_STAGES
    )
    assert any(not torch.equal(top[name], whole[name]) for name in top if "trunk" in name)


def test_pictures_of_one_kind_teach_nothing(lessons: list[Lesson]) -> None:
    with pytest.raises(Refused, match="with and without cancer"):
        labeled([lesson for lesson in lessons if not lesson.cancer])


# Transfer to patients on whose pictures nobody has drawn a lesion (section 3.2)


def transfer(bundle: Path) -> str:
    """Change the patients; those who taught the bundle can neither teach nor steer."""
    one, other = "first_seed = 1, studies = 3", "first_seed = 8, studies = 2"
    moved = THREE.replace(other, "first_seed = 17, studies = 3").replace(one, other)
    return moved + f'[begin]\nbundle = "{bundle}"\n' + PICTURE_STAGES[1]


def test_whole_networks_go_on_with_other_patients_from_labels_alone(
    tmp_path: Path, cache: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = transfer(bundle)
    run = trained(tmp_path / "seen", text, cache)
    assert {path.name for path in run.iterdir() if path.is_dir()} == {
        "pictures_0",
        "pictures_1",
        "pictures_2",
    }
    before = load_file(bundle / "weights.safetensors")
    after = {
        f"{number}.{name}": value
        for number in range(3)
        for name, value in weights(run, f"pictures_{number}").items()
    }
    assert before.keys() == after.keys()
    assert "0.trunk.conv1.weight" in changed_names(before, after)

    def blind(
        self: Recipe, split: Seeds, how: Preparation, cache: Path, workers: int
    ) -> list[Lesson]:
        return [
            replace(
                lesson,
                labels=np.zeros_like(lesson.labels),
                boxes=tuple(Box(0, 0, 1, 1) for _ in lesson.boxes),
            )
            for lesson in kept(self, split, how, cache, workers)
        ]

    kept = Recipe.lessons
    monkeypatch.setattr(Recipe, "lessons", blind)
    again = trained(tmp_path / "blind", text, cache)
    for number in range(3):
        one, other = (weights(folder, f"pictures_{number}") for folder in (run, again))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_transferred_bundle_names_its_beginning(
    tmp_path: Path, cache: Path, bundle: Path
) -> None:
    text = transfer(bundle)
    run = trained(tmp_path / "run", text, cache)
    card = recipe(text).export(Run(run, text), cache, tmp_path / "bundle", workers=1)
    assert card.training.begun_from.startswith("Tiny 0.0.1, weights ")
    assert card.training.steps == 3 * 2
    assert open_bundle(tmp_path / "bundle").analyze(case(9, 0.8).exam).cancer_score is not None


def test_another_systems_bundle_cannot_be_transferred(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(BadBundle, match=r"of shared_trunk: without patch_stages, begin with"):
        trained(tmp_path, transfer(Path("bundles/shared_trunk_phantom")), cache)


def test_the_shipped_recipe_averages_two_networks_on_one_patch_network() -> None:
    read = recipe(Path("config/recipes/all_conv_phantom.toml").read_text(encoding="utf-8"))
    first, second = read.network.members
    assert first.patches == second.patches
    assert first.top != second.top
    assert read.sampling.per_lesion == 10
    assert [course.learns for course in read.patch_stages] == ["classifier", "upper", "all"]
    assert [course.learns for course in read.picture_stages] == ["top", "all"]
