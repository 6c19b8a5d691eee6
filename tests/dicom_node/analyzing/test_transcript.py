"""Findings come back from their transcript as they went in, to the last digit and pixel."""

import json

import numpy as np
import pytest

from inference.findings import Box, ExamFindings, Finding, Kind, Mask, Member, ViewFindings
from inference.mammogram import Projection, Side
from inference.transcript import FORMAT, pack, unpack

ODD = np.random.default_rng(7).random((13, 7)) > 0.5  # 91 pixels: no whole number of bytes


def seen(mask: Mask | None, cancer_score: float | None = 1 / 3) -> ExamFindings:
    found = Finding(
        Kind.MASS,
        Box(0.1, 1e-9, 2 / 3, 123456.789),
        0.1 + 0.2,
        cancer_score,
        mask,
        ("a", "b"),
        (0.3, 1 / 7),
        0.1 / 3,
    )
    calcification = Finding(Kind.CALCIFICATION, Box(0, 0, 1, 1), 1.0, None, None, ("a",))
    return ExamFindings(
        system="shared_trunk",
        version="1.2",
        digest="d" * 64,
        operating_point="balanced",
        marks=(Kind.CALCIFICATION, Kind.MASS),
        cancer_score=2 / 7,
        views=(
            ViewFindings(
                "2.25.1",
                Side.LEFT,
                Projection.CC,
                0.7,
                (found, calcification),
                1 / 9,
                (0.1 + 0.2, 9.0),
            ),
            ViewFindings("2.25.2", Side.RIGHT, Projection.MLO, cancer_score, ()),
        ),
        members=(
            Member("a", "a", "A, really", "1", "e" * 64, "x", tuple(Kind), 0.2),
            Member("b", "b", "B", "2", "f" * 64, "x", (Kind.MASS,), None),
        ),
        uncertainty=1 / 11,
    )


@pytest.mark.parametrize("pixels", [ODD, ~ODD, ODD[:1, :1], np.zeros((8, 8), dtype=np.bool_)])
def test_every_number_and_every_pixel_comes_back(pixels: np.ndarray) -> None:
    exam = seen(Mask(5, 9, pixels))
    again = unpack(pack(exam))
    assert (again.system, again.version, again.digest, again.operating_point) == (
        exam.system,
        exam.version,
        exam.digest,
        exam.operating_point,
    )
    assert again.cancer_score == exam.cancer_score
    assert again.uncertainty == exam.uncertainty
    assert again.marks == exam.marks
    assert again.members == exam.members
    assert all(isinstance(kind, Kind) for one in (again, *again.members) for kind in one.marks)
    for view, former in zip(again.views, exam.views, strict=True):
        assert (view.sop_instance_uid, view.side, view.projection, view.cancer_score) == (
            former.sop_instance_uid,
            former.side,
            former.projection,
            former.cancer_score,
        )
        assert (view.uncertainty, view.nipple) == (former.uncertainty, former.nipple)
        assert isinstance(view.side, Side)
        assert isinstance(view.projection, Projection)
    first, former_first = again.findings[0], exam.findings[0]
    assert isinstance(first.kind, Kind)
    assert (first.kind, first.box, first.score, first.cancer_score, first.systems) == (
        former_first.kind,
        former_first.box,
        former_first.score,
        former_first.cancer_score,
        former_first.systems,
    )
    assert (first.scores, first.uncertainty) == (former_first.scores, former_first.uncertainty)
    assert first.mask is not None
    assert (first.mask.left, first.mask.top) == (5, 9)
    assert first.mask.pixels.dtype == np.bool_
    assert np.array_equal(first.mask.pixels, pixels)
    assert pack(again) == pack(exam)


def test_what_a_system_could_not_tell_stays_untold() -> None:
    again = unpack(pack(seen(None, None)))
    assert again.views[1].cancer_score is None
    assert again.views[1].findings == ()
    assert again.findings[0].mask is None
    assert again.findings[0].cancer_score is None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_is_written_that_json_does_not_know(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        pack(seen(None, number))


def test_findings_of_format_1_looked_for_both_kinds_and_do_not_say_who_read() -> None:
    told = json.loads(pack(seen(Mask(5, 9, ODD))))
    told["format"] = 1
    for later in ("marks", "members", "uncertainty"):
        del told[later]
    for view in told["views"]:
        del view["uncertainty"], view["nipple"]
        for finding in view["findings"]:
            del finding["scores"], finding["uncertainty"]
    old = unpack(json.dumps(told).encode())
    assert old.marks == tuple(Kind)
    assert (old.members, old.uncertainty) == ((), None)
    assert [(found.scores, found.uncertainty) for found in old.findings] == [((), None)] * 2
    assert old.findings[0].systems == ("a", "b")
    assert old.cancer_score == 2 / 7


def test_findings_of_format_2_do_not_say_where_the_nipple_lies() -> None:
    told = json.loads(pack(seen(Mask(5, 9, ODD))))
    told["format"] = 2
    for view in told["views"]:
        del view["nipple"]
    old = unpack(json.dumps(told).encode())
    assert [view.nipple for view in old.views] == [None, None]
    assert (old.uncertainty, old.findings[0].scores) == (1 / 11, (0.3, 1 / 7))


def test_a_format_of_today_that_leaves_something_out_is_no_old_one() -> None:
    told = json.loads(pack(seen(None)))
    del told["marks"]
    with pytest.raises(KeyError, match="marks"):
        unpack(json.dumps(told).encode())


def test_a_later_format_is_refused() -> None:
    told = json.loads(pack(seen(None)))
    told["format"] = FORMAT + 1
    with pytest.raises(ValueError, match=f"format {FORMAT + 1} are not understood"):
        unpack(json.dumps(told).encode())


def test_masks_travel_as_bits() -> None:
    large = Mask(0, 0, np.ones((1000, 1000), dtype=np.bool_))
    assert len(pack(seen(large))) < 1000 * 1000 / 8 * 4 / 3 + 4096
