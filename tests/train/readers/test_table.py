from pathlib import Path

import pytest
from small_breasts import (
    COLUMNS,
    ROWS,
    mass,
    require_bright_on_dark,
    write_mask,
    write_png,
    write_screening_image,
)
from small_tables import write_table

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from phantom.dicom import datasets
from phantom.study import study
from train.data.readers.by_name import samples
from train.data.real import opened
from train.data.sample import MaskImage
from train.data.truths import marked
from train.errors import Refused

# As CSAW-CC: a line an image, the cancer's breast in a column of its own, masks beside the images.
SCREENING = """
name = "screening"
complete = false
table = "images.csv"
image = "images/{anon_filename}"
columns = { patient = "anon_patientid", side = "imagelaterality", view = "viewposition" }
cancer = { column = "x_case", yes = ["1"], no = ["0"], side = "x_cancer_laterality" }
facts = { age = "x_age" }
where = { libra = ["yes"] }
[region]
mask = "masks/{image stem}_mask.png"
"""
SCREENED = [
    *("anon_patientid", "anon_filename", "imagelaterality", "viewposition", "x_case", "x_age"),
    *("x_cancer_laterality", "libra"),
]


def screened(name: str, side: str, case: str, cancer_side: str, **more: str) -> dict[str, str]:
    return {
        "anon_patientid": "7",
        "anon_filename": name,
        "imagelaterality": side,
        "viewposition": "MLO",
        "x_case": case,
        "x_cancer_laterality": cancer_side,
        "x_age": "61",
        "libra": "yes",
        **more,
    }


def write_screening(folder: Path, lines: list[dict[str, str]], text: str = SCREENING) -> None:
    write_table(folder / "images.csv", SCREENED, lines)
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    for place in ("images", "masks"):
        (folder / place).mkdir(exist_ok=True)
    for line in lines:
        path = folder / "images" / line["anon_filename"]
        write_screening_image(path, line["imagelaterality"][0])


def test_a_cancer_is_in_the_breast_that_the_table_says(tmp_path: Path) -> None:
    lines = [
        screened("a.dcm", "Left", "1", "Left"),
        screened("b.dcm", "Right", "1", "Left"),
        screened("c.dcm", "Right", "0", ""),
        screened("d.dcm", "Right", "1", ""),
        screened("e.dcm", "Right", "0", "", libra="no"),
    ]
    write_screening(tmp_path, lines)
    write_mask(tmp_path / "masks" / "a_mask.png", "L")
    found = samples("table", tmp_path)
    assert [sample.cancer for sample in found] == [True, False, False, None]
    first = found[0]
    assert (first.patient, first.side, first.projection) == ("7", Side.LEFT, Projection.MLO)
    assert first.facts == {"age": "61"}
    assert [region.outline for region in first.regions] == [
        MaskImage(tmp_path / "masks" / "a_mask.png")
    ]
    assert found[1].regions == ()
    assert found.dropped == {"lines whose libra is not asked for": 1}
    for sample in found:
        known = opened(sample)
        assert known.view.name == f"{sample.side}MLO"
        require_bright_on_dark(known.view, str(sample.side))
        assert known.truths == ()  # nobody says whether a mask is a mass
    place = marked(first.regions[0].outline, ROWS, COLUMNS)
    assert place is not None
    assert place.box == mass("L")


# As EMBED: the lines of one image are its lesions, and a value may hold several boxes.
LESIONS = """
name = "lesions"
complete = true
table = "lesions.csv"
delimiter = ";"
image = "{path}"
columns = { patient = "who", side = "side", view = "view", split = "cohort" }
facts = { density = "density" }
[region]
boxes = "ROI_coords"
order = ["top", "left", "bottom", "right"]
kind = "sort"
kinds = { M = { kinds = ["mass"] }, C = { kinds = ["calcification"] }, N = { ignored = true } }
malignant = { column = "severity", yes = ["0", "1"], no = ["4"], unknown = ["?"] }
facts = { birads = "asses" }
"""
LESION = ["path", "who", "side", "view", "cohort", "density", "ROI_coords", "sort", "severity"]


def write_lesions(folder: Path, lines: list[dict[str, str]], text: str = LESIONS) -> None:
    told = [
        {
            "path": "a.png",
            "who": "1",
            "side": "L",
            "view": "CC",
            "cohort": "1",
            "asses": "S",
            **line,
        }
        for line in lines
    ]
    write_table(folder / "lesions.csv", [*LESION, "asses"], told)
    table = folder / "lesions.csv"
    # The boxes have commas, and no field here a semicolon.
    text_of_table = table.read_text(encoding="utf-8")
    table.write_text(with_semicolons(text_of_table), encoding="utf-8")
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    write_png(folder / "a.png", "L")


def with_semicolons(text: str) -> str:
    parts = text.split('"')
    return '"'.join(p if n % 2 else p.replace(",", ";") for n, p in enumerate(parts))


def test_the_lines_of_one_image_are_its_lesions(tmp_path: Path) -> None:
    lines = [
        {"ROI_coords": "[[10, 20, 30, 40], [1, 2, 3, 4]]", "sort": "M", "severity": "1"},
        {"ROI_coords": "((5, 6, 7, 8),)", "sort": "C", "severity": "4", "density": "2"},
        {"ROI_coords": "[]", "sort": "", "severity": ""},
        {"ROI_coords": "[1, 1, 9, 9]", "sort": "N"},
    ]
    write_lesions(tmp_path, lines)
    (sample,) = samples("table", tmp_path)
    assert [region.outline for region in sample.regions] == [
        Box(20, 10, 40, 30),
        Box(2, 1, 4, 3),
        Box(6, 5, 8, 7),
    ]
    assert [region.kind for region in sample.regions] == [
        *(Kind.MASS, Kind.MASS, Kind.CALCIFICATION),
    ]
    assert [region.malignant for region in sample.regions] == [True, True, False]
    assert (sample.cancer, sample.complete, sample.split) == (True, True, "1")
    assert sample.facts == {}  # its lines differ
    assert sample.regions[0].facts == {"birads": "S"}
    with pytest.raises(Refused, match=r"a\.png nor lesions says how large a pixel is"):
        opened(sample)
    known = opened(sample, spacing_mm=(0.7, 0.7))
    require_bright_on_dark(known.view, "L")
    assert [truth.box for truth in known.truths] == [region.outline for region in sample.regions]


def test_an_empty_box_is_counted_and_leaves_its_image_incomplete(tmp_path: Path) -> None:
    write_lesions(tmp_path, [{"ROI_coords": "[5, 5, 5, 9]", "sort": "M", "severity": "?"}])
    found = samples("table", tmp_path)
    assert (found[0].complete, found[0].cancer) == (False, None)
    assert found.dropped == {"boxes with nothing in them": 1}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"ROI_coords": "[1, 2, 3]"}, "line 3: ROI_coords is .*, and no list of boxes"),
        ({"ROI_coords": "here"}, "line 3: ROI_coords is .*, and no list of boxes"),
        ({"sort": "X"}, "line 3: sort is 'X', which the description does not explain"),
        ({"severity": "9"}, "line 3: severity is '9', which the description does not explain"),
        ({"side": "R"}, "line 3: .*a.png is said to be another breast"),
        ({"side": "middle"}, "line 3: the side of .*a.png is 'middle', neither left nor right"),
        ({"path": "b.png"}, r"line 3: there is no b\.png: get it, or say partial = true"),
    ],
)
def test_a_fault_in_the_table_is_told_with_its_line(
    tmp_path: Path, line: dict[str, str], said: str
) -> None:
    good = {"ROI_coords": "[1, 2, 3, 4]", "sort": "M", "severity": "1"}
    write_lesions(tmp_path, [good, {**good, **line}])
    with pytest.raises(Refused, match=said):
        samples("table", tmp_path)


def test_a_description_that_names_other_columns_is_refused(tmp_path: Path) -> None:
    write_lesions(tmp_path, [], LESIONS.replace('"sort"', '"type"'))
    with pytest.raises(Refused, match="has no column type"):
        samples("table", tmp_path)
    write_lesions(tmp_path, [], LESIONS.replace('boxes = "ROI_coords"', ""))
    with pytest.raises(Refused, match="one of box, boxes and mask has to say where they are"):
        samples("table", tmp_path)


# As CMMD: a line a breast, and its images are found by their headers in the patient's folder.
CLINIC = """
name = "clinic"
complete = false
partial = true
table = "clinical.csv"
image = "CMMD/{ID1}/**/*.dcm"
columns = { patient = "ID1", side = "LeftRight" }
cancer = { column = "classification", yes = ["Malignant"], no = ["Benign"] }
facts = { age = "Age", abnormality = "abnormality" }
"""


def test_images_without_a_line_each_are_found_by_their_headers(tmp_path: Path) -> None:
    lines = [
        {"ID1": "D1-0001", "LeftRight": "R", "Age": "44", "classification": "Malignant"},
        {"ID1": "D1-0002", "LeftRight": "L", "classification": "Benign"},
    ]
    columns = ["ID1", "LeftRight", "Age", "abnormality", "classification"]
    write_table(tmp_path / "clinical.csv", columns, lines)
    (tmp_path / "dataset.toml").write_text(CLINIC, encoding="utf-8")
    place = tmp_path / "CMMD" / "D1-0001" / "07-18-2010" / "1.0-NA-1"
    place.mkdir(parents=True)
    for number, image in enumerate(datasets(study(3, pitch_mm=1.0))):
        image.save_as(place / f"1-{number}.dcm", enforce_file_format=True)
    found = samples("table", tmp_path)
    assert {(sample.side, sample.projection) for sample in found} == {
        (Side.RIGHT, Projection.CC),
        (Side.RIGHT, Projection.MLO),
    }
    assert {(sample.patient, sample.cancer) for sample in found} == {("D1-0001", True)}
    assert found.dropped == {
        "images of a breast of which no line tells": 2,
        "lines of which no image is there": 1,
    }
