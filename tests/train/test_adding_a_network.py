"""The page about adding a network, followed: what it shows is run as it stands there."""

import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from inference import bundle
from inference.analyzer import SYSTEMS, open_bundle
from inference.errors import BadBundle
from train.data.phantom import case
from train.engine import Run
from train.recipes.recipe import Common

PAGE = Path("docs/add-a-network.md").read_text(encoding="utf-8")
SHOWN = dict(
    re.findall(r"^## \d\. [^`\n]*`([^`]+)`\n.*?^```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
SMALL = {
    "pitch_mm = 0.4": "pitch_mm = 0.8",
    "studies = 12": "studies = 5",  # so few have cancers, benign lesions, and healthy breasts
    "steps = 20": "steps = 2",
}


def imported(path: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run a module of the page as if it lay where the page puts it."""
    name = path.removesuffix(".py").replace("/", ".")
    module = ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(SHOWN[path], path, "exec"), module.__dict__)  # noqa: S102 - a page of ours
    return module


def test_the_network_of_the_page_is_trained_exported_and_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported("inference/networks/tiny_scores.py", monkeypatch)
    system = imported("inference/systems/tiny_scores.py", monkeypatch)
    recipes = imported("train/recipes/tiny_scores.py", monkeypatch)
    assert "`tiny_scores.NAME: tiny_scores.TinyScores.opened,`" in PAGE
    monkeypatch.setitem(SYSTEMS, system.NAME, system.TinyScores.opened)
    text = SHOWN["config/recipes/tiny_scores_phantom.toml"]
    for shown, smaller in SMALL.items():
        assert shown in text
        text = text.replace(shown, smaller)
    recipe: Common = recipes.Recipe.model_validate(tomllib.loads(text))
    run = Run(tmp_path / "run", text)
    recipe.train(run, tmp_path / "cache", device="cpu", workers=1)
    card = recipe.export(run, tmp_path / "cache", tmp_path / "bundle", workers=1)
    assert (card.system, card.training.steps) == ("tiny_scores", 2)
    with pytest.raises(BadBundle, match=r"marks nothing, but MARKS .* says mass and calcification"):
        open_bundle(tmp_path / "bundle")
    monkeypatch.setitem(bundle.MARKS, "tiny_scores", ())
    assert '`"tiny_scores": (),`' in PAGE
    said = open_bundle(tmp_path / "bundle").analyze(case(9, 0.8).exam)
    assert said.cancer_score is not None
    assert said.findings == ()
