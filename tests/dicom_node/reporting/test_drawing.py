"""Pictures for people: marks at their places, words that can be read, views as they are hung."""

import numpy as np
import pytest
from conftest import lightbox_of
from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.reporting import drawing
from dicom_node.reporting.drawing import INK, Mark
from dicom_node.reporting.lightbox import HEIGHT, Lightbox, Shown, reduced
from inference.findings import Kind
from inference.mammogram import GreyScale, Mammogram, Projection, Side

FLAT = GreyScale(0, np.linspace(0, 1, 256, dtype=np.float32))
LINES = ("LCC mass 1", "lesion 91.3 %, cancer 83.0 %", "shared_trunk 1.2.0")


def half_full(side: str) -> Shown:
    """Show tissue in the half at the chest wall."""
    picture = np.zeros((600, 500), dtype=np.uint8)
    picture[:, :250] = 150
    return Shown(picture if side == "L" else picture[:, ::-1].copy(), 0.25, FLAT)


def square(left: float, top: float, size: float) -> tuple[tuple[float, float], ...]:
    right, bottom = left + size, top + size
    return ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))


def inked(picture: Image.Image, kind: Kind) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((np.asarray(picture) == INK[kind]).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


@pytest.mark.parametrize("side", ["L", "R"])
def test_an_outline_is_drawn_where_it_lies_and_its_label_covers_no_tissue(side: str) -> None:
    left = 400.0 if side == "L" else 1200.0
    mark = Mark(square(left, 1200, 400), LINES, INK[Kind.MASS])
    shown = half_full(side)
    picture = drawing.tile(shown, [mark])
    box = np.array(inked(picture, Kind.MASS))
    assert np.abs(box - [left / 4, 300, left / 4 + 100, 400]).max() <= 1
    white = (np.asarray(picture) > 200).all(axis=2)
    assert white.sum() > 500
    assert not white[shown.picture > 0].any()


def test_labels_cover_neither_marks_nor_each_other() -> None:
    outlines = [square(100 + 300 * (n % 3), 100 + 500 * (n // 3), 200) for n in range(9)]
    marks = [Mark(outline, LINES, INK[Kind.CALCIFICATION]) for outline in outlines]
    shown = half_full("L")
    alone = [np.asarray(drawing.tile(shown, [mark])) for mark in marks]
    together = np.asarray(drawing.tile(shown, marks))
    ink = np.array(INK[Kind.CALCIFICATION])
    drawn = sum(int((picture == ink).all(axis=2).sum()) for picture in alone)
    assert int((together == ink).all(axis=2).sum()) == drawn
    black_on_tissue = (together[:, :250] == 0).all(axis=2)
    assert black_on_tissue.mean() < 0.25


def test_a_small_outline_gets_a_frame_that_is_not_in_its_ink() -> None:
    picture = drawing.tile(half_full("L"), [Mark(square(400, 1200, 16), LINES, INK[Kind.MASS])])
    left, top, right, bottom = inked(picture, Kind.MASS)
    assert right - left <= 7
    assert bottom - top <= 7
    faint = tuple(round(part * drawing.FAINT) for part in INK[Kind.MASS])
    assert picture.getpixel((100 - drawing.FRAME, 302)) == faint


def test_views_hang_with_their_chest_walls_together_and_a_missing_one_is_named() -> None:
    tiles = {
        "RCC": Image.new("RGB", (300, 400), (9, 1, 1)),
        "LCC": Image.new("RGB", (200, 350), (9, 2, 2)),
        "LMLO": Image.new("RGB", (250, 420), (9, 3, 3)),
    }
    placed, size = drawing.spots({name: tile.size for name, tile in tiles.items()})
    sheet = drawing.hang(tiles, {"LCC": "LCC", "RCC": "RCC", "LMLO": "LMLO"})
    assert sheet.size == size
    right, left = placed["RCC"], placed["LCC"]
    assert right.left + right.width + drawing.MARGIN == left.left
    assert right.top == left.top < placed["LMLO"].top
    for name, tile in tiles.items():
        spot = placed[name]
        inside = (spot.left + spot.width // 2, spot.top + spot.height // 2)
        assert sheet.getpixel(inside) == tile.getpixel((0, 0))
    missing = placed["RMLO"]
    said = np.asarray(sheet)[missing.top - 27 : missing.top, missing.left : missing.left + 200]
    assert (said > 200).any()


def test_what_has_no_place_on_a_sheet_is_not_left_out_in_silence() -> None:
    for sizes in ({}, {"LXCCL": (10, 10)}):
        with pytest.raises(ValueError, match="there is no place for"):
            drawing.spots(sizes)


def test_words_are_wrapped_and_none_is_lost() -> None:
    words = "For research use only. Not for diagnosis. " * 9
    lines = drawing.wrapped(words, 300, 20)
    assert " ".join(lines) == " ".join(words.split())
    assert max(drawing.font(20).getlength(line) for line in lines) <= 300
    assert len(drawing.wrapped("Donaudampfschifffahrtsgesellschaft", 10, 20)) == 1


def test_letters_beyond_western_europe_are_seen_to_be_missing() -> None:
    assert drawing.printable("Zoë Ĝarcía 山田, 5 €") == "Zoë ?arcía ??, 5 €"


def test_a_large_image_is_reduced_and_a_small_one_is_not() -> None:
    for rows, height, scale in ((3840, HEIGHT, 0.25), (400, 400, 1.0)):
        stored = np.zeros((rows, 800), dtype=np.int16)
        stored[: rows // 2] = 200
        shown = reduced(Mammogram("1", Side.LEFT, Projection.CC, stored, FLAT, (0.1, 0.1)))
        assert shown.picture.shape == (height, round(800 * scale))
        assert shown.scale == scale
        assert (shown.picture[0, 0], shown.picture[-1, 0]) == (200, 0)


def test_signed_pixels_keep_their_greys() -> None:
    stored = np.full((32, 32), -100, dtype=np.int16)
    grey = GreyScale(-128, FLAT.table)
    shown = reduced(Mammogram("1", Side.LEFT, Projection.CC, stored, grey, (0.1, 0.1)))
    assert set(shown.picture.ravel()) == {28}


def test_each_image_is_opened_once(headers: list[Dataset]) -> None:
    opened: list[str] = []
    whole = lightbox_of(headers)

    def open_image(sop_uid: str) -> Dataset:
        opened.append(sop_uid)
        return whole._opened(sop_uid)

    box, uid = Lightbox(open_image), str(headers[0].SOPInstanceUID)
    assert box.shown(uid) is box.shown(uid)
    assert opened == [uid]
