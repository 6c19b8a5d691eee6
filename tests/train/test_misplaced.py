"""Marks whose coordinates are wrong are seen before anything is learned from them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inference.findings import Box, Kind
from inference.mammogram import Side
from inference.preparing.placement import Placement
from train.cli import app
from train.data.lesson import Lesson
from train.data.misplaced import misplaced
from train.data.readers.by_name import samples
from train.data.readers.counted import counted
from train.data.real import opened
from train.errors import Refused

TABLE = """
name = "ours"
complete = true
spacing_mm = [0.07, 0.07]
table = "images.csv"
image = "{file}"
columns = { patient = "patient", side = "side", view = "view" }
cancer = { column = "cancer", yes = ["1"], no = ["0"] }
[region]
box = ["left", "top", "right", "bottom"]
kind = "kind"
kinds.mass = { kinds = ["mass"] }
kinds.carcinoma = { kinds = ["mass"], malignant = true }
"""
HEADER = "patient,file,side,view,cancer,kind,left,top,right,bottom\n"


def write(folder: Path, *lines: str, between: str = ",") -> None:
    grey = np.random.default_rng(1).integers(0, 255, (80, 60), dtype=np.uint8)
    Image.fromarray(grey).save(folder / "a.png")
    text = HEADER + "\n".join(lines)
    (folder / "images.csv").write_text(text.replace(",", between), encoding="utf-8")
    (folder / "dataset.toml").write_text(TABLE, encoding="utf-8")


def test_a_box_outside_its_image_is_counted_and_its_image_is_not_complete(tmp_path: Path) -> None:
    write(
        tmp_path,
        "p,a.png,L,CC,1,mass,10,10,20,20",
        "p,a.png,L,CC,1,mass,70,10,79,20",
        "p,a.png,L,CC,1,mass,50,60,70,75",
    )
    found = samples("table", tmp_path)
    lines = list(counted(found))
    assert ("outlines", "wholly outside their image", 1) in lines
    assert ("outlines", "partly outside their image", 1) in lines
    (one,) = found
    known = opened(one)
    assert one.complete
    assert not known.outlined
    assert len(known.truths) == 2


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (",a.png,L,CC,0,,,,,", "line 2: the patient of .* is left out"),
        ("p,a.png,L,CC,0,carcinoma,1,1,9,9", "line 2: .* shows no cancer, and a malignant lesion"),
    ],
)
def test_a_line_that_cannot_be(line: str, says: str, tmp_path: Path) -> None:
    write(tmp_path, line)
    with pytest.raises(Refused, match=says):
        samples("table", tmp_path)


def test_a_table_that_was_saved_otherwise(tmp_path: Path) -> None:
    write(tmp_path, "p,a.png,L,CC,0,,,,,", between=";")
    with pytest.raises(Refused, match='say delimiter = ";"'):
        samples("table", tmp_path)
    table = tmp_path / "images.csv"
    for text, says in (
        (b"", "it is empty"),
        (HEADER.encode() + "p\u00e4".encode("latin-1"), "is not UTF-8: save it as that"),
        (HEADER.encode(), "none is listed"),
    ):
        table.write_bytes(text)
        with pytest.raises(Refused, match=says):
            samples("table", tmp_path)


def test_marks_of_an_image_of_another_size_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    entry = {"id": 1, "file_name": "a.png", "width": 120, "height": 160}
    file = {
        "images": [{**entry, "patient": "p", "side": "L", "view": "CC"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}],
        "categories": [{"id": 1, "name": "mass"}],
    }
    (tmp_path / "all.json").write_text(json.dumps(file), encoding="utf-8")
    (tmp_path / "dataset.toml").write_text(
        'name = "ours"\ncomplete = true\nspacing_mm = [0.07, 0.07]\n'
        'annotations = { "" = "all.json" }\n'
        'keys = { patient = "patient", side = "side", view = "view" }\n'
        'categories.mass = { kinds = ["mass"], malignant = true }\n',
        encoding="utf-8",
    )
    said = CliRunner().invoke(app, ["data", "coco", str(tmp_path)])
    assert "marked on an image of another size" in said.output
    (one,) = samples("coco", tmp_path)
    with pytest.raises(Refused, match="has 80 x 60 pixels, and its lesions were marked on one of"):
        opened(one)


def test_a_lesion_beside_the_breast_is_counted() -> None:
    picture = np.zeros((1, 100, 60), np.uint8)
    picture[:, :, :30] = 90
    lesson = Lesson(
        patient="1",
        side=Side.LEFT,
        picture=picture,
        labels=np.zeros((100, 60), np.uint8),
        placement=Placement(0, 0, 60, 100, flipped=False, rows=100, columns=60),
        boxes=(Box(10, 10, 20, 20), Box(25, 10, 35, 20), Box(40, 10, 50, 20)),
        kinds=(Kind.MASS,) * 3,
        malignant=(True,) * 3,
    )
    assert misplaced([lesson]) == (1, 3)
