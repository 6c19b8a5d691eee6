"""A training that begins with another bundle's trunk."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_recipe import RECIPE

from inference.networks.trunks import Trunk
from train.engine import WEIGHTS, Run
from train.errors import Refused
from train.recipes.by_name import read_recipe
from train.recipes.recipe import Begin, Common

BUNDLE = Path("bundles/shared_trunk_phantom")


def begun(**changes: str) -> tuple[Common, str]:
    """Let the smallest recipe begin with the shipped trunk."""
    text = RECIPE.replace("width = 8", "width = 24").replace(
        "[data]", f'[begin]\nbundle = "{BUNDLE}"\n[data]'
    )
    for old, new in changes.items():
        text = text.replace(old, new)
    return read_recipe(text), text


def test_a_shared_trunk_begins_with_the_trunk_that_its_card_will_name(tmp_path: Path) -> None:
    recipe, text = begun()
    slow = text.replace("learning_rate = 1e-3", "learning_rate = 1e-9")
    run = Run(tmp_path / "run", slow)
    read_recipe(slow).train(run, tmp_path / "cache", device="cpu", workers=1)
    theirs, ours = load_file(BUNDLE / "weights.safetensors"), load_file(run.folder / WEIGHTS)
    for name, weight in theirs.items():
        if name.startswith("trunk."):
            torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6)
    assert recipe.begin is not None


def test_patients_who_taught_the_trunk_cannot_steer_what_begins_with_it(tmp_path: Path) -> None:
    recipe, _ = begun(**{"validation = { first_seed = 8": "validation = { first_seed = 10699"})
    with pytest.raises(Refused, match=r"learned from patients among .*move data.validation"):
        recipe.lessons(recipe.data.validation, recipe.preparation, tmp_path, 1)  # type: ignore[attr-defined]


def test_of_several_networks_it_is_the_firsts_trunk_and_half_precision_is_no_hindrance() -> None:
    several = Path("bundles/recall_retina_cbis")
    trunk = Trunk("resnet18", in_channels=3, width=24, norm="batch", edges=6)
    Begin(bundle=several).fill(trunk)
    theirs = load_file(several / "weights.safetensors")
    assert theirs["0.trunk.conv1.weight"].dtype == torch.float16
    for name, weight in trunk.state_dict().items():
        if name.endswith("weight"):
            assert torch.equal(weight, theirs[f"0.trunk.{name}"].float())
            assert not torch.equal(weight, theirs[f"1.trunk.{name}"].float())
