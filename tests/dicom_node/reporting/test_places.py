"""Where in the breast a lesion is said to lie, and what is said to be one in two views."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.places import APART_MM, pairs, place
from dicom_node.reporting.report import report
from dicom_node.reporting.sources import Source, sources
from dicom_node.reporting.tidy import tidy
from inference.findings import Box, ExamFindings, Finding, Kind, ViewFindings
from inference.mammogram import Projection, Side
from inference.preparing.nipple import nipple
from inference.reading import read
from phantom.dicom import datasets
from phantom.patient import PROJECTIONS, Wanted, patient
from phantom.study import Study, study

NIPPLE = (250.0, 200.0)  # in the left views, 400 x 300 pixels
SPACING_MM = 0.5


@pytest.fixture
def headers(headers: list[Dataset]) -> list[Dataset]:
    for header in headers:
        header.ImagerPixelSpacing = [SPACING_MM, SPACING_MM]
    return headers


def mass(column: float, row: float, kind: Kind = Kind.MASS) -> Finding:
    return Finding(kind, Box(column - 5, row - 5, column + 5, row + 5), 0.5, None, None, ("a",))


def seen(
    exam: ExamFindings,
    headers: Sequence[Dataset],
    in_cc: Sequence[Finding],
    in_mlo: Sequence[Finding] = (),
    tip: tuple[float, float] | None = NIPPLE,
) -> tuple[Source, ...]:
    """Lay findings on the left breast's views."""
    found = {Projection.CC: tuple(in_cc), Projection.MLO: tuple(in_mlo)}
    views = tuple(
        replace(view, findings=found[view.projection], nipple=tip)
        if view.side is Side.LEFT
        else view
        for view in exam.views
    )
    return sources([tidy(header) for header in headers], replace(exam, views=views))


def left(found: Sequence[Source], projection: Projection) -> Source:
    return next(
        one for one in found if (one.view.side, one.view.projection) == (Side.LEFT, projection)
    )


@pytest.mark.parametrize(
    ("row", "half", "half_in_mlo"),
    [(100, "outer half", "upper half"), (300, "inner half", "lower half"), (210, *["central"] * 2)],
)
def test_a_lesion_lies_in_a_half_and_a_third_of_its_view(
    clear_exam: ExamFindings, headers: list[Dataset], row: float, half: str, half_in_mlo: str
) -> None:
    found = seen(clear_exam, headers, [mass(240, row), mass(120, row), mass(20, row)], [])
    source = left(found, Projection.CC)
    told = [place(lesion, source) for lesion in source.lesions]
    assert [one.half for one in told] == [half] * 3
    assert [one.depth for one in told] == ["anterior third", "middle third", "posterior third"]
    assert told[1].from_nipple_mm == pytest.approx(np.hypot(130, row - 200) * SPACING_MM)
    oblique = left(seen(clear_exam, headers, [], [mass(120, row)]), Projection.MLO)
    assert place(oblique.lesions[0], oblique).half == half_in_mlo


@pytest.mark.parametrize(
    ("turned", "half"), [(["A", "L"], "inner half"), (["P", "R"], "outer half"), (["R", "A"], "")]
)
def test_the_header_says_which_way_up_the_image_lies(
    clear_exam: ExamFindings, headers: list[Dataset], turned: list[str], half: str
) -> None:
    for header in headers:
        header.PatientOrientation = turned
    source = left(seen(clear_exam, headers, [mass(120, 100)]), Projection.CC)
    assert place(source.lesions[0], source).half == half


@pytest.mark.parametrize("missing", ["", "ImagerPixelSpacing", "PatientOrientation"])
def test_what_cannot_be_told_is_left_out(
    clear_exam: ExamFindings, headers: list[Dataset], missing: str
) -> None:
    for header in headers:
        if missing:
            delattr(header, missing)
    tip = NIPPLE if missing else None
    found = seen(clear_exam, headers, [mass(120, 100)], [mass(120, 100)], tip)
    source = left(found, Projection.CC)
    told = place(source.lesions[0], source)
    if missing == "PatientOrientation":
        assert told.words.endswith("from the nipple")
        assert (told.half, told.depth) == ("", "")
        assert [pair.place for pair in pairs(found)] == [""]
    else:
        assert told.words == ""
        assert pairs(found) == ()


def test_lesions_at_one_distance_from_the_nipple_are_paired(
    clear_exam: ExamFindings, headers: list[Dataset]
) -> None:
    near, far = mass(220, 150), mass(60, 80)
    found = seen(
        clear_exam,
        headers,
        [far, near, mass(215, 150, Kind.CALCIFICATION)],
        [mass(230, 140), mass(50, 100)],
    )
    paired = pairs(found)
    assert [(pair.across.name, pair.oblique.name) for pair in paired] == [
        ("LCC mass 1", "LMLO mass 2"),
        ("LCC mass 2", "LMLO mass 1"),
    ]
    assert {pair.place for pair in paired} == {"upper outer quadrant"}
    assert all(pair.apart_mm < 5 for pair in paired)


def test_lesions_too_far_apart_are_no_pair_and_push_no_pair_apart(
    clear_exam: ExamFindings, headers: list[Dataset]
) -> None:
    found = seen(clear_exam, headers, [mass(20, 200), mass(150, 200)], [mass(140, 200)])
    assert [(pair.across.name, pair.oblique.name) for pair in pairs(found)] == [
        ("LCC mass 2", "LMLO mass 1")
    ]
    assert pairs(seen(clear_exam, headers, [mass(10, 20)], [mass(240, 190)])) == ()


def test_the_report_says_places_and_pairs(
    clear_exam: ExamFindings,
    headers: list[Dataset],
    maker: Maker,
    first_round: Circumstances,
) -> None:
    found = seen(clear_exam, headers, [mass(120, 100)], [mass(120, 110)])
    views = tuple(source.view for source in found)
    (made,) = report(
        headers, replace(clear_exam, views=views), maker, first_round, frozenset({"cad_sr"})
    )
    words = " ".join(
        str(element.value) for element in made.dataset.iterall() if element.keyword == "TextValue"
    )
    assert "LCC mass 1: outer half, middle third, " in words
    assert "LCC mass 1 and LMLO mass 1 may be one lesion in the upper outer quadrant" in words


@pytest.mark.parametrize("side", ["L", "R"])
def test_in_phantoms_the_words_agree_with_the_truth(side: Literal["L", "R"]) -> None:
    """A lesion's true position says its quadrant; the places are told from the pictures alone."""
    made = study(11, pitch_mm=0.3, lesions=[Wanted("mass", malignant=True, side=side)])
    images = datasets(made, preset="hologic")
    found = sources([tidy(image) for image in images], _as_seen(made, images))
    (lesion,), with_lesions = made.patient.lesions, [one for one in found if one.lesions]
    depth = made.patient.breasts[made.patient.lesions[0].side].depth_mm
    third = ("posterior", "middle", "anterior")[int(3 * lesion.position_mm[0] / depth)]
    halves = {
        Projection.CC: ("outer half", "inner half"),
        Projection.MLO: ("upper half", "lower half"),
    }
    for source in with_lesions:
        told = place(source.lesions[0], source)
        x, y = made.patient.seen_at_mm(lesion, source.view.projection.value)
        assert told.depth == f"{third} third"
        assert told.half == ("central" if abs(y) < 10 else halves[source.view.projection][y < 0])
        assert told.from_nipple_mm == pytest.approx(np.hypot(depth - x, y), abs=4)
    assert len(with_lesions) == 2
    assert [pair.apart_mm < 15 for pair in pairs(found)] == [True]


def _as_seen(made: Study, images: Sequence[Dataset]) -> ExamFindings:
    """Hold the truth as if it had been read, and the nipples as they are found."""
    views = tuple(
        ViewFindings(
            str(image.SOPInstanceUID),
            Side(view.side),
            Projection(view.projection),
            0.5,
            tuple(
                Finding(
                    Kind.MASS,
                    Box(one.left, one.top, one.right, one.bottom),
                    0.5,
                    None,
                    None,
                    ("a",),
                )
                for one in view.lesions
            ),
            nipple=nipple(read(image)),
        )
        for image, view in zip(images, made.views, strict=True)
    )
    return ExamFindings("a", "1", "ab" * 32, "quiet", tuple(Kind), 0.5, views)


def test_the_distances_of_one_lesion_differ_as_little_as_is_said() -> None:
    apart = []
    for seed in range(300):
        woman = patient(seed)
        for lesion in woman.lesions:
            depth = woman.breasts[lesion.side].depth_mm
            distances = []
            for projection in PROJECTIONS:
                across, above = woman.seen_at_mm(lesion, projection)
                distances.append(np.hypot(depth - across, above))
            apart.append(abs(distances[0] - distances[1]))
    assert len(apart) > 200
    assert np.mean(np.array(apart) <= APART_MM) == pytest.approx(0.97, abs=0.01)
