"""Figures are told of each group apart: where a model is weak should be seen."""

import pytest

from inference.findings import Kind
from inference.mammogram import Projection
from inference.systems.views import BOTH, Scope
from train.evaluation import SeenPatient, SeenView, groups_of
from train.figures import grouped, measured
from train.metrics.froc import Marked

SCOPE = Scope(marks=BOTH, judges=BOTH)


def view(score: float, *groups: str, cancer: bool, found: bool = True) -> SeenView:
    return SeenView(
        score=score,
        marked=Marked((score if found else float("-inf"),) if cancer else (), (), 1.0),
        kinds=(Kind.MASS,) if cancer else (),
        malignant=(True,) if cancer else (),
        cancers=(Kind.MASS,) if cancer else (),
        lesions=int(cancer),
        groups=groups,
    )


def patients() -> list[SeenPatient]:
    """Make four: the network sees everything in fatty breasts, and nothing in dense ones."""
    return [
        SeenPatient(
            str(number),
            score,
            (
                view(score, "CC", density, cancer=cancer, found=found),
                view(score, "MLO", density, cancer=cancer, found=found),
            ),
        )
        for number, (score, density, cancer, found) in enumerate(
            [
                (0.9, "density a", True, True),
                (0.1, "density a", False, True),
                (0.2, "density d", True, False),
                (0.8, "density d", False, True),
            ]
        )
    ]


def test_a_model_that_is_blind_in_dense_breasts_shows_it() -> None:
    found = {(one.name, one.subgroup): one for one in measured(patients(), {}, "four", SCOPE)}
    assert found["image_auc", "density a"].value == 1
    assert found["image_auc", "density d"].value == 0
    assert found["image_auc", None].value == pytest.approx(0.75)
    rate = "sensitivity_at_1_false_marks_per_image"
    assert found[rate, "density a"].value == 1
    assert found[rate, "density d"].value == 0
    assert (found[rate, "density a"].studies, found[rate, "density a"].images) == (2, 4)
    assert (found[rate, "CC"].studies, found[rate, "CC"].images) == (4, 4)
    assert not any(name == "exam_auc" and group for name, group in found)


def test_a_group_of_everybody_is_none() -> None:
    same = [
        SeenPatient(str(number), 0.5, (view(0.5, "CC", cancer=bool(number)),))
        for number in range(2)
    ]
    assert grouped(same) == {}
    assert set(grouped(patients())) == {"CC", "MLO", "density a", "density d"}


def test_a_view_counts_in_the_groups_that_are_known_of_it() -> None:
    facts = {"density": "D", "device": "", "age": "61"}
    assert groups_of(Projection.CC, facts) == ("CC", "density d")
    assert groups_of(None, {}) == ()


def test_figures_of_few_patients_are_never_certain() -> None:
    every = {one.name: one for one in measured(patients(), {"p": 0.5}, "tests", SCOPE)}
    for one in every.values():
        assert one.low < one.high or one.name.startswith("false_marks"), one.name
    assert every["sensitivity_p"].value == 0.5
    alone = [one for one in patients() if one.score in {0.9, 0.1}]
    (area,) = [one for one in measured(alone, {}, "tests", SCOPE) if one.name == "exam_auc"]
    assert (area.value, area.low, area.high) == (1.0, 0.025, 1.0)
