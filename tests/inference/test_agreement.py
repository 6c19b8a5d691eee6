"""Several bundles agree on an exam, and what they do not agree on stays visible."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.findings import Box, ExamFindings, Finding, Kind, Mask, Member, ViewFindings
from inference.mammogram import Projection, Side
from inference.systems.agreement import (
    agreed,
    apart,
    joined,
    same_place,
    together,
    voted,
)

MASS, CALCIFICATION = Kind.MASS, Kind.CALCIFICATION
NAMES = ("shared_trunk", "recall_retina", "ft_mtl")


def found(
    box: tuple[float, float, float, float],
    score: float,
    kind: Kind = MASS,
    cancer_score: float | None = None,
    mask: Mask | None = None,
) -> Finding:
    return Finding(kind, Box(*box), score, cancer_score, mask, ("whoever",))


def square(left: int, top: int, side: int = 10) -> Mask:
    return Mask(left, top, np.ones((side, side), dtype=np.bool_))


def edges(box: Box) -> tuple[float, float, float, float]:
    return box.left, box.top, box.right, box.bottom


def reading(
    system: str,
    *scores: float | None,
    exam: float | None = None,
    marks: tuple[Kind, ...] = (MASS, CALCIFICATION),
    findings: Sequence[Sequence[Finding]] = ((), ()),
    point: str = "balanced",
) -> ExamFindings:
    """Make what one bundle says of a left breast in two views."""
    digest = hashlib.sha256(system.encode()).hexdigest()
    return ExamFindings(
        system=system,
        version="1.0.0",
        digest=digest,
        operating_point=point,
        marks=marks,
        cancer_score=exam,
        views=tuple(
            ViewFindings(f"2.25.{number}", Side.LEFT, projection, score, tuple(seen))
            for number, (projection, score, seen) in enumerate(
                zip(Projection, scores, findings, strict=True), start=1
            )
        ),
        members=(Member(system, system, f"{system}, tiny", "1.0.0", digest, point, marks, exam),),
    )


def test_two_who_see_one_mass_have_one_finding_that_names_both() -> None:
    one, other = (
        found((100, 100, 200, 200), 0.9, cancer_score=0.8),
        found((110, 120, 210, 220), 0.6, cancer_score=0.4),
    )
    (both,) = joined([[one], [other]], NAMES)
    assert both.systems == ("shared_trunk", "recall_retina")
    assert both.scores == (0.9, 0.6)
    assert both.score == 0.9
    assert both.cancer_score == pytest.approx(0.6)
    assert edges(both.box) == pytest.approx((104, 108, 204, 208))  # 0.9 and 0.6: three to two
    assert both.uncertainty == pytest.approx((math.log(9) - math.log(1.5)) / 2)


def test_the_systems_stand_in_the_order_of_the_bundles_whoever_is_surest() -> None:
    weak, strong = found((0, 0, 10, 10), 0.2), found((0, 0, 10, 10), 0.95)
    (both,) = joined([[weak], [], [strong]], NAMES)
    assert (both.systems, both.scores) == (("shared_trunk", "ft_mtl"), (0.2, 0.95))
    assert both.score == 0.95


def test_what_one_alone_saw_stays_as_it_was_and_names_it() -> None:
    alone = found((0, 0, 10, 10), 0.7, cancer_score=None, mask=square(0, 0))
    (kept,) = joined([[], [alone], []], NAMES)
    assert (kept.systems, kept.scores, kept.uncertainty) == (("recall_retina",), (0.7,), None)
    assert (kept.box, kept.score, kept.cancer_score) == (alone.box, 0.7, None)
    assert kept.mask is not None
    assert np.array_equal(kept.mask.on(20, 20), square(0, 0).on(20, 20))


def test_a_mass_and_a_calcification_in_one_place_are_two_findings() -> None:
    box = (0, 0, 10, 10)
    two = joined([[found(box, 0.9)], [found(box, 0.8, CALCIFICATION)]], NAMES)
    assert [(one.kind, one.systems) for one in two] == [
        (MASS, ("shared_trunk",)),
        (CALCIFICATION, ("recall_retina",)),
    ]


def test_what_one_member_holds_apart_is_never_joined() -> None:
    apart_by_one = [found((0, 0, 10, 10), 0.9), found((4, 0, 14, 10), 0.8)]
    by_other = [found((2, 0, 12, 10), 0.7)]
    first, second = joined([apart_by_one, by_other], NAMES)
    assert first.systems == ("shared_trunk", "recall_retina")
    assert second.systems == ("shared_trunk",)


def test_a_finding_goes_to_the_lesion_that_it_shares_most_with() -> None:
    near, far = found((4, 0, 14, 10), 0.8), found((-4, 0, 6, 10), 0.9)
    joined_to = joined([[far, near], [found((3, 0, 13, 10), 0.5)]], NAMES)
    assert [one.systems for one in joined_to] == [
        ("shared_trunk",),
        ("shared_trunk", "recall_retina"),
    ]


def test_a_tight_box_inside_a_wide_one_is_the_same_place() -> None:
    wide, tight = Box(0, 0, 100, 100), Box(40, 40, 60, 60)
    assert wide.overlap(tight) == pytest.approx(0.04)
    assert same_place(wide, tight)
    assert same_place(tight, wide)
    assert not same_place(Box(0, 0, 10, 10), Box(8, 0, 18, 10))
    assert same_place(Box(0, 0, 10, 10), Box(4, 0, 14, 10))
    assert wide.overlap(Box(100, 0, 120, 20)) == 0.0


def test_two_masks_are_their_union_and_of_three_two_must_hold_a_pixel() -> None:
    one, two, three = square(0, 0), square(5, 0), square(100, 100)
    assert voted([one, two]).on(20, 20).sum() == 150
    most = voted([one, two, three])
    assert (most.left, most.top, most.pixels.shape) == (5, 0, (10, 5))
    assert most.pixels.all()


def test_dots_that_nowhere_meet_stay_those_of_the_surest() -> None:
    dots = [square(20 * number, 0, side=2) for number in range(3)]
    kept = voted(dots)
    assert (kept.left, kept.top, kept.pixels.sum()) == (0, 0, 4)


masks = st.builds(
    lambda left, top, seed: Mask(
        left, top, np.random.default_rng(seed).random((1 + seed % 7, 1 + seed % 5)) < 0.7
    ),
    st.integers(0, 12),
    st.integers(0, 12),
    st.integers(0, 10_000),
)


@given(st.lists(masks, min_size=1, max_size=5))
def test_a_vote_is_what_counting_every_pixel_gives(members: list[Mask]) -> None:
    laid = [mask.on(20, 20) for mask in members]
    counted = np.array(
        [
            [sum(mask[row, column] for mask in laid) >= len(laid) / 2 for column in range(20)]
            for row in range(20)
        ]
    )
    said = voted(members).on(20, 20)
    assert np.array_equal(said, counted if counted.any() else laid[0])


boxes = st.tuples(
    st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40)
).map(lambda place: (place[0], place[1], place[0] + place[2], place[1] + place[3]))
seen_by_one = st.lists(st.builds(found, boxes, st.floats(0, 1), st.sampled_from(Kind)), max_size=6)


@given(st.lists(seen_by_one, min_size=2, max_size=3))
def test_every_finding_of_every_member_is_in_one_lesion_and_nothing_is_made_up(
    seen: list[list[Finding]],
) -> None:
    made = joined(seen, NAMES)
    for place, name in enumerate(NAMES[: len(seen)]):
        for kind in Kind:
            told = [
                score
                for lesion in made
                if lesion.kind is kind
                for who, score in zip(lesion.systems, lesion.scores, strict=True)
                if who == name
            ]
            given_scores = [one.score for one in seen[place] if one.kind is kind]
            assert sorted(told) == sorted(given_scores)
    for lesion in made:
        assert lesion.score == max(lesion.scores)
        assert len(set(lesion.systems)) == len(lesion.systems)
        members = [one.box for found_by in seen for one in found_by]
        assert min(box.left for box in members) <= lesion.box.left < lesion.box.right
        assert lesion.box.bottom <= max(box.bottom for box in members)
    scores = [lesion.score for lesion in made]
    assert scores == sorted(scores, reverse=True)


@given(seen_by_one, st.integers(2, 3))
def test_those_who_say_the_same_change_nothing_but_the_names(
    seen: list[Finding], count: int
) -> None:
    """Hold only what stands apart: a member's own neighbors may change partners."""
    seen = [
        one
        for place, one in enumerate(seen)
        if not any(one.kind is e.kind and same_place(one.box, e.box) for e in seen[:place])
    ]
    made = joined([seen] * count, NAMES)
    assert len(made) == len(seen)
    for lesion, one in zip(made, sorted(seen, key=lambda one: -one.score), strict=True):
        assert (edges(lesion.box), lesion.score) == (edges(one.box), one.score)
        assert lesion.systems == NAMES[:count]
        assert lesion.uncertainty == 0


def test_scores_are_the_mean_of_logits_of_those_who_judge() -> None:
    assert together([0.2, None, 0.8]) == pytest.approx(0.5)
    assert together([0.9, 0.9]) == pytest.approx(0.9)
    assert together([None, 1 / 3]) == 1 / 3
    assert together([None, None]) is None
    assert apart([0.2, None, 0.8]) == pytest.approx(math.log(4))
    assert apart([0.3, 0.3]) == 0
    assert apart([None, 0.4]) is None
    assert apart([0.0, 1.0]) == pytest.approx(math.log(1e6), rel=1e-3)


def test_an_agreement_says_who_read_and_how_far_they_lie_apart() -> None:
    one = reading("shared_trunk", 0.2, 0.5, exam=0.3)
    two = reading("all_conv", 0.8, 0.5, exam=0.6, marks=())
    three = reading(
        "deeplima", None, None, findings=([found((0, 0, 9, 9), 0.8, CALCIFICATION)], ())
    )
    said = agreed([one, two, three])
    assert (said.system, said.version, said.operating_point) == (
        "agreement",
        "1.0.0+1.0.0+1.0.0",
        "balanced",
    )
    assert [member.name for member in said.members] == ["shared_trunk", "all_conv", "deeplima"]
    assert [member.cancer_score for member in said.members] == [0.3, 0.6, None]
    assert said.cancer_score == pytest.approx(together([0.3, 0.6]))
    assert said.uncertainty == pytest.approx(apart([0.3, 0.6]))
    assert [view.cancer_score for view in said.views] == pytest.approx([0.5, 0.5])
    assert said.views[0].uncertainty == pytest.approx(math.log(4))
    assert said.views[1].uncertainty == 0
    assert [view.projection for view in said.views] == list(Projection)
    assert said.marks == (MASS, CALCIFICATION)
    assert said.findings[0].systems == ("deeplima",)


def test_an_agreement_looks_for_what_any_member_looks_for() -> None:
    masses = reading("ft_mtl", 0.2, 0.2, exam=0.2, marks=(MASS,))
    scores = reading("all_conv", 0.2, 0.2, exam=0.2, marks=())
    assert agreed([masses, scores]).marks == (MASS,)
    assert agreed([scores, replace(scores)]).marks == ()


def test_two_of_one_system_are_told_apart_by_their_places() -> None:
    one = reading("shared_trunk", 0.2, 0.2, exam=0.2, point="quiet")
    two = reading("recall_retina", 0.2, 0.2, exam=0.2)
    said = agreed([one, two, reading("shared_trunk", 0.3, 0.3, exam=0.3)])
    names = [member.name for member in said.members]
    assert names == ["shared_trunk (1)", "recall_retina", "shared_trunk (3)"]
    assert said.operating_point == "quiet+balanced+balanced"


def test_an_agreement_is_known_by_the_weights_of_its_members_in_order() -> None:
    one, two = (
        reading("shared_trunk", 0.2, 0.2, exam=0.2),
        reading("recall_retina", 0.2, 0.2, exam=0.2),
    )
    wanted = hashlib.sha256(f"{one.digest}\n{two.digest}".encode()).hexdigest()
    assert agreed([one, two]).digest == wanted != agreed([two, one]).digest


def test_one_alone_agrees_with_itself() -> None:
    one = reading("shared_trunk", 0.2, 0.2, exam=0.2)
    assert agreed([one]) is one


def test_readings_of_different_views_or_of_nobody_are_refused() -> None:
    one = reading("shared_trunk", 0.2, 0.2, exam=0.2)
    two = reading("recall_retina", 0.2, 0.2, exam=0.2)
    with pytest.raises(ValueError, match="did not read the same views"):
        agreed([one, replace(two, views=two.views[::-1])])
    with pytest.raises(ValueError, match="shorter"):
        agreed([one, replace(two, views=two.views[:1])])
    with pytest.raises(ValueError, match="2 readings of 1 bundles"):
        agreed([one, replace(two, members=())])
    with pytest.raises(ValueError, match="0 readings of 0 bundles"):
        agreed([])
