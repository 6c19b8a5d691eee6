"""A data set goes the whole way: divided, learned from, exported, measured; and nobody twice."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage
from small_cbis import write_resized
from small_tables import write_rsna
from tiny_recipe import RETINA_NETWORK
from typer.testing import CliRunner

from inference.bundle import load_card, load_weights, save_bundle
from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from train.cli import app, main
from train.commands import measuring
from train.data.divided import divided, read_division, require_of, write_division
from train.data.leaks import prints, require_apart, twins
from train.data.lesson import Lesson
from train.data.readers.by_name import samples
from train.data.real import lessons, teachable
from train.data.sample import Region, Sample
from train.errors import Refused
from train.export import parts_seen_by
from train.recipes.patients import Part
from train.recipes.recall_retina import Recipe
from train.recipes.recipe import Begin

NAMES = [f"{number:05}" for number in range(1, 11)]
RECIPE = (
    """
system = "recall_retina"
seed = 1
bundle = {{ name = "Tiny", version = "0.0.1", license = "CC-BY-4.0" }}
changes = {{ turn_deg = 5.0, zoom = 0.1, contrast = 0.1, flip = true }}
optimizer = {{ weight_decay = 0.01, clip_norm = 5.0, amp = false, validate_every = 2 }}
decision = {{ least_score = 0.01, most_overlap = 0.3, same_lesion = 0.3 }}
[data]
set = "cbis_ddsm"
split = "{split}"
spacing_mm = [1.5, 1.0]
[preparation]
height_px = 96
width_px = 64
pitch_mm = 1.6
channels = ["stretched", "local"]
"""
    + RETINA_NETWORK
    + """[[stages]]
name = "joint"
steps = 2
learning_rate = 1e-3
recall_weight = 1.0
batch = 4
height_px = 96
width_px = 64
centered = false
cancers = 0.5
benign = 0.5
"""
)


def drawn(number: int) -> Image.Image:
    """Draw a half disc with a mass, and tissue of its own."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[0:160, 0:160]
    breast = np.hypot((rows - 80) / 70, columns / (80 + 6 * number)) < 1
    coarse = ndimage.zoom(rng.uniform(40, 200, (16, 16)), 10, order=1)
    pixels = np.where(breast, coarse, 2)
    pixels[60:90, 30:60] = 230
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write ten patients, every second one with a cancer."""
    place = tmp_path_factory.mktemp("cbis") / "set"
    mass = [30.0, 60.0, 30.0, 30.0]
    write_resized(
        place,
        {
            f"{name}_LEFT_CC.jpg": [("MALIGNANT" if number % 2 else "BENIGN", mass)]
            for number, name in enumerate(NAMES)
        },
    )
    coco = place / "train" / "_annotations.coco.json"
    coco.write_text(
        coco.read_text().replace('"width": 80, "height": 80', '"width": 160, "height": 160')
    )
    for number, name in enumerate(NAMES):
        drawn(number).save(place / "train" / f"{name}_LEFT_CC.jpg", quality=95)
    return place


@pytest.fixture(scope="module")
def split(folder: Path) -> Path:
    """Divide them by the command."""
    file = folder.parent / "split.json"
    shares = ("--share", "training=0.6", "--share", "validation=0.4")
    result = CliRunner().invoke(app, ["split", "cbis_ddsm", str(folder), str(file), *shares])
    assert result.exit_code == 0, result.output
    return file


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *said: object
) -> str:
    monkeypatch.setattr("sys.argv", ["train", *map(str, said)])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 78
    return capsys.readouterr().err


def test_a_data_set_goes_the_whole_way(
    folder: Path,
    split: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe, run, bundle = (tmp_path / name for name in ("tiny.toml", "run", "bundle"))
    recipe.write_text(RECIPE.format(split=split))
    usual = ["--cache", str(tmp_path / "cache"), "--workers", "1", "--threads", "1"]
    assert "with --data FOLDER" in refusal(
        monkeypatch, capsys, "run", recipe, "--run", tmp_path / "none", *usual
    )
    here = ["--data", str(folder)]
    of = ["--set", "cbis_ddsm", "--split", str(split), "--spacing-mm", "1.5", "1.0"]
    for command in (
        ["run", str(recipe), "--run", str(run), *usual, *here],
        ["export", str(run), str(bundle), *usual, *here],
        ["evaluate", str(bundle), "--write", "--threads", "1", *here, *of],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        if command[0] == "export":  # phantoms would say nothing of it
            assert " ".join([*here, *of]) in result.output.replace("\n", " ")
    card = load_card(bundle)
    assert card.training.data.startswith("CBIS-DDSM, part training of split ")
    assert card.training.studies == 6
    assert "CBIS-DDSM" in card.intended_use
    assert "synthetic" not in card.intended_use
    assert "digitized films" in " ".join(card.limits)
    assert all("Lee et al." in one.credit for one in card.data_sets)
    assert {metric.images for metric in card.metrics} == {4}
    assert all(metric.on.endswith("which steered the training") for metric in card.metrics)
    named = {metric.name: metric for metric in card.metrics}
    assert "exceeds 0.2; a mark" in named["sensitivity_at_4_false_marks_per_image"].rule
    assert "image_auc" in named
    trained = [*here, *of, "--part", "training"]
    assert "was trained on CBIS-DDSM" in refusal(monkeypatch, capsys, "evaluate", bundle, *trained)
    assert "no part 'elsewhere'" in refusal(
        monkeypatch, capsys, "evaluate", bundle, *here, *of, "--part", "elsewhere"
    )

    def refused(*said: object) -> str:
        return refusal(monkeypatch, capsys, "evaluate", bundle, *said)

    # Who taught is not to be found out by another split, nor without one.
    assert "nobody can tell which patients of all of CBIS-DDSM" in refused(*here, *of[:2])
    other = tmp_path / "other.json"
    everybody = samples("cbis_ddsm", folder)
    write_division(divided(everybody, {"training": 0.5, "test": 0.5}, "7"), other)
    tested = [*here, *of[:2], *of[4:], "--split", str(other), "--part", "test"]
    assert "name that split" in refused(*tested)
    pupils = read_division(split).of("training") & read_division(other).of("test")
    with monkeypatch.context() as clone:  # which keeps the splits of its recipes
        clone.setattr(measuring, "KEPT", tmp_path / "kept")
        write_division(read_division(split), tmp_path / "kept" / "split.json")
        assert f"{len(pupils)} of the 5 patients" in refused(*tested)
    assert f"{len(pupils)} of the 5 patients" in refused(*tested, "--taught", split)
    said = CliRunner().invoke(app, ["evaluate", str(bundle), *tested, "--seen"])
    assert "some of whom may have taught it" in " ".join(said.output.split())
    # Labels of breasts, and images of another data set.
    line = {"view": "CC", "site_id": "1"}
    write_rsna(
        tmp_path / "breasts",
        [
            {
                **line,
                "patient_id": f"{n}",
                "image_id": f"{n}{side}",
                "laterality": side,
                "cancer": c,
            }
            for n in (1, 2)
            for side, c in (("L", str(n - 1)), ("R", "0"))
        ],
    )
    breasts = ["--data", str(tmp_path / "breasts"), "--set", "rsna_2022", *of[4:]]
    said = CliRunner().invoke(app, ["evaluate", str(bundle), "--write", *breasts])
    assert said.exit_code == 0, said.output
    assert {"breast_auc", "breast_probabilistic_f1", "exam_partial_auc"} <= {
        metric.name for metric in load_card(bundle).metrics
    }
    assert "needs both --data" in refused(*here)
    assert "are of a data set" in refused("--split", split)


def test_a_split_of_another_data_set_is_refused(split: Path) -> None:
    division = read_division(split)
    require_of(division, "CBIS-DDSM", split)
    with pytest.raises(Refused, match="divides 'CBIS-DDSM', and these are images of 'Our clinic'"):
        require_of(division, "Our clinic", split)


def test_a_bundle_that_begins_with_a_trunk_names_which_part_taught_that(tmp_path: Path) -> None:
    shipped = Path("bundles/shared_trunk_phantom")
    card = load_card(shipped)
    told = card.training.model_copy(update={"data": "Ours, part a of split 0123456789ab"})
    save_bundle(tmp_path, card.model_copy(update={"training": told}), load_weights(shipped, card))
    begin = Begin(bundle=tmp_path)
    later = card.training.model_copy(update={"begun_from": str(begin)})
    taught, _ = parts_seen_by(card.model_copy(update={"training": later}), "Ours")
    assert taught == [("a", "0123456789ab")]
    part = Part(data_set="Ours", name="a", digest="0123456789ab" + 52 * "0")
    assert begin.taught(part)
    assert not begin.taught(part.model_copy(update={"name": "b"}))
    with pytest.raises(Refused, match="train by that split too"):
        begin.taught(part.model_copy(update={"digest": 64 * "f"}))


def test_a_split_keeps_its_shares_of_every_kind_and_is_drawn_alike_each_time(
    folder: Path, split: Path
) -> None:
    division = read_division(split)
    assert {name: len(patients) for name, patients in division.parts.items()} == {
        "training": 6,
        "validation": 4,
    }
    for patients in division.parts.values():
        cancers = [name for name in patients if int(name.removeprefix("P_")) % 2 == 0]
        assert len(cancers) * 2 == len(patients)
    again = divided(samples("cbis_ddsm", folder), {"training": 0.6, "validation": 0.4}, "1")
    assert again == division
    halves = divided(samples("cbis_ddsm", folder), {"one": 0.5, "two": 0.5}, "1")
    assert [len(patients) for patients in halves.parts.values()] == [5, 5]
    other = divided(samples("cbis_ddsm", folder), {"training": 0.6, "validation": 0.4}, "2")
    assert other.digest != division.digest


def test_a_split_that_was_changed_or_has_somebody_twice_is_refused(
    split: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.json"
    kept = json.loads(split.read_text())
    kept["parts"]["validation"].append(kept["parts"]["training"].pop())
    changed.write_text(json.dumps(kept))
    with pytest.raises(Refused, match="was changed after it was written"):
        read_division(changed)
    division = read_division(split)
    division.parts["validation"].append(division.parts["training"][0])
    write_division(division, changed)
    with pytest.raises(Refused, match="in two parts"):
        read_division(changed)
    changed.write_text("{}")
    with pytest.raises(Refused, match="is no split"):
        read_division(changed)
    with pytest.raises(Refused, match="has no part 'test': it has training, validation"):
        read_division(split).of("test")


def test_a_patient_more_moves_hardly_anybody(folder: Path) -> None:
    few = samples("cbis_ddsm", folder)
    many = [replace(one, patient=f"{one.patient}-{turn}") for turn in range(20) for one in few]
    shares = {"training": 0.8, "validation": 0.2}
    whole = divided(many, shares, "1")
    without = divided([one for one in many if one.patient != many[0].patient], shares, "1")
    moved = (whole.of("training") - without.of("training")) - {many[0].patient}
    assert len(moved) + len(without.of("training") - whole.of("training")) <= 4
    assert len(whole.of("training")) == 160


def test_a_picture_in_two_parts_stops_the_training(folder: Path, split: Path, cache: Path) -> None:
    recipe = Recipe.model_validate(tomllib.loads(RECIPE.format(split=split)))
    fit, left = teachable(samples("cbis_ddsm", folder), judging=True)
    assert (len(fit), left) == (10, {})
    made = lessons(fit, recipe.preparation, cache, workers=1, spacing_mm=(1.5, 1.0))
    assert [lesson.patient for lesson in made] == [f"P_{name}" for name in NAMES]
    require_apart({"training": prints(made[:6]), "validation": prints(made[6:])})
    # The same film, scanned again a little brighter, under another name.
    twin = folder.parent / "twin.png"
    Image.open(fit[0].image).point(lambda grey: min(255, grey * 1.05)).save(twin)
    other = Sample(
        "CBIS-DDSM", "P_99999", twin, Side.LEFT, Projection.CC, False, spacing_mm=(1.5, 1.0)
    )
    (again,) = lessons([other], recipe.preparation, cache, workers=1)
    assert [tuple(map(str, pair)) for pair in twins(prints([again]), prints(made))] == [
        (f"{twin} of P_99999", f"{fit[0].image} of P_00001")
    ]
    # A copy with noise, in the air around the breast as well.
    noise = np.random.default_rng(3).integers(0, 3, made[0].picture.shape, dtype=np.uint8)
    noisy = replace(made[0], patient="P_88888", picture=np.minimum(made[0].picture, 252) + noise)
    pairs = twins(prints([noisy]), prints(made))
    assert [(one.patient, other.patient) for one, other in pairs] == [("P_88888", "P_00001")]
    with pytest.raises(Refused, match=r"other names: .*_LEFT_CC.jpg of P_00001 and .*twin\.png of"):
        require_apart({"training": prints(made), "validation": prints([again])})
    with pytest.raises(Refused, match="1 patients are in training and in validation"):
        require_apart({"training": prints(made), "validation": prints(made[:1])})


def test_a_picture_of_a_part_that_is_measured_one_day_stops_the_training_too(
    folder: Path,
    split: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [f"P_{name}" for name in NAMES]
    parts = {"training": names[:4], "validation": names[4:8], "test": [*names[8:], "P_77777"]}
    three = tmp_path / "three.json"
    write_division(read_division(split).model_copy(update={"parts": parts}), three)

    def read(place: Path) -> list[Lesson]:
        recipe = Recipe.model_validate(tomllib.loads(RECIPE.format(split=three)))
        recipe.data.lie_in(place)
        return recipe.lessons(recipe.data.training, recipe.preparation, cache, 1)

    assert {lesson.patient for lesson in read(folder)} == set(names[:4])
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 patients of CBIS-DDSM, part test of split" in said
    assert "are compared with nobody" in said
    # The film of a woman who teaches, scanned again under the name of one who is measured.
    other = shutil.copytree(folder, tmp_path / "other")
    image = Image.open(other / "train" / f"{NAMES[1]}_LEFT_CC.jpg")
    image.point(lambda grey: min(255, grey * 1.05)).save(
        other / "train" / f"{NAMES[9]}_LEFT_CC.jpg", quality=90
    )
    with pytest.raises(Refused, match="1 pictures of training are in test too") as refused:
        read(other)
    assert all(
        f"{name}_LEFT_CC.jpg of P_{name}" in str(refused.value) for name in (NAMES[1], NAMES[9])
    )


def test_a_part_cannot_steer_what_it_teaches(split: Path) -> None:
    text = RECIPE.format(split=split).replace("[data]", '[data]\nvalidate_on = "training"')
    with pytest.raises(ValidationError, match="'training' would steer what it teaches"):
        Recipe.model_validate(tomllib.loads(text))


def test_what_nobody_knows_teaches_nothing(folder: Path) -> None:
    (one, *_) = samples("cbis_ddsm", folder)

    def other(**changed: object) -> Sample:
        facts = {name: getattr(one, name) for name in one.__slots__}
        return Sample(**(facts | changed))

    unsure, benign = (Region(Box(1, 2, 3, 4), Kind.MASS, nature) for nature in (None, False))
    places = [
        other(cancer=None, regions=(unsure,)),
        other(cancer=None, regions=(unsure, benign)),
        other(cancer=None, regions=()),  # as of the other view of a breast with a cancer
    ]
    some = [one, other(projection=None), other(cancer=None, complete=False), *places]
    known = other(cancer=None, regions=(benign,))
    assert teachable([*some, known], judging=False)[0] == [one, *places, known]
    fit, left = teachable([*some, known], judging=True)
    assert fit == [one, known]
    assert left == {
        "neither CC nor MLO": 1,
        "nobody says what it shows": 1,
        "nobody says whether it shows a cancer": 3,
    }


def test_patients_of_one_kind_alone_are_refused_before_the_first_step(
    folder: Path, split: Path, tmp_path: Path
) -> None:
    division = read_division(split)
    everybody = samples("cbis_ddsm", folder)
    ill = {one.patient for one in everybody if one.cancer}
    parts = {
        "training": sorted({one.patient for one in everybody} - ill),
        "validation": sorted(ill),
    }
    alone = tmp_path / "alone.json"
    write_division(division.model_copy(update={"parts": parts}), alone)
    recipe = Recipe.model_validate(tomllib.loads(RECIPE.format(split=alone)))
    recipe.data.lie_in(folder)
    for part, ill in ((recipe.data.training, 0), (recipe.data.validation, 5)):
        with pytest.raises(Refused, match=f"{ill} of its 5 images show a cancer"):
            recipe.lessons(part, recipe.preparation, tmp_path, 1)
