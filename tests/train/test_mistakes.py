"""What a person in the workshop does wrong is answered with a sentence, not with a traceback."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from tiny_recipe import RECIPE
from typer.testing import CliRunner

from inference.bundle import load_card
from phantom import study
from train.cli import app, main
from train.data.splits import PITCHES_MM, Seeds, named_in
from train.errors import OtherRecipe
from train.export import seen_by
from train.recipes.recipe import Begin
from train.run_folder import Run

BUNDLE = Path("bundles/shared_trunk_phantom")
PAGE = Path("docs/training.md").read_text(encoding="utf-8")

Refusal = Callable[..., str]


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Return what a command answers that must not be carried out."""

    def answer(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["train", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 78
        return capsys.readouterr().err

    return answer


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """Return a recipe's file."""
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


def test_a_device_that_is_not_there(refusal: Refusal, recipe: Path) -> None:
    assert "--device cuda:77 cannot be used" in refusal("run", recipe, "--device", "cuda:77")


def test_a_run_folder_that_is_a_file(refusal: Refusal, recipe: Path) -> None:
    assert "is a file, and a run is a folder" in refusal("run", recipe, "--run", recipe)


def test_a_run_folder_of_another_recipe(refusal: Refusal, recipe: Path, tmp_path: Path) -> None:
    another = Run(tmp_path / "run", "another")
    another.note(step=1)
    assert "holds a run of another recipe" in refusal("run", recipe, "--run", tmp_path / "run")


def test_a_start_that_was_refused_does_not_take_the_folder(tmp_path: Path) -> None:
    refused = Run(tmp_path, "[data]\nset = 'tabel'\n")
    mended = Run(tmp_path, "[data]\nset = 'table'\n")
    assert "'table'" in (tmp_path / "recipe.toml").read_text()
    how = {"seed": 1, "steps": 1, "done": 0, "device": "cpu", "processes": 1}
    with pytest.raises(OtherRecipe, match="taken by another recipe"):
        refused.begin(**how)
    assert mended.begin(**how) == []


def test_exporting_what_is_no_run(refusal: Refusal, tmp_path: Path) -> None:
    assert "is no run folder" in refusal("export", tmp_path, tmp_path / "bundle")


def test_exporting_what_was_never_trained(refusal: Refusal, tmp_path: Path) -> None:
    Run(tmp_path, RECIPE)
    assert "no step is done" in refusal("export", tmp_path, tmp_path / "bundle")


def test_exporting_before_the_end(refusal: Refusal, tmp_path: Path) -> None:
    run = Run(tmp_path, RECIPE)
    run.begin(seed=1, steps=5, done=0, device="cpu", processes=1)
    assert "0 of 5 steps are done" in refusal("export", tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (
            'channels = ["mean", "max"]',
            'channels = ["mean"]',
            "network.in_channels is 2, but preparation.channels makes 1",
        ),
        ("[data]\npitch_mm = 0.8", "[data]\npitch_mm = 0.01", "data.pitch_mm: "),
        ("[data]\n", "data = 3\n[date]\n", "data: "),
        ("amp = false", "amp = false\nmomentum = 0.9", "momentum is a part of SGD"),
        ("amp = false", 'amp = false\nkind = "lion"', "optimizer.kind: "),
        ("amp = false", "amp = false\naccumulate = 0", "optimizer.accumulate: "),
    ],
)
def test_a_recipe_that_cannot_be(right: str, wrong: str, says: str, recipe: Path) -> None:
    assert right in RECIPE
    recipe.write_text(RECIPE.replace(right, wrong))
    result = CliRunner().invoke(app, ["run", str(recipe)])
    assert result.exit_code == 78
    assert says in result.stderr


def test_pitches_are_those_that_a_phantom_can_be_imaged_on() -> None:
    assert PITCHES_MM == study._PITCHES_MM


@pytest.mark.parametrize(("first", "whom"), [(10650, "10000 to 10699"), (19999, "20000 to 20099")])
def test_measuring_on_patients_who_taught_or_steered(
    first: int, whom: str, refusal: Refusal
) -> None:
    said = refusal("evaluate", BUNDLE, "--first-seed", first, "--studies", 100)
    assert f"was trained or steered with phantom seeds {whom}" in said
    assert "--seen" in said


def test_patients_who_taught_are_called_seen(tmp_path: Path) -> None:
    options = ["--studies", "1", "--first-seed", "10000", "--pitch-mm", "0.8", "--seen"]
    options += ["--workers", "1", "--threads", "1", "--plots", str(tmp_path)]
    result = CliRunner().invoke(app, ["evaluate", str(BUNDLE), *options], catch_exceptions=False)
    assert "on phantom seeds 10000 to 10000 at 0.8 mm, seen in" in result.output
    assert re.search("exam_auc .* none .* needs exams with", result.output)
    assert not re.search(r"\bnan\b", result.output)


def test_a_card_names_whom_a_trunk_saw_before() -> None:
    own = seen_by(load_card(BUNDLE))
    assert Seeds(first_seed=10000, studies=700) in own
    assert Seeds(first_seed=20000, studies=100) in own
    assert set(named_in(str(Begin(bundle=BUNDLE)))) == set(own)


@pytest.mark.parametrize("first", [0, 7, 900_000])
def test_a_card_names_patients_so_that_they_are_found_again(first: int) -> None:
    some = Seeds(first_seed=first, studies=12)
    assert named_in(f"measured on {some}, unseen") == [some]


def test_every_option_of_the_workshop_is_documented() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    missing = [
        f"{name} {option}"
        for name, command in commands.items()
        for option in (max(one.opts, key=len) for one in command.params)
        if option.startswith("--") and option != "--help" and f"`{option}`" not in PAGE
    ]
    assert missing == []
    assert [name for name in commands if f"train {name}" not in PAGE] == []
