import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from inference.reading import projection_of
from phantom.dicom import datasets
from phantom.study import study
from train.data.readers.by_name import samples
from train.data.sample import Polygon, Runs
from train.errors import Refused

DESCRIPTION = """
name = "ours"
complete = true
spacing_mm = [0.07, 0.07]
file_name = '(?P<patient>p[0-9]+)_(?P<side>[LR])_(?P<view>CC|MLO|ML)'
annotations = { train = "train.json" }
images = "{split}"
facts = { density = "density" }
categories.cancer = { kinds = ["mass"], malignant = true }
categories.cyst = { kinds = ["mass"], malignant = false }
categories.both = { kinds = ["mass", "calcification"] }
categories.distortion = {}
categories.marker = { ignored = true }
"""
CATEGORIES = {"cancer": 1, "cyst": 2, "both": 3, "distortion": 4, "marker": 5}


def write(folder: Path, images: dict[str, list[tuple[str, dict[str, Any]]]], **more: str) -> None:
    """Write a data set of 10 x 8 pixels: of each image its marks, as category and outline."""
    (folder / "train").mkdir(exist_ok=True)
    for name in images:
        Image.new("L", (10, 8)).save(folder / "train" / name)
    entries = [
        {"id": number, "file_name": name, "width": 10, "height": 8, **more}
        for number, name in enumerate(images)
    ]
    annotations = [
        {"image_id": number, "category_id": CATEGORIES[category], **outline}
        for number, marks in enumerate(images.values())
        for category, outline in marks
    ]
    file = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
    }
    (folder / "train.json").write_text(json.dumps(file), encoding="utf-8")
    (folder / "dataset.toml").write_text(DESCRIPTION, encoding="utf-8")


def test_names_of_files_say_whose_they_are_and_categories_what_is_marked(tmp_path: Path) -> None:
    marks = [("cancer", {"bbox": [1, 2, 3, 4]}), ("both", {"bbox": [0, 0, 2, 2]})]
    images = {
        "p1_L_CC.png": [*marks, ("marker", {"bbox": [0, 0, 1, 1]})],
        "p1_R_ML.png": [("cyst", {"bbox": [8, 6, 9, 9]})],
        "p2_R_MLO.png": [],
        "p3_R_MLO.png": [("distortion", {"bbox": [1, 1, 1, 1]})],
    }
    write(tmp_path, images, density="C")
    found = samples("coco", tmp_path)
    first = found[0]
    assert (first.patient, first.side, first.projection) == ("p1", Side.LEFT, Projection.CC)
    assert (first.data_set, first.split, first.spacing_mm) == ("ours", "train", (0.07, 0.07))
    assert first.facts == {"density": "C"}
    assert [(region.kind, region.malignant) for region in first.regions] == [
        (Kind.MASS, True),
        (Kind.MASS, None),
        (Kind.CALCIFICATION, None),
    ]
    assert [sample.cancer for sample in found] == [True, False, False, None]
    assert found[1].projection is None
    assert found[1].regions[0].outline == Box(8, 6, 10, 8)
    assert found[3].regions[0].kind is None
    assert found.dropped == {"marks of an ignored category": 1}


def test_outlines_may_be_polygons_or_runs(tmp_path: Path) -> None:
    square = [1, 1, 4, 1, 4, 3, 1, 3]
    parts = [square, [6, 1, 9, 1, 9, 3, 6, 3]]
    runs = {"size": [8, 10], "counts": [9, 2, 69]}
    packed = {"size": [8, 10], "counts": "92U2"}
    outlines: list[Any] = [[square], parts, runs, packed]
    write(tmp_path, {"p1_L_CC.png": [("cyst", {"segmentation": one}) for one in outlines]})
    polygon, united, counted, unpacked = (
        region.outline for region in samples("coco", tmp_path)[0].regions
    )
    # Pixels 1 to 3 and 1 to 2: half a pixel around their middles.
    assert polygon == Polygon(((0.5, 0.5), (3.5, 0.5), (3.5, 2.5), (0.5, 2.5)))
    assert isinstance(united, Runs)
    whole = pixels(united)
    assert np.argwhere(whole.any(axis=0)).ravel().tolist() == [1, 2, 3, 6, 7, 8]
    assert np.argwhere(whole.any(axis=1)).ravel().tolist() == [1, 2]
    assert counted == unpacked == Runs(8, 10, (9, 2, 69))


def pixels(runs: Runs) -> np.ndarray[Any, np.dtype[np.bool_]]:
    inside = np.arange(len(runs.counts)) % 2 == 1
    return np.repeat(inside, runs.counts).reshape(runs.columns, runs.rows).T


def test_packed_counts_come_back(tmp_path: Path) -> None:
    counts = (0, 5, 700, 3, 2, 40000, 1, 1)
    runs = {"size": [1, sum(counts)], "counts": packed_as_coco_does(counts)}
    write(tmp_path, {"p1_L_CC.png": [("cyst", {"segmentation": runs})]})
    assert samples("coco", tmp_path)[0].regions[0].outline == Runs(1, sum(counts), counts)


def packed_as_coco_does(counts: tuple[int, ...]) -> str:
    letters = []
    for number, count in enumerate(counts):
        rest = count - (counts[number - 2] if number > 2 else 0)
        while True:
            bits, rest = rest & 0x1F, rest >> 5
            last = rest == (-1 if bits & 0x10 else 0)
            letters.append(chr(48 + (bits if last else bits | 0x20)))
            if last:
                break
    return "".join(letters)


def test_empty_outlines_are_counted_and_leave_their_image_incomplete(tmp_path: Path) -> None:
    empty = [{"bbox": [20, 1, 3, 3]}, {"segmentation": {"size": [8, 10], "counts": [80]}}, {}]
    write(tmp_path, {"p1_L_CC.png": [("cyst", outline) for outline in empty]})
    found = samples("coco", tmp_path)
    assert (found[0].regions, found[0].complete, found[0].cancer) == ((), False, None)
    assert found.dropped == {"marks with nothing in them": 3}


def test_dicom_images_say_themselves_whose_they_are(tmp_path: Path) -> None:
    image = next(iter(datasets(study(3, pitch_mm=1.0))))
    (tmp_path / "train").mkdir()
    write(tmp_path, {"p1_L_CC.png": []})
    image.save_as(tmp_path / "train" / "p1_L_CC.png", enforce_file_format=True)
    text = DESCRIPTION.replace("file_name =", "# file_name =")
    (tmp_path / "dataset.toml").write_text(text, encoding="utf-8")
    (found,) = samples("coco", tmp_path)
    assert found.patient == image.PatientID
    assert found.side == image.ImageLaterality
    assert found.projection == projection_of(image)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("categories.cyst", "categories.wart", r"does not say what \['cyst'\]"),
        ("(?P<patient>p[0-9]+)", "(p[0-9]+)", "nothing says the patient of"),
        ("(?P<patient>p[0-9]+)", "(?P<patient>", "file_name: Value error, it is no pattern"),
        ('kinds = ["mass"]', 'kinds = ["lump"]', r"categories\.cancer\.kinds\.0: Input should be"),
        ("complete = true", "", "complete: Field required"),
        ('"train.json"', '"../train.json"', "has to be a path below"),
        ('"train.json"', '"test.json"', r"test\.json is missing"),
        ("complete =", "complete", "is not TOML"),
    ],
)
def test_a_fault_in_the_description_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    write(tmp_path, {"p1_L_CC.png": []})
    path = tmp_path / "dataset.toml"
    assert old in DESCRIPTION
    path.write_text(DESCRIPTION.replace(old, new), encoding="utf-8")
    with pytest.raises(Refused, match=said):
        samples("coco", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"image_id": 0', '"image_id": 7', r"annotations\.0 is of image 7"),
        ('"category_id": 2', '"category_id": "two"', r"annotations\.0\.category_id: Input should"),
        ("p1_L_CC.png", "p9_L_CC.png", "image 0: .*p9_L_CC.png is missing"),
        ('"width": 10', '"width": 0', r"images\.0\.width: Input should be greater"),
    ],
)
def test_a_fault_in_the_file_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    write(tmp_path, {"p1_L_CC.png": [("cyst", {"bbox": [1, 1, 2, 2]})]})
    path = tmp_path / "train.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Refused, match=said):
        samples("coco", tmp_path)
