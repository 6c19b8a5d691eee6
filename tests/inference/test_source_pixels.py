"""Through crops, mirrors, scales, padding and tiles, a finding lies in exactly its source pixels.

A reader that marks what is bright reads an image in which a rectangle is bright. Which source
pixels it must mark is counted here pixel by pixel, from the numbers of the placement and nothing of
its code: a source pixel is marked where the picture pixel that stands for it holds any bright one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from inference.findings import Box, Finding, Kind, Mask
from inference.mammogram import Exam, GreyScale, Mammogram, Projection, Side
from inference.preparing.placement import Placement
from inference.preparing.prepare import Preparation, PreparedView, prepare
from inference.preparing.tiles import Tiling, read_by_tiles
from inference.systems.views import BOTH, Scope, Seen, ViewByView

TISSUE, BRIGHT = 2000, 4095
GREY = GreyScale(0, np.linspace(0, 1, BRIGHT + 1, dtype=np.float32))

Picture = NDArray[np.float32]
Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Planted:
    """A rectangle of source pixels, half open."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def place(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True, eq=False)
class BrightReader:
    """Mark each connected area that is as bright as can be, as the systems do that segment."""

    preparation: Preparation
    tiling: Tiling | None = None

    @property
    def preparations(self) -> tuple[Preparation, ...]:
        return (self.preparation,)

    @property
    def scope(self) -> Scope:
        return Scope(marks=BOTH, judges=())

    def read(self, pictures: Sequence[PreparedView]) -> Seen:
        (prepared,) = pictures
        if self.tiling is None:
            answer = is_bright(prepared.picture[None])[0]
        else:
            answer = read_by_tiles(prepared.picture, is_bright, self.tiling, kinds=1, at_once=3)
        parts, count = ndimage.label(answer[0] > 0.5, structure=np.ones((3, 3)))
        numbers = range(1, count + 1)
        return Seen(None, tuple(_finding(parts == n, prepared.placement) for n in numbers))


def is_bright(pictures: Picture) -> Picture:
    """Answer 1 where a picture's maximum is bright; every pixel sees itself alone."""
    return (pictures[:, -1:] >= 1).astype(np.float32)


def _finding(area: Marks, placement: Placement) -> Finding:
    mask = placement.mask_to_source(area)
    height, width = mask.pixels.shape
    box = Box(mask.left, mask.top, mask.left + width, mask.top + height)
    return Finding(Kind.MASS, box, 1.0, None, mask, ("bright",))


@st.composite
def images(draw: st.DrawFn) -> tuple[Mammogram, Planted]:
    """Draw a breast with margins around it, chest wall at either side, and a rectangle in it."""
    height, width = draw(st.integers(24, 150)), draw(st.integers(16, 110))
    above, below, beside = (draw(st.integers(0, 25)) for _ in range(3))
    rows, columns = np.mgrid[:height, :width]
    # The breast bulges away from the chest wall, which is on the left as it is drawn.
    inside = columns / width + (2 * rows / height - 1) ** 2 < 1
    pixels = np.zeros((above + height + below, width + beside), dtype=np.uint16)
    pixels[above : above + height, :width][inside] = TISSUE
    top = draw(st.integers(above + height // 4, above + height // 2))
    left = draw(st.integers(0, width // 3))
    planted = Planted(
        left=left,
        top=top,
        right=left + draw(st.integers(1, width // 3)),
        bottom=top + draw(st.integers(1, height // 4)),
    )
    assume((pixels[planted.place] == TISSUE).all())
    pixels[planted.place] = BRIGHT
    side = draw(st.sampled_from(Side))
    spacing_mm = draw(st.floats(0.05, 0.2)), draw(st.floats(0.05, 0.2))
    view = Mammogram("1.2", side, Projection.CC, pixels, GREY, spacing_mm)
    # A right breast usually has its chest wall on the right; a header may say another side.
    return mirrored(view, planted) if draw(st.booleans()) else (view, planted)


preparations = st.builds(
    Preparation,
    height_px=st.integers(32, 160),
    width_px=st.integers(32, 120),
    pitch_mm=st.floats(0.02, 1.0),
    channels=st.sampled_from([("max",), ("mean", "max")]),
)
tilings = st.none() | st.builds(
    lambda step, more, weight: Tiling(size_px=step + more, step_px=step, weight=weight),
    st.integers(5, 40),
    st.integers(0, 30),
    st.sampled_from(["even", "hann"]),
)


def mirrored(view: Mammogram, planted: Planted) -> tuple[Mammogram, Planted]:
    columns = view.pixels.shape[1]
    pixels = np.ascontiguousarray(view.pixels[:, ::-1])
    left, right = columns - planted.right, columns - planted.left
    return replace(view, pixels=pixels), replace(planted, left=left, right=right)


def blocks(length: int, parts: int, *, backward: bool) -> list[set[int]]:
    """Say which pixels of a crop's side each picture pixel stands for, counted one by one."""
    found: list[set[int]] = [set() for _ in range(parts)]
    for pixel in range(length):
        place = max(part for part in range(parts) if part * length // parts <= pixel)
        found[place].add(length - 1 - pixel if backward else pixel)
    return found


def expected(view: Mammogram, planted: Planted, where: Placement) -> Marks:
    """Count which source pixels have a bright one among those that share their picture pixel."""
    down = blocks(where.bottom - where.top, where.rows, backward=False)
    across = blocks(where.right - where.left, where.columns, backward=where.flipped)
    marked = np.zeros(view.pixels.shape, dtype=np.bool_)
    lit_rows = set(range(planted.top - where.top, planted.bottom - where.top))
    lit_columns = set(range(planted.left - where.left, planted.right - where.left))
    for block in down:
        for other in across:
            if block & lit_rows and other & lit_columns:
                for row in block:
                    marked[where.top + row, [where.left + column for column in other]] = True
    return marked


def read(view: Mammogram, how: Preparation, tiling: Tiling | None = None) -> Finding:
    """Read as the node does, and return the one finding."""
    system = ViewByView(BrightReader(how, tiling), None)
    score, (seen,) = system.read_exam(Exam("1.2.3", (view,)), 0.5)
    assert score is None
    (found,) = seen.findings
    return found


def laid(found: Finding, view: Mammogram) -> Marks:
    assert found.mask is not None
    return found.mask.on(*view.pixels.shape)


@given(images(), preparations, tilings)
def test_the_source_pixels_of_a_finding_are_those_of_its_picture_pixels(
    image: tuple[Mammogram, Planted], how: Preparation, tiling: Tiling | None
) -> None:
    view, planted = image
    wanted = expected(view, planted, prepare(view, how).placement)
    found = read(view, how, tiling)
    assert np.array_equal(laid(found, view), wanted)
    rows, columns = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
    assert (found.box.left, found.box.right) == (columns[0], columns[-1] + 1)
    assert (found.box.top, found.box.bottom) == (rows[0], rows[-1] + 1)
    assert wanted[planted.place].all(), "nothing of what is bright is lost"


@given(images(), tilings)
def test_at_full_resolution_the_finding_is_the_rectangle_itself(
    image: tuple[Mammogram, Planted], tiling: Tiling | None
) -> None:
    view, planted = image
    view = replace(view, spacing_mm=(0.1, 0.1))  # else the finer side is reduced to the coarser
    fine = Preparation(height_px=220, width_px=150, pitch_mm=0.01, channels=("max",))
    found = read(view, fine, tiling)
    assert found.box == Box(planted.left, planted.top, planted.right, planted.bottom)
    assert found.mask is not None
    assert found.mask.pixels.all()
    assert laid(found, view).sum() == (view.pixels == BRIGHT).sum()


@given(images(), preparations, tilings)
def test_a_mirrored_image_has_the_mirrored_finding(
    image: tuple[Mammogram, Planted], how: Preparation, tiling: Tiling | None
) -> None:
    view, planted = image
    other, _ = mirrored(view, planted)
    here, there = prepare(view, how), prepare(other, how)
    assert here.placement.flipped != there.placement.flipped
    assert np.array_equal(here.picture, there.picture), "the chest wall is on the left in both"
    assert np.array_equal(
        laid(read(other, how, tiling), other), laid(read(view, how), view)[:, ::-1]
    )


@given(images(), preparations)
def test_a_picture_shows_the_breast_and_black_around_it(
    image: tuple[Mammogram, Planted], how: Preparation
) -> None:
    view, _ = image
    prepared = prepare(view, how)
    where = prepared.placement
    assert prepared.picture.shape == (len(how.channels), how.height_px, how.width_px)
    assert not prepared.picture[:, where.rows :].any()
    assert not prepared.picture[:, :, where.columns :].any()
    air = view.pixels.copy()
    air[where.top : where.bottom, where.left : where.right] = 0
    assert not air.any(), "the crop holds the whole breast"


@given(images(), preparations)
def test_a_box_that_a_detector_draws_lies_within_a_pixel_of_the_finding(
    image: tuple[Mammogram, Planted], how: Preparation
) -> None:
    view, planted = image
    prepared = prepare(view, how)
    rows, columns = np.nonzero(is_bright(prepared.picture[None])[0, 0])
    drawn = Box(
        float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)
    )
    box, found = prepared.placement.box_to_source(drawn), read(view, how).box
    for edge in ("left", "top", "right", "bottom"):
        assert abs(getattr(box, edge) - getattr(found, edge)) < 1
    assert box.left < planted.right
    assert planted.left < box.right
    again = prepared.placement.box_to_picture(box)
    assert (again.left, again.top, again.right, again.bottom) == pytest.approx(
        (drawn.left, drawn.top, drawn.right, drawn.bottom), abs=1e-9
    )


@given(images(), preparations)
def test_a_rectangle_goes_to_the_picture_and_comes_back(
    image: tuple[Mammogram, Planted], how: Preparation
) -> None:
    view, planted = image
    prepared = prepare(view, how)
    where = prepared.placement
    box = Box(planted.left, planted.top, planted.right, planted.bottom)
    shown = where.box_to_picture(box)
    assert 0 <= shown.left < shown.right <= where.columns
    assert 0 <= shown.top < shown.bottom <= where.rows
    back = where.box_to_source(shown)
    assert (back.left, back.top, back.right, back.bottom) == pytest.approx(
        (box.left, box.top, box.right, box.bottom), abs=1e-9
    )
    solid = np.ones((planted.bottom - planted.top, planted.right - planted.left), np.bool_)
    mask = Mask(planted.left, planted.top, solid)
    picture = where.mask_to_picture(mask, how.height_px, how.width_px)
    assert np.array_equal(picture, is_bright(prepared.picture[None])[0, 0] > 0)


def test_the_expectation_sees_a_finding_that_is_one_column_off() -> None:
    view = Mammogram("1", Side.LEFT, Projection.CC, np.zeros((40, 40), np.uint16), GREY, (1, 1))
    planted = Planted(10, 10, 20, 20)
    where = Placement(left=0, top=0, right=40, bottom=40, flipped=False, rows=40, columns=40)
    wanted = expected(view, planted, where)
    assert wanted.sum() == 100
    assert not np.array_equal(wanted, expected(view, replace(planted, left=11, right=21), where))
    flipped = expected(view, planted, replace(where, columns=13, flipped=True))
    assert not np.array_equal(flipped, expected(view, planted, replace(where, columns=13)))
