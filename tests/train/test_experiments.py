"""Papers' tables: rows that differ by a few keys, killed and taken up, measured and told."""

import contextlib
import io
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_recipe import RECIPE
from typer.testing import CliRunner

from inference.findings import Kind
from train.cli import app, main
from train.errors import Refused
from train.experiments.comparing import compared
from train.experiments.going import HELD_OUT, finished, places
from train.experiments.held import Held, keep, kept_in
from train.experiments.measures import measure
from train.experiments.page import way, write_page
from train.experiments.plan import MEASURES, Plan, merged, read_plan
from train.recipes.by_name import read_recipe

PLAN = """
paper = "Nobody 2000: nothing"
page = "nothing"
recipe = "{recipe}"
reference = "joint"
seeds = [1, 2]
held_out = {{ first_seed = 34, studies = 3 }}
measures = ["image_auc", "mean_dice", "mask_dice", "sensitivity_at_2", "average_precision_0.2"]

[scale]
stages.windows.steps = 1
stages.joint.steps = 1

[rows.joint]
title = "both"
paper = {{ image_auc = 0.84, mean_dice = 0.38 }}

[rows.segmentation]
title = "outlines alone"
without = ["stages.joint"]
recipe.decision.extent = 0.2
unmeasured = ["image_auc"]
paper = {{ mean_dice = 0.34 }}

[rows.again]
title = "both, read otherwise"
of = "joint"
recipe.decision.extent = 0.9
"""

# Trains what `arguments` say, and dies at the second step that it would note.
DYING = """
import os, signal, sys
from train.run_folder import Run
from train.cli import app
noted = Run.note
def note(self, **facts):
    noted(self, **facts)
    if "validation" in facts and facts["step"] == 1 and "segmentation" in str(self.folder):
        os.kill(os.getpid(), signal.SIGKILL)
Run.note = note
app(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the experiment's files, and train it in a process that is killed within."""
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "tiny.toml").write_text(RECIPE)
    (folder / "nothing.toml").write_text(PLAN.format(recipe=folder / "tiny.toml"))
    (folder / "pages").mkdir()
    (folder / "pages" / "nothing.md").write_text("# Nothing\n\nBefore.\n")
    died = subprocess.run(
        [sys.executable, "-c", DYING, *arguments(folder)], capture_output=True, check=False
    )
    assert died.returncode == -9, died.stderr
    return folder


@pytest.fixture(scope="module")
def finished_(place: Path) -> Path:
    """Go on by the same command."""
    before = {path: path.stat().st_mtime_ns for path in place.rglob(HELD_OUT)}
    assert [path.parent.parent.name for path in before] == ["joint"]
    assert run(place).endswith("nothing.md\n")
    # What was finished is not touched again.
    assert before == {path: path.stat().st_mtime_ns for path in before}
    return place


def arguments(folder: Path) -> list[str]:
    options = ["--from", folder, "--runs", folder / "runs", "--pages", folder / "pages"]
    options += ["--cache", folder / "cache", "--draws", 20, "--workers", 1, "--threads", 1]
    return ["experiments", "nothing", *map(str, options)]


def run(folder: Path, *more: str) -> str:
    result = CliRunner().invoke(app, [*arguments(folder), *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output.replace("\n", "") + "\n"


def plan(folder: Path) -> Plan:
    return read_plan(folder / "nothing.toml")


def test_a_killed_experiment_goes_on_and_each_row_is_a_run_with_its_recipe(finished_: Path) -> None:
    runs = finished_ / "runs" / "nothing"
    for row in ("joint", "segmentation"):
        for seed in (1, 2):
            folder = runs / row / f"seed_{seed}"
            facts = json.loads((folder / "run.json").read_text())
            assert facts["weights_sha256"]
            assert facts["seed"] == seed
            recipe = read_recipe((folder / "recipe.toml").read_text())
            names = [stage.name for stage in recipe.stages]  # type: ignore[attr-defined]
            assert names == (["windows", "joint"] if row == "joint" else ["windows"])
    assert not (runs / "again" / "seed_1" / "run.json").exists()
    weights = [
        json.loads((runs / row / "seed_1" / HELD_OUT).read_text())["weights_sha256"]
        for row in ("joint", "again", "segmentation")
    ]
    assert weights[0] == weights[1] != weights[2]


def test_the_page_holds_the_papers_numbers_beside_ours_and_keeps_its_text(finished_: Path) -> None:
    page = (finished_ / "pages" / "nothing.md").read_text()
    assert page.startswith("# Nothing\n\nBefore.\n")
    assert "Made by `train experiments nothing`: 6 of 6 trainings and readings, seeds 1, 2" in page
    assert "phantom seeds 34 to 36, which none of them saw" in page
    image, dice = page.split("**mean Dice")
    assert "| both | 0.840 | 0." in image
    assert "| outlines alone | - | does not learn it |" in image
    assert "| outlines alone | 0.340 | 0." in dice
    assert "| both, read otherwise | none: the weights of both | - | - |" in page
    assert run(finished_, "--kept") == f"written: {finished_}/pages/nothing.md\n"
    assert (finished_ / "pages" / "nothing.md").read_text() == page


def test_what_was_never_run_has_no_number(finished_: Path, tmp_path: Path) -> None:
    text = write_page("nothing", plan(finished_), tmp_path / "none", tmp_path).read_text()
    assert "Not run yet. `train experiments nothing` makes this table." in text
    assert "0.840" not in text


def test_a_result_of_another_recipe_or_of_other_patients_does_not_count(finished_: Path) -> None:
    there = plan(finished_)
    (first, *_) = places(there, finished_ / "runs" / "nothing")
    assert finished(there, first) is not None
    for changed in (
        {"scale": {}},
        {"held_out": there.held_out.model_copy(update={"studies": 2})},
        {"marks": (Kind.MASS,)},
        {"hit": "overlap"},
    ):
        assert finished(there.model_copy(update=changed), first) is None


def test_what_is_kept_is_read_again_as_it_was(finished_: Path, tmp_path: Path) -> None:
    (path, *_) = finished_.rglob(HELD_OUT)
    kept = kept_in(path)
    assert kept is not None
    keep(tmp_path / "again.json", kept)
    assert kept_in(tmp_path / "again.json") == kept
    assert len(kept.patients) == 3
    assert all(one.pixels is not None for one in kept.patients)
    assert kept_in(tmp_path / "none.json") is None


def test_a_measure_that_is_higher_in_every_patient_is_told_apart(finished_: Path) -> None:
    (path, *_) = finished_.rglob(HELD_OUT)
    kept = kept_in(path)
    assert kept is not None
    rows = {"low": [kept.patients] * 2, "high": [[better(one) for one in kept.patients]] * 2}
    found = compared(rows, "low", lambda some: sum(one.seen.score or 0 for one in some), draws=50)
    assert found["high"].sign == 1
    assert found["high"].more == pytest.approx(3)
    assert found["low"].sign == 0
    assert found["low"].more == found["low"].more_low == 0
    assert found["high"].seeds[0] == found["high"].seeds[1] == found["high"].value


def better(one: Held) -> Held:
    return replace(one, seen=replace(one.seen, score=(one.seen.score or 0) + 1))


def test_a_difference_is_held_against_the_papers(place: Path) -> None:
    there = plan(place)
    assert way(there, "mean_dice", "segmentation", "joint", -1) == "as in the paper"
    assert way(there, "mean_dice", "segmentation", "joint", 1) == "**not as in the paper**"
    assert way(there, "mean_dice", "segmentation", "joint", 0) == "not told apart; paper: lower"
    assert way(there, "mean_dice", "again", "joint", 1) == "higher"
    assert way(there, "mean_dice", "again", "joint", 0) == "not told apart"


def test_every_measure_is_one(finished_: Path) -> None:
    (path, *_) = finished_.rglob(HELD_OUT)
    kept = kept_in(path)
    assert kept is not None
    names = (*MEASURES, "sensitivity_at_0.5", "mass_sensitivity_at_1")
    values = [measure(name, kept.scope)(kept.patients) for name in names]
    assert all(math.isnan(value) or 0 <= value <= 1 for value in values)


def test_tables_of_a_list_are_changed_by_their_names() -> None:
    table = {"stages": [{"name": "a", "steps": 1}, {"name": "b", "steps": 2}], "x": {"y": 1}}
    changed = merged(table, {"stages": {"b": {"steps": 5}}, "x": {"z": 2}}, "scale")
    assert changed["stages"] == [{"name": "a", "steps": 1}, {"name": "b", "steps": 5}]
    assert changed["x"] == {"y": 1, "z": 2}
    assert table["stages"][1]["steps"] == 2  # type: ignore[index]
    with pytest.raises(Refused, match=r"scale.stages.c: no table of the recipe has this name"):
        merged(table, {"stages": {"c": {}}}, "scale")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('reference = "joint"', 'reference = "jont"', "there is no row 'jont'"),
        ("first_seed = 34", "first_seed = 9", "has seen phantom seeds 8 to 10"),
        ("first_seed = 34", "first_seed = 3", "has seen phantom seeds 4 to 6"),
        ("decision.extent = 0.2", "decision.extend = 0.2", "row segmentation: decision.extend"),
        ('without = ["stages.joint"]', 'without = ["stages.last"]', "no table of the recipe"),
        ('"mask_dice"', '"mask_dicee"', "measures"),
        ("paper = ", "paper == ", "is not TOML"),
    ],
)
def test_a_mistake_is_said_before_anything_is_trained(
    tmp_path: Path, old: str, new: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE)
    text = PLAN.format(recipe=tmp_path / "tiny.toml")
    assert old in text
    (tmp_path / "nothing.toml").write_text(text.replace(old, new, 1))
    monkeypatch.setattr("sys.argv", ["train", *arguments(tmp_path)])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 78
    assert sentence in said.getvalue()
    assert not (tmp_path / "runs").exists()


SHIPPED = sorted(Path("config/experiments").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_experiment_can_be_run_and_has_its_place_on_a_page(path: Path) -> None:
    there = read_plan(path)
    assert len(there.seeds) >= 3
    for row in there.rows:
        there.course(row, there.seeds[0])
    page = Path("docs/papers", f"{there.page}.md").read_text(encoding="utf-8")
    assert f"<!-- {path.stem}: begin -->" in page
    assert f"`train experiments {path.stem}`" in page
