"""The picture of an exam, which every viewer shows."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import validators
from conftest import COLUMNS, ROWS, lightbox_of
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.drawing import INK, spots
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import report
from dicom_node.reporting.secondary_capture import heading
from inference.findings import Box, ExamFindings, Finding, Kind

WANTED = frozenset({"secondary_capture"})
VIEW_SIZE = (COLUMNS, ROWS)


def built(
    headers: Sequence[Dataset], exam: ExamFindings, maker: Maker, when: Circumstances
) -> Dataset:
    (one,) = report(headers, exam, maker, when, WANTED, lightbox=lightbox_of(headers))
    return one.dataset


def pixels(of: Dataset) -> NDArray[np.uint8]:
    shape = (int(of.Rows), int(of.Columns), 3)
    return np.frombuffer(of.PixelData, np.uint8)[: np.prod(shape)].reshape(shape)


def views(of: Dataset, exam: ExamFindings) -> dict[str, NDArray[np.uint8]]:
    top = heading(int(of.Columns), exam).height
    placed, _ = spots({f"{side}{row}": VIEW_SIZE for side in "RL" for row in ("CC", "MLO")})
    return {
        name: pixels(of)[top + spot.top :, spot.left :][: spot.height, : spot.width]
        for name, spot in placed.items()
    }


def test_marks_are_drawn_in_the_views_where_they_were_found_and_in_no_other(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    made = built(headers, exam, maker, first_round)
    prove(made, headers, exam, lightbox_of(headers))
    seen = {
        name: {kind for kind in Kind if (part == INK[kind]).all(axis=2).any()}
        for name, part in views(made, exam).items()
    }
    both = {Kind.MASS, Kind.CALCIFICATION}
    assert seen == {"RCC": set(), "RMLO": set(), "LCC": both, "LMLO": {Kind.MASS}}
    mass = (views(made, exam)["LCC"] == INK[Kind.MASS]).all(axis=2)
    rows, columns = np.nonzero(mass)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    assert np.abs(box - [160, 260, 241, 341]).max() <= 1


@pytest.mark.parametrize("kind", ["secondary_capture", "summary"])
def test_a_finding_at_any_edge_of_its_image_is_drawn_whole(
    headers: list[Dataset],
    clear_exam: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
    kind: str,
) -> None:
    boxes = (
        Box(0, 100, 60, 180),
        Box(COLUMNS - 60, 300, COLUMNS + 5, 380),  # the chest wall of a right breast
        Box(200, 0, 280, 60),
        Box(200, ROWS - 60, 280, ROWS),
    )
    found = tuple(Finding(Kind.MASS, box, 0.5, None, None, ("shared_trunk",)) for box in boxes)
    views = [replace(view, findings=found) for view in clear_exam.views]
    exam = replace(clear_exam, views=tuple(views))
    box_of_pixels = lightbox_of(headers)
    wanted = frozenset({kind})
    (one,) = report(headers, exam, maker, first_round, wanted, lightbox=box_of_pixels)
    prove(one.dataset, headers, exam, box_of_pixels)


def test_a_mass_and_calcifications_may_have_one_outline(
    headers: list[Dataset], clear_exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    box = Box(100, 200, 180, 260)
    found = tuple(Finding(kind, box, 0.5, None, None, ("shared_trunk",)) for kind in Kind)
    first, *others = clear_exam.views
    exam = replace(clear_exam, views=(replace(first, findings=found), *others))
    prove(built(headers, exam, maker, first_round), headers, exam, lightbox_of(headers))


def test_no_findings_are_a_picture_too_and_say_so(
    headers: list[Dataset], clear_exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    made = built(headers, clear_exam, maker, first_round)
    prove(made, headers, clear_exam, lightbox_of(headers))
    assert "no findings in" in made.ImageComments
    for part in views(made, clear_exam).values():
        assert not any((part == INK[kind]).all(axis=2).any() for kind in Kind)


def test_it_is_a_picture_with_writing_and_no_mammogram(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    made = built(headers, exam, maker, first_round)
    assert (made.Modality, made.BurnedInAnnotation, made.SeriesNumber) == ("OT", "YES", 9300)
    assert made.SeriesDescription == "AI picture, research use only"
    assert "PresentationIntentType" not in made
    assert len(made.SourceImageSequence) == 4


def test_nothing_in_the_picture_is_of_the_patient(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    before = built(headers, exam, maker, first_round)
    for header in headers:
        header.PatientName, header.PatientID = "Another^Person", "SYN002"
        header.PatientBirthDate, header.AccessionNumber = "19770707", "ACC2"
    after = built(headers, exam, maker, first_round)
    assert after.PixelData == before.PixelData
    assert after.ImageComments == before.ImageComments


def test_a_view_that_was_not_read_is_named(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    fewer = replace(exam, views=exam.views[1:])
    made = built(headers, fewer, maker, first_round)
    prove(made, headers, fewer, lightbox_of(headers))
    assert len(made.SourceImageSequence) == 3


def test_a_second_round_says_what_it_changes(
    headers: list[Dataset], exam: ExamFindings, maker: Maker
) -> None:
    again = Circumstances(2, datetime(2025, 9, 1, 11, tzinfo=UTC), None, 1)
    made = built(headers, exam, maker, again)
    prove(made, headers, exam, lightbox_of(headers))
    assert made.SeriesDescription.endswith("(round 2)")
    assert "Round 2; 1 image added." in made.ImageComments


def test_lossy_images_make_a_picture_that_says_so(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    headers[0].LossyImageCompression = "01"
    headers[0].LossyImageCompressionRatio = "8"
    headers[0].LossyImageCompressionMethod = "ISO_15444_1"
    made = built(headers, exam, maker, first_round)
    prove(made, headers, exam, lightbox_of(headers))
    assert (made.LossyImageCompression, made.LossyImageCompressionRatio) == ("01", 8)


def test_the_same_inputs_make_the_same_bytes(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    once, again = (built(headers, exam, maker, first_round) for _ in range(2))
    assert encoded(once) == encoded(again)


def test_without_pixels_there_is_no_picture(
    headers: list[Dataset], exam: ExamFindings, maker: Maker, first_round: Circumstances
) -> None:
    with pytest.raises(ValueError, match="no pixels came with the headers"):
        report(headers, exam, maker, first_round, WANTED)


@pytest.mark.parametrize("who", ["exam", "clear_exam", "masses_only", "scored_only", "agreement"])
def test_validators_accept_it(
    who: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    headers: list[Dataset],
    maker: Maker,
    first_round: Circumstances,
) -> None:
    exam = request.getfixturevalue(who)
    made = built(headers, exam, maker, first_round)
    prove(made, headers, exam, lightbox_of(headers))
    path = tmp_path / "picture.dcm"
    path.write_bytes(encoded(made))
    assert validators.dciodvfy_errors(path) == []
