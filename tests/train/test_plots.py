"""Curves with bands, and the pictures that are made of them and of a run."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_training import options, small, stages

from inference.findings import Kind
from inference.systems.views import BOTH, Scope
from train import plots
from train.curves import froc, roc
from train.engine import Run, fit
from train.errors import Refused
from train.evaluation import SeenPatient, SeenView
from train.figures import marks
from train.metrics.froc import Marked, sensitivity_at
from train.plots import plot_curves, plot_run
from train.rankings import rankings

SCOPE = Scope(BOTH, BOTH)
(EXAMS, VIEWS) = rankings(SCOPE)


def patients(count: int, seed: int = 0) -> list[SeenPatient]:
    """Return patients of two views, every third with a cancer that both may show."""
    rng = np.random.default_rng(seed)
    return [_patient(number, rng) for number in range(count)]


def _patient(number: int, rng: np.random.Generator) -> SeenPatient:
    sick = number % 3 == 0
    views = []
    for _ in range(2):
        found = (float(rng.normal(1.0)),) if sick else ()
        false = tuple(float(score) for score in rng.normal(0.0, size=rng.poisson(1.5)))
        kinds = (Kind.MASS,) if sick else ()
        views.append(
            SeenView(
                float(rng.normal(sick)), Marked(found, false), kinds, (True,) * sick, kinds, sick
            )
        )
    return SeenPatient(str(number), max(view.score or 0.0 for view in views), tuple(views))


@pytest.mark.parametrize("drawn", [partial(roc, ranking=EXAMS), partial(roc, ranking=VIEWS), froc])
def test_the_band_holds_the_curve_and_more_patients_make_it_narrower(drawn: partial) -> None:
    few, many = (drawn(patients(count), draws=200) for count in (60, 600))
    for found in (few, many):
        assert (found.low <= found.up).all()
        assert (found.up <= found.high).all()
        assert (np.diff(found.up) >= 0).all()
    assert (many.high - many.low).mean() < 0.5 * (few.high - few.low).mean()


def test_the_curves_pass_through_what_a_card_says() -> None:
    some = patients(90)
    found = froc(some, draws=2)
    for rate in (0.25, 0.5, 1.0):
        at = int(np.abs(found.across - rate).argmin())
        assert found.up[at] == sensitivity_at(marks(some), rate)
    found = roc(some, EXAMS, draws=2)
    truth, scores, _ = (np.array(part) for part in EXAMS.cases(some))
    specific = np.sort(scores[~truth])[::-1][6]  # six of the sixty healthy exams lie above it
    assert found.up[20] == (scores[truth] > specific).mean()
    assert found.up[-1] == 1


def test_curves_become_pictures_that_say_what_they_are(tmp_path: Path) -> None:
    drawn = plot_curves(patients(30), SCOPE, "phantom seeds 1 to 30, unseen", tmp_path / "new")
    assert [path.name for path in drawn] == ["roc_exam_auc.png", "roc_image_auc.png", "froc.png"]
    for path in drawn:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.size == (840, 600)
            assert "phantom seeds 1 to 30, unseen" in picture.text["Title"]
            assert "research use only, synthetic data" in picture.text["Title"]
            assert len(set(picture.convert("L").get_flattened_data())) > 20


def test_a_curve_that_nobody_has_is_not_drawn(tmp_path: Path) -> None:
    healthy = [one for one in patients(9) if one.healthy]
    assert plot_curves(healthy, SCOPE, "tests", tmp_path) == []


def test_a_run_and_the_runs_inside_it_are_drawn(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "two"):
        fit(small(), stages(), options(), Run(folder, "recipe"), lambda _: {"score": 0.5})
    drawn = plot_run(tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in drawn] == [
        "one/losses.png",
        "one/validation.png",
        "two/losses.png",
        "two/validation.png",
    ]
    with Image.open(drawn[0]) as picture:
        assert picture.size == (840, 600)
        assert picture.text["Title"] == "Losses of one; research use only, synthetic data"


def test_nothing_measured_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no measurements"):
        plot_run(tmp_path)


def test_without_matplotlib_a_sentence_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "find_spec", lambda _: None)
    with pytest.raises(Refused, match=r"pip install 'fourviews\[workshop\]'"):
        plot_run(tmp_path)
