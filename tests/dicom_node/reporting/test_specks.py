"""Calcifications are counted where a mask tells them apart, and called a group with care."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import code_value, is_named, named, walk
from dicom_node.reporting.report import report
from dicom_node.reporting.specks import counted, in_a_group
from inference.findings import Box, ExamFindings, Finding, Kind, Mask


def specks(*places: tuple[int, int], kind: Kind = Kind.CALCIFICATION) -> Finding:
    """Lay specks of four pixels at these rows and columns."""
    pixels = np.zeros((400, 300), dtype=np.bool_)
    for row, column in places:
        pixels[row : row + 2, column : column + 2] = True
    return Finding(kind, Box(0, 0, 300, 400), 0.5, None, Mask(0, 0, pixels), ("a",))


def spaced(spacing: list[float] | None) -> Dataset:
    header = Dataset()
    if spacing is not None:
        header.ImagerPixelSpacing = spacing
    return header


FIVE = ((0, 0), (0, 90), (50, 40), (90, 0), (90, 90))


def test_separate_specks_are_counted_and_those_that_touch_at_a_corner_are_one() -> None:
    assert counted(specks(*FIVE)) == 5
    assert counted(specks(*FIVE, (2, 2))) == 5


@pytest.mark.parametrize(
    "finding",
    [
        specks((10, 10)),  # one patch may be a whole cluster
        specks(),
        specks(*FIVE, kind=Kind.MASS),
        Finding(Kind.CALCIFICATION, Box(0, 0, 9, 9), 0.5, None, None, ("a",)),
    ],
)
def test_what_a_mask_does_not_tell_apart_is_not_counted(finding: Finding) -> None:
    assert counted(finding) is None
    assert not in_a_group(finding, spaced([0.1, 0.1]))


@pytest.mark.parametrize(
    ("places", "spacing", "grouped"),
    [
        (FIVE, [0.1, 0.1], True),  # 92 pixels are 9.2 mm
        (FIVE, [0.217, 0.1], True),
        (FIVE, [0.218, 0.1], False),  # 20.06 mm from top to bottom
        (FIVE, [0.1, 0.218], False),
        (FIVE[:4], [0.1, 0.1], False),
        (FIVE, None, False),
    ],
)
def test_five_within_two_centimeters_are_a_group(
    places: tuple[tuple[int, int], ...], spacing: list[float] | None, *, grouped: bool
) -> None:
    assert in_a_group(specks(*places), spaced(spacing)) is grouped


def test_the_cad_report_says_number_and_distribution(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    (built,) = report(headers, exam, maker, first_round, frozenset({"cad_sr"}))
    items = [item for _, item in walk(built.dataset)]
    numbers = [item for item in items if is_named(item, codes.NUMBER_OF_CALCIFICATIONS)]
    assert [item.MeasuredValueSequence[0].NumericValue for item in numbers] == [6]
    told = [named(item, codes.CALCIFICATION_DISTRIBUTION) for item in items]
    assert [code_value(one) for one in told if one is not None] == [codes.GROUPED.value]
    impression = next(item for item in items if is_named(item, codes.IMPRESSION_DESCRIPTION))
    assert "LCC calcification 1: 6 calcifications in a group" in impression.TextValue
