from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.findings import Kind
from inference.mammogram import Projection, Side
from train.data.pixels import mammogram
from train.data.readers.bcdr import samples
from train.data.sample import Polygon, Sample, Samples
from train.data.truths import marked
from train.errors import Refused

IMAGES = "patient_id,study_id,series,image_filename,image_type_name,image_type_id,age,density\n"
OUTLINES = (
    "patient_id,study_id,series,lesion_id,segmentation_id,image_view,image_filename,lw_x_points,"
    "lw_y_points,mammography_type,mammography_nodule,mammography_calcification,"
    "mammography_microcalcification,mammography_axillary_adenopathy,"
    "mammography_architectural_distortion,mammography_stroma_distortion,age,density,classification\n"
)
VIEWS = {"RCC": 0, "LCC": 1, "RO": 2, "LO": 3, "PR": 4}


class Part:
    """One part of the data set, as it is unpacked."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / f"BCDR-{name}_dataset", f"bcdr_{name.lower()}"
        self.folder.mkdir(parents=True)
        self.images, self.outlines = list[str](), list[str]()

    def image(self, patient: int, view: str) -> str:
        name = f"patient_{patient}/study_{patient}/img_{patient}_{patient}_1_{view}.tif"
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((80, 60), np.uint8)
        pixels[20:40, 30:50] = 200
        Image.fromarray(pixels).save(path)
        self.images.append(f"{patient}, {patient}, 1, {name}, {view}, {VIEWS[view]}, 60,  NA \n")
        return name

    def outline(self, patient: int, view: str, found: str, said: str) -> None:
        """Outline the bright square; `found` is the six columns of what it shows."""
        name = f"patient_{patient}/study_{patient}/img_{patient}_{patient}_1_{view}.tif"
        self.outlines.append(
            f"{patient}, {patient}, 1, 1, 1, {VIEWS[view] + 1}, {name},"
            " 30 49 49 30, 20 20 39 39, 1,"
            f"{','.join(f' {each}' for each in found)}, 60, 2, {said}\n"
        )

    def write(self) -> None:
        if self.images:
            (self.folder / f"{self.name}_img.csv").write_text(IMAGES + "".join(self.images))
        if self.outlines:
            (self.folder / f"{self.name}_outlines.csv").write_text(
                OUTLINES + "".join(self.outlines)
            )


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return Part(tmp_path, "D01")


def read(part: Part) -> Samples:
    part.write()
    return samples(part.folder.parent)


def of_view(found: Samples, side: Side, projection: Projection) -> Sample:
    (one,) = [one for one in found if (one.side, one.projection) == (side, projection)]
    return one


def test_views_are_counted_from_one_in_outlines_and_from_zero_in_images(part: Part) -> None:
    for view in ("RCC", "LCC", "RO", "LO"):
        part.image(3, view)
    part.outline(3, "LO", "100000", "Malign")
    found = read(part)
    one = of_view(found, Side.LEFT, Projection.MLO)
    assert one.image.name.endswith("_LO.tif")
    assert len(one.regions) == 1
    assert sum(len(each.regions) for each in found) == 1


def test_values_that_begin_with_a_blank_are_read_without_it(part: Part) -> None:
    part.image(3, "RCC")
    part.outline(3, "RCC", "100000", "Malign")
    (one,) = read(part)
    (region,) = one.regions
    assert region.outline == Polygon(((30, 20), (49, 20), (49, 39), (30, 39)))
    assert (region.kind, region.malignant, one.cancer) == (Kind.MASS, True, True)
    assert one.patient == "3"
    assert one.facts == {"age": "60"}  # density is NA
    seen = mammogram(one)
    found = marked(region.outline, *seen.pixels.shape)
    assert found is not None
    assert (seen.pixels[found.mask.on(80, 60)] == 200).all()
    assert found.mask.pixels.sum() == 400


def test_cancer_in_one_view_leaves_the_other_view_open_and_the_other_breast_healthy(
    part: Part,
) -> None:
    for view in ("RCC", "RO", "LCC"):
        part.image(3, view)
    part.outline(3, "RCC", "100000", "Malign")
    found = read(part)
    assert of_view(found, Side.RIGHT, Projection.CC).cancer is True
    assert of_view(found, Side.RIGHT, Projection.MLO).cancer is None
    assert of_view(found, Side.LEFT, Projection.CC).cancer is False


@pytest.mark.parametrize(
    ("shown", "kinds"),
    [
        ("100000", [Kind.MASS]),
        ("010000", [Kind.CALCIFICATION]),
        ("001000", [Kind.CALCIFICATION]),
        ("101000", [Kind.MASS, Kind.CALCIFICATION]),
        ("000010", [None]),
    ],
)
def test_a_mass_with_calcifications_is_both(
    part: Part, shown: str, kinds: list[Kind | None]
) -> None:
    part.image(3, "RCC")
    part.outline(3, "RCC", shown, "Benign")
    (one,) = read(part)
    assert [region.kind for region in one.regions] == kinds
    assert [region.malignant for region in one.regions] == [False for _ in kinds]
    if kinds == [None]:
        assert one.regions[0].facts["finding"] == "architectural distortion"


def test_what_nobody_classified_is_unknown(part: Part) -> None:
    part.image(3, "RCC")
    part.outline(3, "RCC", "100000", "Suspect")
    (one,) = read(part)
    assert (one.regions[0].malignant, one.cancer) == (None, None)


def test_a_part_without_a_table_of_images_is_read_from_its_outlines(part: Part) -> None:
    part.image(3, "RCC")
    part.images.clear()
    part.outline(3, "RCC", "100000", "Benign")
    assert len(read(part)) == 1


def test_pixels_of_films_have_no_size_that_anybody_told(tmp_path: Path, part: Part) -> None:
    film = Part(tmp_path, "F01")
    film.image(4, "RCC")
    film.write()
    part.image(3, "RCC")
    assert [one.spacing_mm for one in read(part)] == [(0.07, 0.07), None]


def test_an_image_in_two_parts_counts_once_with_the_outlines_of_one(
    tmp_path: Path, part: Part
) -> None:
    other = Part(tmp_path, "F03")
    for each in (part, other):
        each.image(3, "RCC")
        each.outline(3, "RCC", "100000", "Malign")
    other.write()
    found = read(part)
    assert [len(one.regions) for one in found] == [1]
    assert sum(found.dropped.values()) == 2
    part.outlines.clear()
    (part.folder / f"{part.name}_outlines.csv").unlink()
    assert [len(one.regions) for one in read(part)] == [1]


def test_other_views_are_counted(part: Part) -> None:
    part.image(3, "RCC")
    part.image(3, "PR")
    found = read(part)
    assert len(found) == 1
    assert sum(found.dropped.values()) == 1


def test_what_is_broken_is_refused_with_its_line(part: Part) -> None:
    part.image(3, "RCC")
    part.outline(3, "RCC", "100000", "Malign")
    part.write()
    outlines = part.folder / f"{part.name}_outlines.csv"
    text = outlines.read_text()
    for old, new, words in (
        ("30 49 49 30", "30 49 49", "line 2: an outline has 3 lw_x_points, and 4"),
        ("30 49 49 30", "30 49 49 x", "line 2: lw_x_points"),
        ("_RCC.tif", "_LCC.tif", "line 2: .* is missing"),
        ("mammography_nodule", "nodule", "no column mammography_nodule"),
    ):
        outlines.write_text(text.replace(old, new))
        with pytest.raises(Refused, match=words):
            samples(part.folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="BCDR"):
        samples(tmp_path)
