"""What a round says it changed is what it changed."""

from dataclasses import replace

import pytest

from dicom_node.reporting.changes import Mark, Telling, changes, percent

FIRST = Telling(
    round=1,
    reader="shared_trunk 1.0.0 at operating point balanced",
    weights="aa",
    views={"1": "LCC", "2": "RCC", "3": "LMLO"},
    marks={"m1": Mark("LCC mass 1", "91.3 %", "83.0 %"), "m2": Mark("LCC mass 2", "50.0 %", "")},
    score="82.5 %",
)
SECOND = replace(FIRST, round=2)


def test_a_late_view_with_a_finding() -> None:
    now = replace(
        SECOND,
        views={**FIRST.views, "4": "RMLO"},
        marks={**FIRST.marks, "m3": Mark("RMLO mass 1", "60.0 %", "")},
    )
    assert changes(FIRST, now) == ("Since round 1: RMLO added; 1 finding new (RMLO mass 1).")


def test_a_late_view_that_changes_nothing() -> None:
    now = replace(SECOND, views={**FIRST.views, "4": "RMLO"})
    said = "Since round 1: RMLO added; no finding changed."
    assert changes(FIRST, now) == said


def test_findings_that_are_gone_or_scored_anew() -> None:
    now = replace(SECOND, marks={"m1": Mark("LCC mass 1", "85.0 %", "83.0 %")}, score="")
    assert changes(FIRST, now) == (
        "Since round 1: 1 finding gone (LCC mass 2); "
        "1 finding with another score (LCC mass 1: certainty was 91.3 %, is 85.0 %); "
        "cancer score of the exam was 82.5 %, is not judged."
    )


def test_what_is_only_not_shown_is_neither_gone_nor_new() -> None:
    one, other = FIRST.marks.items()
    before = replace(FIRST, marks=dict([one]), unshown=frozenset({"m2"}))
    now = replace(SECOND, marks=dict([other]), unshown=frozenset({"m1"}))
    assert changes(before, now) == (
        "Since round 1: 1 finding shown that was found before, but not shown (LCC mass 2); "
        "1 finding found again, but not shown any more (LCC mass 1)."
    )


def test_several_of_a_kind_are_listed() -> None:
    now = replace(
        SECOND,
        views={**FIRST.views, "4": "RMLO", "5": "RCC"},
        marks={
            "m1": Mark("LCC mass 1", "85.0 %", "10.0 %"),
            "m2": Mark("LCC mass 2", "50.0 %", "1.0 %"),
        },
    )
    assert changes(FIRST, now) == (
        "Since round 1: RMLO and RCC added; "
        "2 findings with another score (LCC mass 1: certainty was 91.3 %, is 85.0 % and "
        "probability of cancer was 83.0 %, is 10.0 %, LCC mass 2: probability of cancer was not "
        "judged, is 1.0 %)."
    )


def test_a_repeated_view_is_read_from_the_newer_image_and_one_may_be_left_out() -> None:
    now = replace(SECOND, views={"9": "LCC", "3": "LMLO"})
    assert changes(FIRST, now) == (
        "Since round 1: LCC read from a newer image; RCC not read any more; no finding changed."
    )


def test_another_reader_is_named() -> None:
    now = replace(SECOND, reader="shared_trunk 1.1.0 at operating point balanced")
    assert changes(FIRST, now).endswith(
        "no finding changed; round 1 was read by shared_trunk 1.0.0 at operating point balanced."
    )
    assert changes(FIRST, replace(SECOND, weights="bb")).endswith(
        "; round 1 was read with other weights of the same version."
    )


def test_scores_differ_only_where_a_reader_sees_it() -> None:
    assert (percent(0.91301), percent(0.9130), percent(None)) == ("91.3 %", "91.3 %", "")


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (None, ""),
        (0.0, "0.0 %"),
        (0.00042, "0.04 %"),
        (0.0061, "0.61 %"),
        (0.0123, "1.2 %"),
        (1.0, "100.0 %"),
    ],
)
def test_small_scores_are_written_more_exactly(score: float | None, said: str) -> None:
    assert percent(score) == said
