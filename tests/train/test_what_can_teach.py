"""What images can teach which system: what none of them can is said before the first step."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_recipe import ALL_CONV_CHANGES, RETINA_NETWORK

from inference.analyzer import open_bundle
from inference.findings import Box, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from train.data.augment import pool, require_drawable
from train.data.divided import divided, write_division
from train.data.lesson import Lesson
from train.data.readers.by_name import samples
from train.errors import Refused
from train.recipes.by_name import read_recipe
from train.recipes.recipe import Common, prepared_view
from train.run_folder import Run

DESCRIBED = """
name = "Labels"
complete = false
table = "images.csv"
image = "{file}"
columns = { patient = "woman", side = "side", view = "view" }
cancer = { column = "cancer", yes = ["1"], no = ["0"] }
"""
COMMON = """
seed = 1
bundle = { name = "Tiny", version = "0.0.1", license = "ours" }
optimizer = { weight_decay = 0.01, clip_norm = 5.0, amp = false, validate_every = 2 }
[data]
set = "table"
split = "{split}"
spacing_mm = [1.0, 1.0]
[preparation]
height_px = 96
width_px = 64
pitch_mm = 1.6
channels = ["stretched", "local"]
"""
DETECTOR = (
    """
system = "recall_retina"
changes = { turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }
decision = { least_score = 0.01, most_overlap = 0.3, same_lesion = 0.3 }
[[stages]]
name = "joint"
steps = 2
learning_rate = 1e-3
recall_weight = 1.0
batch = 2
height_px = 96
width_px = 64
centered = false
cancers = 0.5
benign = 0.0
"""
    + RETINA_NETWORK
)
JUDGE = (
    """
system = "all_conv"
{patches}
decision = { flips = false }
sampling = { per_lesion = 1 }
"""
    + ALL_CONV_CHANGES
    + """[network]
in_channels = 2
[[network.members]]
trunk = "resnet18"
norm = "group"
top = ["256 x 1"]
width = 8
patch_px = 32
top_norm = "group"
heatmap = false
[[picture_stages]]
name = "pictures"
learns = "all"
steps = 2
learning_rate = 1e-3
weight_decay = 1e-4
batch = 2
cancers = 0.5
"""
)
ON_PATCHES = """
[[patch_stages]]
name = "patches"
learns = "all"
steps = 1
learning_rate = 1e-3
batch = 2
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Write eight women, of whose images only the label is known."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "dataset.toml").write_text(DESCRIBED)
    lines = ["file,woman,side,view,cancer"]
    rows, columns = np.mgrid[0:120, 0:90]
    for number in range(8):
        breast = np.hypot((rows - 60) / 50, columns / (50 + 4 * number)) < 1
        tissue = np.random.default_rng(number).integers(60, 220, rows.shape)
        Image.fromarray(np.where(breast, tissue, 1).astype(np.uint8)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,w{number},L,CC,{number % 2}")
    (folder / "images.csv").write_text("\n".join(lines) + "\n")
    return folder


def read(text: str, labels: Path) -> Common:
    """Read a recipe that learns from the labels, by a split of them."""
    split = labels.parent / "split.json"
    if not split.exists():
        shares = {"training": 0.5, "validation": 0.5}
        write_division(divided(samples("table", labels), shares, ""), split)
    head, _, tables = text.partition("\n[")
    common, _, data = COMMON.partition("\n[")
    whole = "\n[".join([head + common, data, tables])
    recipe = read_recipe(whole.replace("{split}", str(split)))
    recipe.data.lie_in(labels)
    return recipe


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (DETECTOR, "this system learns to mark: all_conv learns from labels alone"),
        (
            JUDGE.replace("{patches}", "") + ON_PATCHES,
            "no lesion of Labels, part training of split .* is marked, and patches are of lesions",
        ),
    ],
)
def test_images_without_marks_are_refused_before_the_first_step(
    labels: Path, tmp_path: Path, text: str, why: str
) -> None:
    recipe, run = read(text, labels), Run(tmp_path / "run", "")
    with pytest.raises(Refused, match=why):
        recipe.train(run, tmp_path / "cache", device="cpu", workers=1)
    assert not [path for path in run.folder.rglob("*") if path.name != "recipe.toml"]


def test_labels_alone_make_a_bundle_that_judges_and_marks_nothing(
    labels: Path, tmp_path: Path
) -> None:
    recipe = read(JUDGE.replace("{patches}", "without_patches = true"), labels)
    run = Run(tmp_path / "run", "")
    recipe.train(run, tmp_path / "cache", device="cpu", workers=1)
    card = recipe.export(run, tmp_path / "cache", tmp_path / "bundle", workers=1)
    assert (card.judges, card.marks) == (True, ())
    analyzer = open_bundle(tmp_path / "bundle")
    how = analyzer.system.reader.preparations[0]  # type: ignore[attr-defined]
    (lesson, *_) = recipe.lessons(recipe.data.validation, how, tmp_path / "cache", 1)
    seen = analyzer.system.reader.read([prepared_view(lesson)])  # type: ignore[attr-defined]
    assert seen.cancer is not None
    assert not seen.findings


def shown(*natures: bool | None, told: bool | None) -> Lesson:
    return Lesson(
        patient="1",
        side=Side.LEFT,
        picture=np.zeros((1, 8, 8), np.uint8),
        labels=np.zeros((8, 8), np.uint8),
        placement=Placement(0, 0, 8, 8, flipped=False, rows=8, columns=8),
        boxes=(Box(1, 1, 3, 3),) * len(natures),
        kinds=(Kind.MASS,) * len(natures),
        malignant=natures,
        told=told,
    )


def test_a_share_of_what_nobody_shows_is_refused_and_not_drawn_from_others() -> None:
    ill, benign, healthy = shown(True, told=True), shown(False, told=False), shown(told=False)
    unmarked = shown(told=True)  # a cancer that nobody outlined is no healthy view
    lot = pool([ill, healthy, unmarked])
    assert (lot.cancers, lot.benign, lot.healthy) == ([ill, unmarked], [], [healthy])
    keys = ("malignant", "benign")
    require_drawable(lot, cancers=0.7, benign=0.0, stage="views", keys=keys)
    require_drawable(pool([ill, benign]), cancers=0.7, benign=0.3, stage="views", keys=keys)
    for wrong, cancers, of_benign, why in (
        (lot, 0.5, 0.5, "50 % of its views from those that show benign lesions alone, marked"),
        ([benign, healthy], 0.25, 0.5, "25 % of its views from those that show a cancer"),
        ([ill, benign], 0.25, 0.5, "25 % of its views from those that show no lesion"),
    ):
        with pytest.raises(Refused, match=f"stage views draws {why}.*malignant and benign"):
            require_drawable(
                pool(wrong) if isinstance(wrong, list) else wrong,
                cancers=cancers,
                benign=of_benign,
                stage="views",
                keys=keys,
            )


def test_a_lesion_of_unknown_nature_is_taught_as_its_image_is() -> None:
    assert shown(None, True, None, told=True).classes == (2, 2, 2)
    assert shown(None, False, told=False).classes == (1, 1)
    unknown = shown(None, None, told=None)
    assert (unknown.classes, unknown.cancer) == ((1, 1), False)
