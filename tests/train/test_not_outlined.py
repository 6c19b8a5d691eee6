"""An image in which some lesions may not be marked says nothing about places, to nobody."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from inference.findings import Box, Finding, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from inference.systems.views import BOTH, Scope
from train import losses
from train.data.lesson import Lesson
from train.data.patches import sampled
from train.deciding import ReadView, decided
from train.evaluation import Lesion, SeenPatient, SeenView
from train.figures import measured
from train.metrics.froc import Marked
from train.recipes.recipe import marked_throughout

SCOPE = Scope(BOTH, BOTH)
PLACE, ELSEWHERE = Box(10, 10, 40, 40), Box(200, 200, 230, 230)


def lesson() -> Lesson:
    labels = np.zeros((200, 160), np.uint8)
    labels[80:110, 60:90] = 2
    return Lesson(
        patient="1",
        side=Side.LEFT,
        picture=np.full((1, 200, 160), 80, np.uint8),
        labels=labels,
        placement=Placement(0, 0, 160, 200, flipped=False, rows=200, columns=160),
        boxes=(Box(60, 80, 90, 110),),
        kinds=(Kind.MASS,),
        malignant=(True,),
    )


def test_its_pixels_are_not_learned_as_healthy() -> None:
    pixels = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels, weights = torch.zeros(2, 4, 4, dtype=torch.int64), torch.ones(5)
    losses.segmentation(pixels, labels, weights, (True, False)).backward()
    assert pixels.grad is not None
    assert pixels.grad[0].any()
    assert not pixels.grad[1].any()
    assert losses.segmentation(pixels, labels, weights, (False, False)) == 0


def test_it_gives_no_patch_of_background() -> None:
    unsure = replace(lesson(), outlined=False)
    assert {patch.lesson for patch in sampled([unsure, lesson()], 32, 1, 1)} == {1}


def test_a_system_that_learns_places_alone_leaves_it_out() -> None:
    unsure = replace(lesson(), outlined=False)
    known = lesson()
    assert marked_throughout([unsure, known]) == [known]


def test_its_marks_choose_no_operating_point() -> None:
    dice = np.random.default_rng(3)

    def view(*, cancer: bool) -> ReadView:
        marks = [
            Finding(Kind.MASS, box, float(dice.uniform()), float(dice.uniform()), None, ())
            for box in (PLACE, ELSEWHERE)
        ]
        return ReadView(Side.LEFT, dice.normal(), marks, [Lesion(PLACE, Kind.MASS, cancer)], cancer)

    known = [[view(cancer=number % 2 == 0)] for number in range(40)]
    unsure = [[replace(one, lesions=(), outlined=False) for one in some] for some in known]
    alone, both = (decided(some, SCOPE, "ours").points for some in (known, [*known, *unsure]))
    for name in ("quiet", "balanced", "sensitive"):
        assert both[name].finding_score == alone[name].finding_score
    with pytest.raises(ValueError, match="no mark is known to be false"):
        decided(unsure, SCOPE, "ours")


def test_its_marks_are_neither_right_nor_wrong() -> None:
    sick = SeenView(0.8, Marked((0.9,), (0.2,)), (Kind.MASS,), (True,), (Kind.MASS,), 1)
    healthy = SeenView(0.1, Marked((), ()), (), (), (), 0)
    unsure = SeenPatient(
        "3", 0.2, (SeenView(0.2, Marked((), (0.95,)), (), (), (), 0, outlined=False),)
    )
    known = [SeenPatient("1", 0.8, (sick,)), SeenPatient("2", 0.1, (healthy,))]
    before, after = (measured(some, {"p": 0.5}, "", SCOPE) for some in (known, [*known, unsure]))
    assert {one.name: one.value for one in before} == {one.name: one.value for one in after}
    alone = measured([unsure], {"p": 0.5}, "", SCOPE)
    assert not alone, "a view of which nothing is known has no figure"
