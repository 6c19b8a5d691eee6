"""The breast alone, on film too, in greys that depend less on who made them."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.mammogram import GreyScale, Mammogram, Projection, Side
from inference.preparing.prepare import Preparation, prepare
from inference.preparing.tissue import breast_tissue
from inference.preparing.tones import local, ranked, stretched

GREY = GreyScale(0, np.linspace(0, 1, 256, dtype=np.float32))
SPACING_MM = (0.3, 0.2)
HOW = Preparation(
    height_px=160, width_px=96, pitch_mm=1.5, channels=("stretched", "ranked", "local")
)


def inside() -> NDArray[np.bool_]:
    """Return where the breast of `film` is."""
    rows, columns = np.mgrid[0:800, 0:800]
    here: NDArray[np.bool_] = np.hypot((rows - 420) / 300, columns / 500) < 1
    return here


def film() -> Mammogram:
    """Draw a breast on a film: margins above and at the chest wall, letters in the corner."""
    noise = np.random.default_rng(1).integers(0, 90, (800, 800))
    pixels = np.where(inside(), 90 + noise, 3).astype(np.uint8)
    pixels[:14] = 255  # 4 mm, from the chest wall to the nipple's side
    pixels[:, :8] = 250
    pixels[60:110, 640:760:40] = 255
    pixels[60:70, 640:760] = 255
    return Mammogram("1", Side.LEFT, Projection.CC, pixels, GREY, SPACING_MM)


def test_on_a_film_the_breast_is_found_without_margins_and_letters() -> None:
    found = breast_tissue(film())
    whole = found.mask.repeat(found.step, axis=0).repeat(found.step, axis=1)[:800, :800]
    wrong = whole ^ inside()
    wrong[:, :60] = False  # where the margin lies beside the breast
    assert wrong.mean() < 0.01
    assert not whole[:20, 100:].any()
    assert not whole[50:120, 640:].any()
    assert not found.area.chest_wall_right


def test_where_nothing_looks_like_a_breast_everything_is_one() -> None:
    nothing = replace(film(), pixels=np.full((800, 800), 7, np.uint8))
    assert breast_tissue(nothing).mask.all()


def test_a_toned_picture_shows_the_breast_alone_and_mirrored_the_same() -> None:
    one = prepare(film(), HOW)
    assert one.picture.min() >= 0
    assert one.picture.max() <= 1
    rows, columns = one.placement.rows, one.placement.columns
    assert not one.picture[:, rows:].any()
    assert not one.picture[:, :, columns:].any()
    other = replace(film(), side=Side.RIGHT, pixels=np.ascontiguousarray(film().pixels[:, ::-1]))
    assert np.abs(prepare(other, HOW).picture - one.picture).mean() < 0.02


@pytest.mark.parametrize("exponent", [0.5, 2.0])
def test_ranks_are_the_same_whatever_a_maker_does_to_grey(exponent: float) -> None:
    grey = np.random.default_rng(2).uniform(0.1, 0.9, (60, 40)).astype(np.float32)
    breast = np.ones(grey.shape, np.bool_)
    breast[:, 30:] = False
    plain = ranked(grey, breast)
    assert not plain[:, 30:].any()
    assert np.abs(ranked(grey**exponent, breast) - plain).max() < 0.02
    assert plain[breast].mean() == pytest.approx(0.5, abs=0.01)


def test_a_breast_that_is_exposed_otherwise_is_stretched_to_the_same() -> None:
    grey = np.random.default_rng(3).uniform(0.2, 0.6, (60, 40)).astype(np.float32)
    breast = np.ones(grey.shape, np.bool_)
    assert np.allclose(stretched(0.5 * grey + 0.3, breast), stretched(grey, breast), atol=1e-5)
    assert stretched(grey, breast).max() == 1


def test_a_bright_spot_stands_out_of_its_surroundings_and_flat_grey_is_the_middle() -> None:
    grey = np.full((80, 60), 0.4, np.float32)
    breast = np.ones(grey.shape, np.bool_)
    assert np.allclose(local(grey, breast, 1.0), 0.5)
    grey[40, 30] = 0.9
    spot = local(grey, breast, 1.0)
    assert spot[40, 30] == 1
    assert spot[10, 10] == pytest.approx(0.5)
