"""Two networks in one run: each learns while the other stands still, and their scores agree."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from inference.analyzer import open_bundle
from inference.bundle import Calibration, Card
from inference.findings import Box, Finding, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from inference.scores import sigmoid
from inference.systems.deeplima import Deeplima, Network
from inference.systems.views import BOTH, Seen
from train.data.calcium_tiles import CalciumView, calcium_view, drawn_tiles
from train.data.lesson import Lesson
from train.data.splits import Seeds
from train.engine import WEIGHTS, Run
from train.errors import Refused
from train.recipes.by_name import read_recipe
from train.recipes.deeplima import Recipe, line, masses_alone, rescored
from train.recipes.recipe import View, read_validation

RECIPE = """
system = "deeplima"
seed = 1
proposed_regions = 50
sampled_regions = 16
calcification_studies = 3
bundle = { name = "Tiny", version = "0.0.1", license = "Apache-2.0" }
changes = { turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }
optimizer = { weight_decay = 0.01, clip_norm = 5.0, amp = false, validate_every = 100 }
[data]
pitch_mm = 0.4
training = { first_seed = 0, studies = 4 }
validation = { first_seed = 16, studies = 3 }
[preparation.mass]
height_px = 160
width_px = 80
pitch_mm = 1.6
channels = ["mean", "max"]
[preparation.calcification]
height_px = 608
width_px = 288
pitch_mm = 0.4
channels = ["max"]
mend_columns = true
[network.mass]
trunk = "resnet18"
in_channels = 2
width = 8
channels = 8
norm = "group"
fpn = true
focal = true
nonlocal_at = ["layer3", "layer4"]
smallest_anchor_px = 4.0
[network.calcification]
in_channels = 1
width = 8
norm = "group"
[decision]
calcium = 0.5
least_px = 4
linking_mm = 5.0
least_members = 2
[decision.tiling]
size_px = 64
step_px = 64
[[stages]]
name = "heads"
learns = "mass"
steps = 1
learning_rate = 1e-4
batch = 4
height_px = 48
width_px = 48
centered = true
malignant = 0.0
benign = 0.8
frozen = ["scales.trunk"]
[[stages]]
name = "masses"
learns = "mass"
steps = 3
learning_rate = 1e-4
batch = 2
height_px = 160
width_px = 80
centered = false
malignant = 0.0
benign = 0.8
[[stages]]
name = "calcifications"
learns = "calcification"
steps = 80
learning_rate = 1e-2
batch = 4
calcification_weight = 20.0
"""
SIZE_PX = 32


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lessons")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    read = read_recipe(RECIPE)
    assert isinstance(read, Recipe)
    return read


@pytest.fixture(scope="module")
def run(recipe: Recipe, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train the tiny recipe, once."""
    made = Run(tmp_path_factory.mktemp("run"), RECIPE)
    recipe.train(made, cache, device="cpu", workers=1)
    return made


@pytest.fixture(scope="module")
def bundle(
    recipe: Recipe, cache: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Card]:
    folder = tmp_path_factory.mktemp("bundle")
    return folder, recipe.export(run, cache, folder, workers=1)


def reader_of(folder: Path) -> Deeplima:
    reader = open_bundle(folder).system.reader
    assert isinstance(reader, Deeplima)
    return reader


def test_a_recipe_becomes_a_bundle_with_a_line_for_each_kind(
    recipe: Recipe, bundle: tuple[Path, Card]
) -> None:
    folder, card = bundle
    assert (card.system, card.training.steps, card.calibration) == ("deeplima", 84, None)
    figures = {figure.name for figure in card.metrics}
    assert {"image_auc_any_lesion", "mass_sensitivity_at_1_false_marks_per_image"} <= figures
    assert not {"exam_auc", "image_auc"} & figures  # of cancer, which the system does not judge
    reader = reader_of(folder)
    assert Network.model_validate(card.network) == recipe.network
    assert reader.preparation == recipe.preparation
    assert reader.decision.model_dump() == card.decision
    for kind in BOTH:
        assert reader.decision.line(kind).model_dump() == card.decision[f"{kind}_score"]
        assert reader.decision.line(kind) != Calibration(slope=1.0, intercept=0.0)


def test_what_was_measured_is_what_the_bundle_says(
    recipe: Recipe, cache: Path, bundle: tuple[Path, Card]
) -> None:
    """The lines are fitted to scores of a reader without them; then no view is read again."""
    reader = reader_of(bundle[0])
    plain = dict.fromkeys(("mass_score", "calcification_score"), Calibration(slope=1, intercept=0))
    raw = replace(reader, decision=reader.decision.model_copy(update=plain))
    few = recipe.model_copy(
        update={
            "data": recipe.data.model_copy(
                update={"validation": Seeds(first_seed=17, studies=1)},
            )
        }
    )
    for (_, one), (_, other) in zip(
        read_validation(few, raw, cache, workers=1),
        read_validation(few, reader, cache, workers=1),
        strict=True,
    ):
        expected = [finding.score for finding in rescored(one, reader.decision).findings]
        assert expected
        assert [finding.score for finding in other.findings] == pytest.approx(expected, abs=1e-6)


def test_a_run_in_pieces_ends_with_the_same_weights_and_each_piece_moves_one_network(
    recipe: Recipe, cache: Path, run: Run, tmp_path: Path
) -> None:
    torch.manual_seed(recipe.seed)
    states = [recipe.network.build().state_dict()]
    pieces = Run(tmp_path / "run", RECIPE)
    for stages in (1, 2, 3):
        piece = recipe.model_copy(update={"stages": recipe.stages[:stages]})
        piece.train(pieces, cache, device="cpu", workers=1)
        both = stages == len(recipe.stages)
        assert piece.reader(pieces).scope.marks == (BOTH if both else (Kind.MASS,))
        assert len(piece.reader(pieces).preparations) == 1 + both
        states.append(load_file(pieces.folder / WEIGHTS))

    def moved(before: int, part: str) -> bool:
        names = [name for name in states[0] if name.startswith(part)]
        assert names
        return any(
            not torch.equal(states[before][name], states[before + 1][name]) for name in names
        )

    parts = ("mass.scales.trunk.", "mass.heads.", "calcification.")
    assert [[moved(piece, part) for part in parts] for piece in range(3)] == [
        [False, True, False],
        [True, True, False],
        [False, False, True],
    ]
    whole = load_file(run.folder / WEIGHTS)
    assert all(torch.equal(whole[name], states[-1][name]) for name in whole)


def test_of_one_network_alone_no_bundle_is_made(
    recipe: Recipe, cache: Path, run: Run, tmp_path: Path
) -> None:
    alone = recipe.model_copy(update={"stages": recipe.stages[2:]})
    assert alone.reader(run).scope.marks == (Kind.CALCIFICATION,)
    with pytest.raises(Refused, match="teaches a calcification network alone"):
        alone.export(run, cache, tmp_path, workers=1)


def test_a_stage_says_which_network_learns(recipe: Recipe) -> None:
    assert recipe.stages[0].learns == "mass"
    for wrong, sentence in (
        (RECIPE.replace('learns = "calcification"', ""), "learns"),
        (RECIPE.replace('learns = "calcification"', 'learns = "mass"'), "height_px"),
        (RECIPE.replace("scales.trunk", "heads"), "scales.trunk"),
    ):
        with pytest.raises(ValidationError, match=sentence):
            read_recipe(wrong)


def lesson(*there: tuple[Box, Kind, bool], height: int = 80, width: int = 60) -> Lesson:
    """Make a view whose picture is 200 where it shows a lesion, and else a gradient below 100."""
    rows, columns = np.mgrid[0:height, 0:width]
    picture = ((rows + columns) % 100 + 1).astype(np.uint8)
    labels = np.zeros((height, width), np.uint8)
    for box, kind, malignant in there:
        here = np.s_[int(box.top) : int(box.bottom), int(box.left) : int(box.right)]
        labels[here] = (1 if kind is Kind.MASS else 3) + malignant
        picture[here] = 200
    return Lesson(
        patient="1",
        side=Side.LEFT,
        picture=picture[None],
        labels=labels,
        placement=Placement(0, 0, width, height, flipped=False, rows=height, columns=width),
        boxes=tuple(box for box, _, _ in there),
        kinds=tuple(kind for _, kind, _ in there),
        malignant=tuple(malignant for _, _, malignant in there),
    )


MASS = (Box(2, 2, 12, 12), Kind.MASS, True)
CLUSTER = (Box(50, 70, 60, 80), Kind.CALCIFICATION, False)  # in the corner
PITCH_MM = 0.5


def test_every_second_tile_shows_a_calcification_and_the_others_none() -> None:
    """A mass is no calcification, and labels lie on what they label, however the tile is turned."""
    views = [calcium_view(one, PITCH_MM) for one in (lesson(MASS, CLUSTER), lesson(MASS), lesson())]
    for seed in range(20):
        tiles = drawn_tiles(views, 8, SIZE_PX, np.random.default_rng(seed))
        assert tiles.pictures.shape == (8, 1, SIZE_PX, SIZE_PX)
        showing = tiles.labels.flatten(1).any(dim=1)
        assert showing.tolist() == [False, True] * 4
        bright = tiles.pictures[:, 0] == 200 / 255
        assert bright[tiles.labels == 1].all()
        assert not tiles.labels[~bright].any()


def test_tiles_are_turned_over_along_both_sides() -> None:
    views = [calcium_view(lesson(CLUSTER, height=SIZE_PX, width=SIZE_PX), PITCH_MM)]
    views = [replace(views[0], labels=np.tri(SIZE_PX, dtype=np.bool_), middles=((16, 16),))]
    rng = np.random.default_rng(2)
    corners = {
        tuple(tile[[0, 0, -1], [0, -1, 0]].tolist())
        for _ in range(20)
        for tile in drawn_tiles(views, 2, SIZE_PX, rng).labels
    }
    # Below the diagonal there is calcification; a turn puts the empty corner elsewhere.
    assert corners == {(1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 1, 1)}


def test_a_label_of_less_than_4_4_mm2_grows() -> None:
    dot = (Box(30, 30, 31, 31), Kind.CALCIFICATION, False)
    grown = calcium_view(lesson(dot), PITCH_MM)
    assert grown.labels.sum() * PITCH_MM**2 >= 4.4
    assert grown.middles == ((30, 30),)
    assert not calcium_view(lesson(MASS), PITCH_MM).labels.any()


def test_without_any_calcification_there_is_nothing_to_learn() -> None:
    views: list[CalciumView] = [calcium_view(lesson(MASS), PITCH_MM)]
    with pytest.raises(ValueError, match="none of 1 views shows a calcification"):
        drawn_tiles(views, 2, SIZE_PX, np.random.default_rng(1))


def test_to_the_mass_network_a_calcification_is_tissue() -> None:
    alone = masses_alone(lesson(MASS, (CLUSTER[0], CLUSTER[1], True)))
    assert (alone.boxes, alone.kinds) == ((MASS[0],), (Kind.MASS,))
    assert not masses_alone(lesson((CLUSTER[0], CLUSTER[1], True))).cancer


def mark(box: Box, kind: Kind, raw: float) -> Finding:
    return Finding(kind, box, raw, None, None, ("deeplima",))


def test_a_line_makes_raw_scores_the_part_of_the_marks_that_are_true() -> None:
    """A mark on a lesion of the other kind is false."""
    elsewhere = Box(30, 30, 40, 40)
    views: list[View] = []
    for raw, true in ((0.1, 1), (0.3, 5), (0.6, 9)):
        for number in range(10):
            on = MASS[0] if number < true else elsewhere
            findings = (mark(on, Kind.MASS, raw), mark(MASS[0], Kind.CALCIFICATION, raw))
            views.append(([lesson(MASS, CLUSTER)], Seen(None, findings)))
    fitted = line(views, Kind.MASS)
    logits = [np.log(raw / (1 - raw)) for raw in (0.1, 0.3, 0.6)]
    shares = [sigmoid(fitted.logit(logit)) for logit in logits]
    assert shares == pytest.approx([0.1, 0.5, 0.9], abs=0.1)
    with pytest.raises(Refused, match="0 of 30 marks on 30 validation views find a calcific"):
        line(views, Kind.CALCIFICATION)
