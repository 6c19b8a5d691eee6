"""Where the nipple is seen: against the phantom's own truth, and where nothing may be said."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.mammogram import GreyScale, Mammogram, Projection, Side
from inference.preparing.nipple import nipple
from inference.reading import read
from phantom.dicom import PRESETS, datasets
from phantom.study import study

GREY = GreyScale(0, np.linspace(0, 1, 4096, dtype=np.float32))
NEAR_MM = 3.0


def mammogram(
    tissue: NDArray[np.bool_], side: Side = Side.LEFT, spacing_mm: tuple[float, float] = (0.5, 0.5)
) -> Mammogram:
    pixels = np.where(tissue, 2000, 0).astype(np.uint16)
    return Mammogram("1", side, Projection.CC, pixels, GREY, spacing_mm)


def half_disc(**bump: Any) -> NDArray[np.bool_]:  # noqa: ANN401 - a row and a size
    """Make a breast of 60 mm depth; a bump is a nipple that stands out of it."""
    rows, columns = np.mgrid[0:400, 0:300]
    tissue = np.hypot((rows - 200) / 150, columns / 120) < 1
    if bump:
        tip = 120 * np.sqrt(1 - ((bump["row"] - 200) / 150) ** 2)
        tissue |= np.hypot(rows - bump["row"], columns - tip) < bump["px"]
    return tissue


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_nipple_of_a_phantom_is_found_within_millimeters(preset: str) -> None:
    made = study(7, pitch_mm=0.3)
    for view, dataset in zip(made.views, datasets(made, preset=preset), strict=True):
        found = nipple(read(dataset))
        assert found is not None, view.name
        off = np.hypot(found[0] - view.nipple[1], found[1] - view.nipple[0]) * 0.3
        assert off < NEAR_MM, (view.name, off)


@pytest.mark.parametrize("side", Side)
def test_a_nipple_in_profile_counts_more_than_the_farthest_skin(side: Side) -> None:
    tissue = half_disc(row=240, px=9)
    flipped = side is Side.RIGHT
    found = nipple(mammogram(tissue[:, ::-1] if flipped else tissue, side))
    assert found is not None
    assert abs(found[1] - 240) < 6
    column = 300 - found[0] if flipped else found[0]
    assert abs(column - (120 * np.sqrt(1 - (40 / 150) ** 2) + 9)) < 4


def test_without_one_in_profile_it_is_the_farthest_skin() -> None:
    found = nipple(mammogram(half_disc()))
    assert found is not None
    assert abs(found[0] - 120) < 2
    assert abs(found[1] - 200) < 6


def test_pixels_need_not_be_square() -> None:
    tissue = half_disc(row=240, px=9).repeat(2, axis=0)
    found = nipple(mammogram(tissue, spacing_mm=(0.25, 0.5)))
    assert found is not None
    assert abs(found[1] - 480) < 12


@pytest.mark.parametrize(
    "tissue",
    [
        np.zeros((400, 300), dtype=np.bool_),
        np.ones((400, 300), dtype=np.bool_),
        half_disc()[200:],  # the upper half lies outside the image
        half_disc()[:200],
        np.pad(half_disc()[120:280, 100:], ((120, 120), (0, 100))),  # little more than the nipple
        np.full((3, 2), fill_value=True),
    ],
)
def test_where_no_skin_can_be_followed_nothing_is_said(tissue: NDArray[np.bool_]) -> None:
    assert nipple(mammogram(tissue)) is None


def test_a_frame_up_to_the_edge_is_no_skin() -> None:
    tissue = half_disc()
    tissue[-6:] = True
    found = nipple(mammogram(tissue))
    assert found is not None
    assert abs(found[1] - 200) < 6
