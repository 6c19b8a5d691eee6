import math

import numpy as np
import pytest

from phantom.patient import PROJECTIONS, Lesion, Patient, Wanted, patient


def outline_of(woman: Patient, lesion: Lesion, projection: str) -> tuple[np.ndarray, np.ndarray]:
    across, above = woman.seen_at_mm(lesion, projection)
    around = np.linspace(0, 2 * math.pi, 60)
    size = lesion.size_mm
    return across + size * np.cos(around), above + size * np.sin(around)


def test_the_same_seed_is_the_same_patient() -> None:
    assert patient(5) == patient(5)
    assert patient(5) != patient(6)


def test_about_a_third_of_the_patients_has_cancer() -> None:
    women = [patient(seed) for seed in range(400)]
    assert 0.28 < np.mean([woman.cancer for woman in women]) < 0.42
    assert any(woman.lesions and not woman.cancer for woman in women)
    assert any(not woman.lesions for woman in women)
    assert {woman.density for woman in women} == set("ABCD")


def test_asking_for_lesions_changes_nothing_else_of_the_patient() -> None:
    with_one, without = patient(3, lesions=[Wanted("mass", malignant=True)]), patient(3, lesions=())
    assert without.lesions == ()
    assert not without.cancer
    assert with_one.breasts == without.breasts
    assert with_one.thickness_mm == without.thickness_mm


def test_a_wanted_lesion_is_the_one_asked_for() -> None:
    wanted = [
        Wanted("mass", malignant=True, side="R", shape="irregular"),
        Wanted("calcification", malignant=False, side="L"),
    ]
    first, second = patient(8, lesions=wanted).lesions
    assert (first.kind, first.shape, first.malignant, first.side) == (
        *("mass", "irregular"),
        True,
        "R",
    )
    assert (second.kind, second.malignant, second.side) == ("calcification", False, "L")
    assert first.id != second.id


@pytest.mark.parametrize("seed", range(0, 200, 5))
def test_lesions_lie_inside_the_breast_in_both_views_and_not_behind_the_muscle(seed: int) -> None:
    wanted = [Wanted("mass", malignant=True), Wanted("calcification", malignant=False)]
    woman = patient(seed, lesions=wanted)
    for lesion in woman.lesions:
        breast = woman.breasts[lesion.side]
        for projection in PROJECTIONS:
            across, above = outline_of(woman, lesion, projection)
            assert across.min() > 0
            assert (across < breast.skin_mm(projection, above)).all()
        middle, above = woman.seen_at_mm(lesion, "MLO")
        assert middle > breast.pectoral_edge_mm(np.array([above]))[0]


def test_a_lesion_is_as_deep_in_one_view_as_in_the_other() -> None:
    woman = patient(12, lesions=[Wanted("mass", malignant=False)])
    (lesion,) = woman.lesions
    assert woman.seen_at_mm(lesion, "CC")[0] == woman.seen_at_mm(lesion, "MLO")[0]


def test_a_harder_patient_has_fainter_lesions() -> None:
    plain = patient(4, lesions=[Wanted("mass", malignant=True)]).lesions[0]
    hard = patient(4, lesions=[Wanted("mass", malignant=True)], difficulty=2.0).lesions[0]
    assert hard.contrast == pytest.approx(plain.contrast / 2)
    assert hard.position_mm == plain.position_mm


def test_a_shape_that_contradicts_its_truth_is_refused() -> None:
    with pytest.raises(ValueError, match="a malignant mass is never round: ask for irregular"):
        patient(1, lesions=[Wanted("mass", malignant=True, shape="round")])


def test_more_lesions_than_a_breast_can_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="ask for fewer lesions"):
        patient(1, lesions=[Wanted("mass", malignant=False, side="L")] * 40)


def test_a_seed_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="seed -1 must be at least 0"):
        patient(-1)
