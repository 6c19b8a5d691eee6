"""The ways of training that Le's table 1 compares."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from train.engine import METRICS, WEIGHTS, Run
from train.recipes.by_name import read_recipe
from train.recipes.shared_trunk import Recipe

HEAD = """
system = "shared_trunk"
seed = 1
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }
optimizer = { weight_decay = 0.1, clip_norm = 5.0, amp = false, validate_every = 9 }
decision = { extent = 0.5, least_px = 2 }
[data]
pitch_mm = 0.8
training = { first_seed = 4, studies = 3 }
validation = { first_seed = 8, studies = 3 }
[preparation]
height_px = 160
width_px = 80
pitch_mm = 1.6
channels = ["mean", "max"]
[network]
trunk = "resnet18"
in_channels = 2
width = 8
output_stride = OUTPUT_STRIDE
norm = "group"
"""
STAGE = """
[[stages]]
name = "share SHARE"
steps = 2
learning_rate = 1e-3
classification_share = SHARE
batch = 2
height_px = 160
width_px = 80
centered = false
cancers = 0.5
benign = 0.3
"""
SCHEMES = {
    "classification": (1.0,),
    "segmentation": (0.0,),
    "sequential": (0.0, 1.0),
    "joint": (0.5,),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


def recipe(shares: tuple[float, ...], output_stride: int = 32) -> tuple[Recipe, str]:
    text = HEAD.replace("OUTPUT_STRIDE", str(output_stride))
    text += "".join(STAGE.replace("SHARE", str(share)) for share in shares)
    read = read_recipe(text)
    assert isinstance(read, Recipe)
    return read, text


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_scheme_teaches_its_heads_and_leaves_the_other_alone(
    scheme: str, cache: Path, tmp_path: Path
) -> None:
    course, text = recipe(SCHEMES[scheme])
    assert course.scheme == scheme
    torch.manual_seed(course.seed)
    before = course.network.build().state_dict()
    run = Run(tmp_path / "run", text)
    course.train(run, cache, device="cpu", workers=1)
    after = load_file(run.folder / WEIGHTS)

    def moved(head: str) -> bool:
        return any(
            not torch.equal(before[name], after[name]) for name in before if name.startswith(head)
        )

    assert moved("trunk.")
    assert moved("s_net.") == (scheme != "classification")
    assert moved("c_net.") == (scheme != "segmentation")
    assert '"mean_dice"' in (run.folder / METRICS).read_text()


@pytest.mark.parametrize("output_stride", [32, 16, 8])
def test_every_output_stride_can_be_trained(
    output_stride: int, cache: Path, tmp_path: Path
) -> None:
    course, text = recipe((0.5,), output_stride)
    course.train(Run(tmp_path / "run", text), cache, device="cpu", workers=1)
    assert load_file(tmp_path / "run" / WEIGHTS)
