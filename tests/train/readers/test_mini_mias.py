from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.pixels import mammogram
from train.data.readers.mini_mias import samples
from train.data.sample import Circle
from train.data.truths import marked
from train.errors import Refused

TABLE = """INFORMATION:

This file lists the films in the MIAS database.

REFNUM BG CLASS SEVERITY X Y RADIUS
mdb001 G CIRC B 535 425 197
mdb002 G NORM
mdb005 F CIRC B 477 133 30
mdb005 F SPIC M 500 168 26
mdb006 D ARCH M 100 200 10
mdb059 F CIRC B
mdb216 D CALC M *NOTE 3*
"""


def write(folder: Path, table: str = TABLE, suffix: str = ".pgm") -> Path:
    """Write films as they come, and a blot where the one of the first line is said to be."""
    folder.mkdir(exist_ok=True)
    (folder / "Info.txt").write_text(table)
    for word in {line.split()[0] for line in table.splitlines() if line.startswith("mdb")}:
        pixels = np.zeros((1024, 1024), np.uint8)
        pixels[:, 300:900] = 90
        pixels[1024 - 425 - 5 : 1024 - 425 + 5, 530:540] = 250
        Image.fromarray(pixels).save(folder / f"{word}{suffix}")
    return folder


def test_circles_count_rows_from_the_bottom(tmp_path: Path) -> None:
    first = samples(write(tmp_path))[0]
    (region,) = first.regions
    assert region.outline == Circle(535, 599, 197)
    assert (region.kind, region.malignant) == (Kind.MASS, False)
    seen = mammogram(first)
    assert seen.spacing_mm == (0.2, 0.2)
    found = marked(region.outline, *seen.pixels.shape)
    assert found is not None
    column, row = found.box.center
    assert seen.pixels[int(row), int(column)] == 250


def test_two_films_that_follow_each_other_are_the_breasts_of_one_woman(tmp_path: Path) -> None:
    found = samples(write(tmp_path))
    assert [(one.patient, one.side) for one in found[:4]] == [
        ("001", Side.RIGHT),
        ("001", Side.LEFT),
        ("003", Side.RIGHT),
        ("003", Side.LEFT),
    ]
    assert {one.projection for one in found} == {Projection.MLO}


def test_the_lines_of_one_film_are_put_together(tmp_path: Path) -> None:
    found = samples(write(tmp_path))
    assert [one.cancer for one in found] == [False, False, True, True, False, True]
    assert [region.malignant for region in found[2].regions] == [False, True]
    assert found[3].regions[0].kind is None
    assert found[3].regions[0].facts["class"] == "ARCH"


def test_what_has_no_circle_is_counted_and_its_film_teaches_no_places(tmp_path: Path) -> None:
    found = samples(write(tmp_path))
    assert [one.complete for one in found] == [True, True, True, True, False, False]
    assert sum(found.dropped.values()) == 2
    assert found[5].cancer


def test_films_that_were_converted_are_found(tmp_path: Path) -> None:
    write(tmp_path, suffix=".pgm")
    write(tmp_path, suffix=".jpg")
    (tmp_path / "._mdb001.pgm").write_bytes(b"a Mac was here")
    assert samples(tmp_path)[0].image.name == "mdb001.pgm"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mdb001 G CIRC X 535 425 197", r"Info\.txt, line 1"),
        ("mdb001 G BLOB B 535 425 197", "line 1"),
        ("mdb001 G CIRC B 535 425", "line 1"),
        ("mdb999 G NORM", "line 1"),
        ("nothing", "begins with mdb"),
    ],
)
def test_an_odd_line_is_refused_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "Info.txt").write_text(line)
    with pytest.raises(Refused, match=words):
        samples(tmp_path)


def test_a_missing_film_or_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nfo"):
        samples(tmp_path)
    (tmp_path / "Info.txt").write_text("mdb001 G NORM")
    with pytest.raises(Refused, match="no image mdb001"):
        samples(tmp_path)
