import plistlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from pydicom import Dataset

from inference.findings import Kind
from inference.mammogram import Projection, Side
from phantom.dicom import datasets
from phantom.study import study
from train.data.pixels import mammogram
from train.data.readers.counted import counted
from train.data.readers.inbreast import samples
from train.data.real import teachable
from train.data.sample import Polygon, Sample, Samples
from train.errors import Refused

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
SQUARE = [(10, 20), (30, 20), (30, 50), (10, 50)]
Roi = tuple[str, Sequence[tuple[float, float]]]


@pytest.fixture(scope="module")
def image() -> Dataset:
    return datasets(study(7, pitch_mm=1.0))[0]


def outlines(rois: Sequence[Roi], counted: int | None = None) -> bytes:
    """Write outlines as OsiriX does."""
    return plistlib.dumps(
        {
            "Images": [
                {
                    "ImageIndex": 0,
                    "NumberOfROIs": len(rois) if counted is None else counted,
                    "ROIs": [
                        {
                            "Area": 1.5,
                            "Name": name,
                            "NumberOfPoints": len(points),
                            "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
                        }
                        for name, points in rois
                    ],
                }
            ]
        }
    )


def write(folder: Path, image: Dataset, cases: Mapping[str, tuple[str, Sequence[Roi]]]) -> Path:
    """Write images named 1, 2, ... with their category and outlines, in the true folders."""
    for name in ("AllDICOMs", "AllXML"):
        (folder / name).mkdir(parents=True)
    lines = [HEADER]
    for number, (category, rois) in cases.items():
        lines.append(f"removed;removed;L;MLO;201001;{number};4 ;{category}")
        image.save_as(
            folder / "AllDICOMs" / f"{number}_61b13c59bcba149e_MG_L_ML_ANON.dcm",
            enforce_file_format=True,
        )
        if rois:
            (folder / "AllXML" / f"{number}.xml").write_bytes(outlines(rois))
    lines.append(";;;;;;;")
    (folder / "INbreast.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return folder


def only(found: Samples) -> Sample:
    (one,) = found
    return one


def test_an_outline_runs_through_columns_and_rows_from_the_top(
    tmp_path: Path, image: Dataset
) -> None:
    one = only(samples(write(tmp_path, image, {"22678622": ("5", [("Mass", SQUARE)])})))
    (region,) = one.regions
    assert region.outline == Polygon(tuple(SQUARE))
    assert (region.kind, region.malignant) == (Kind.MASS, True)
    assert (one.patient, one.side, one.projection) == (
        "61b13c59bcba149e",
        Side.LEFT,
        Projection.MLO,
    )
    assert one.facts == {"density": "4", "birads": "5"}
    assert mammogram(one).name == "LMLO"


@pytest.mark.parametrize(
    ("category", "cancer"),
    [("1", False), ("2", False), ("3", None), ("4a", True), ("4c", True), ("6", True), ("", None)],
)
def test_cancer_is_what_the_category_says(
    tmp_path: Path, image: Dataset, category: str, *, cancer: bool | None
) -> None:
    one = only(samples(write(tmp_path, image, {"1": (category, [("Mass", SQUARE)])})))
    assert one.cancer is cancer
    assert one.regions[0].malignant is cancer


def test_only_an_image_of_category_1_shows_nothing_where_it_has_no_file_of_outlines(
    tmp_path: Path, image: Dataset
) -> None:
    categories = {"1": "1", "2": "2", "3": "3", "4": "5", "5": ""}
    cases = {number: (category, ()) for number, category in categories.items()}
    write(tmp_path, image, {**cases, "6": ("5", [("Mass", SQUARE)])})
    found = samples(tmp_path)
    assert [one.complete for one in found] == [True, False, False, False, False, True]
    assert [len(one.regions) for one in found] == [0] * 5 + [1]
    fit, left = teachable(found, judging=True)
    assert [one.cancer for one in fit] == [False, False, True, True]
    assert sum(left.values()) == 2
    told = [(why, times) for what, why, times in counted(found) if what == "dropped"]
    assert told == [("the outlines of an image that is not BI-RADS 1: there is no file of them", 4)]


def test_a_folder_without_any_outlines_is_refused(tmp_path: Path, image: Dataset) -> None:
    write(tmp_path, image, {"1": ("5", []), "2": ("1", [])})
    with pytest.raises(Refused, match=r"holds no outlines.* AllXML, a file NUMBER\.xml"):
        samples(tmp_path)


def test_of_several_lesions_the_mass_or_else_the_cluster_is_the_cancer(
    tmp_path: Path, image: Dataset
) -> None:
    found = samples(
        write(
            tmp_path,
            image,
            {
                "1": ("5", [("Mass", SQUARE), ("Cluster", SQUARE), ("Calcification", [(1, 2)])]),
                "2": ("5", [("Cluster", SQUARE), ("Calcification", [(1, 2)])]),
            },
        )
    )
    assert [region.malignant for region in found[0].regions] == [True, None, None]
    assert [region.malignant for region in found[1].regions] == [True, None]


def test_names_are_read_as_people_wrote_them(tmp_path: Path, image: Dataset) -> None:
    apart = [(x + 100, y) for x, y in SQUARE]
    rois = [
        ("Calcifications", SQUARE),
        ("Espiculated Region", apart),
        ("Assymetry", SQUARE),
        ("Asimmetry", SQUARE),
        ("Distortion", SQUARE),
        ("Point 3", [(5, 6)]),
        ("Unnamed", [(5, 6), (7, 8)]),
        ("Pectoral Muscle", SQUARE),
    ]
    one = only(samples(write(tmp_path, image, {"1": ("2", rois)})))
    assert [region.kind for region in one.regions] == [
        *(Kind.CALCIFICATION, Kind.MASS, None, None, None),
        *(Kind.CALCIFICATION, Kind.CALCIFICATION),
    ]
    assert [region.facts["name"] for region in one.regions[1:5]] == [
        *("spiculated region", "asymmetry", "asymmetry", "distortion")
    ]


def test_an_outline_whose_name_says_nothing_is_counted_and_makes_its_image_incomplete(
    tmp_path: Path, image: Dataset
) -> None:
    found = samples(write(tmp_path, image, {"1": ("2", [("Unnamed", SQUARE), ("Mass", SQUARE)])}))
    assert len(only(found).regions) == 1
    assert not only(found).complete
    assert sum(found.dropped.values()) == 1


def test_a_mass_and_the_spiculated_region_around_it_are_one_lesion(
    tmp_path: Path, image: Dataset
) -> None:
    around = [(0, 0), (60, 0), (60, 70), (0, 70)]
    rois = [("Spiculated region", around), ("Mass", SQUARE)]
    found = samples(write(tmp_path, image, {"1": ("5", rois)}))
    assert [region.facts["name"] for region in only(found).regions] == ["mass"]
    assert only(found).complete
    assert sum(found.dropped.values()) == 1


def test_an_image_without_a_line_is_counted(tmp_path: Path, image: Dataset) -> None:
    write(tmp_path, image, {"1": ("2", [("Mass", SQUARE)])})
    name = "2_61b13c59bcba149e_MG_R_CC_ANON.dcm"
    image.save_as(tmp_path / "AllDICOMs" / name, enforce_file_format=True)
    assert sum(samples(tmp_path).dropped.values()) == 1


def test_what_is_broken_is_refused_with_its_place(tmp_path: Path, image: Dataset) -> None:
    folder = write(tmp_path, image, {"1": ("2", [("Mass", SQUARE)])})
    xml, table = folder / "AllXML" / "1.xml", folder / "INbreast.csv"
    whole, text = xml.read_bytes(), table.read_text()
    for broken, words in (
        (outlines([("Mass", SQUARE)], counted=2), r"1\.xml holds 1 outlines, and says 2"),
        (whole.replace(b"<integer>4</integer>", b"<integer>5</integer>"), "4 points"),
        (whole.replace(b"(10.000000, ", b"(10.000000; "), "not as OsiriX"),
        (whole[:200], "not what OsiriX writes"),
    ):
        xml.write_bytes(broken)
        with pytest.raises(Refused, match=words):
            samples(folder)
    xml.write_bytes(whole)
    for old, new, words in (
        (";2\n", ";7\n", "line 2: Bi-Rads"),
        (";L;MLO;", ";R;MLO;", "line 2: R MLO"),
        (";1;4 ", ";9;4 ", "line 2: there is no image 9_"),
        ("Bi-Rads", "Birads", "no column Bi-Rads"),
    ):
        table.write_text(text.replace(old, new))
        with pytest.raises(Refused, match=words):
            samples(folder)
