"""Figures are told of each group apart: where a model is weak should be seen."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_breasts import mass, write_png

from inference.findings import Kind
from inference.mammogram import Projection, Side
from inference.systems.views import BOTH, Scope
from phantom.study import study
from train.data.phantom import case
from train.data.real import opened
from train.data.sample import Region, Sample
from train.evaluation import SeenPatient, SeenView, compared, groups_of, lesion_of
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


def test_sorts_of_lesions_are_told_apart_against_all_false_marks() -> None:
    def showing(sort: str, score: float) -> SeenView:
        return replace(view(score, cancer=True), sorts=(sort,))

    vascular = [showing("vascular calcification", 0.9) for _ in range(10)]
    round_ = [showing("round calcification", 0.2) for _ in range(10)]
    few = [showing("coarse calcification", 0.9), showing("", 0.9)]
    noisy = SeenView(0.5, Marked((), (0.5,) * 25), (), (), (), 0)
    seen = [
        SeenPatient(str(number), 0.5, (one,))
        for number, one in enumerate([*vascular, *round_, *few, noisy])
    ]
    found = {one.subgroup: one for one in measured(seen, {}, "tests", SCOPE) if one.subgroup}
    assert set(found) == {"round calcification", "vascular calcification"}
    assert found["vascular calcification"].value == 1  # before a false mark
    assert found["round calcification"].value == 0  # behind 25 in 23 images
    assert "each round calcification, all false marks" in found["round calcification"].rule


def test_a_lesion_is_known_by_its_sort_in_phantoms_and_in_data_sets(tmp_path: Path) -> None:
    shown, (truths, *_) = study(6, pitch_mm=1.0), case(6, 1.0).truths
    assert [one.sort for one in truths] == [one.lesion.shape for one in shown.views[0].lesions]
    assert truths
    write_png(tmp_path / "a.png", "L")
    said = ({"shape": "OVAL"}, {"type": "VASCULAR"}, {})
    known = opened(
        Sample(
            *("own", "p", tmp_path / "a.png", Side.LEFT, Projection.CC, None),
            tuple(Region(mass(), Kind.CALCIFICATION, False, facts) for facts in said),
            spacing_mm=(1.0, 1.0),
        )
    )
    assert [one.sort for one in known.truths] == ["oval", "vascular", ""]
    seen = compared(0.5, (), [lesion_of(one) for one in known.truths], SCOPE)
    assert seen.sorts == ("oval calcification", "vascular calcification", "")


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
