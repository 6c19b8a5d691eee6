from pathlib import Path

import pytest
from small_cbis import (
    CALCIFICATIONS,
    MASSES,
    abnormality,
    write_archive,
)
from small_tables import write_table

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from train.data.readers.by_name import samples
from train.data.sample import MaskImage
from train.data.truths import marked
from train.errors import Refused

CALCIFICATION = {"abnormality type": "calcification"}
TWO = [
    abnormality("P_00001", "LEFT", "CC", "MALIGNANT", **{"mass shape": "OVAL"}),
    abnormality("P_00001", "LEFT", "CC", "BENIGN_WITHOUT_CALLBACK", **{"abnormality id": "2"}),
]


def archive(
    folder: Path, *, masses: list[dict[str, str]], calcifications: list[dict[str, str]]
) -> Path:
    write_table(
        folder / "mass_case_description_train_set.csv", MASSES, write_archive(folder, masses)
    )
    calcium = write_archive(folder, calcifications)
    write_table(folder / "calc_case_description_test_set.csv", CALCIFICATIONS, calcium)
    return folder


@pytest.mark.parametrize("renamed", [False, True])
def test_a_film_has_the_masses_of_all_its_lines(tmp_path: Path, *, renamed: bool) -> None:
    place = tmp_path / "manifest-1" / "CBIS-DDSM" if renamed else tmp_path
    told = write_archive(place, TWO, renamed=renamed)
    told = [{"breast_density": "3", **line} for line in told]
    write_table(tmp_path / "mass_case_description_train_set.csv", MASSES, told)
    (film,) = samples("cbis_ddsm", tmp_path)
    assert (film.patient, film.side, film.projection) == ("P_00001", Side.LEFT, Projection.CC)
    assert film.image.is_file()
    assert "Mass-Training_P_00001_LEFT_CC" in film.image.parts
    assert (film.cancer, film.complete, film.split) == (True, True, "train")
    assert film.facts["density"] == "3"
    assert film.spacing_mm is None
    assert [mass.malignant for mass in film.regions] == [True, False]
    assert film.regions[0].facts["shape"] == "OVAL"
    assert film.regions[1].facts["pathology"] == "BENIGN_WITHOUT_CALLBACK"


@pytest.mark.parametrize("swapped", [False, True])
def test_the_mask_is_found_whichever_file_it_is(tmp_path: Path, *, swapped: bool) -> None:
    told = write_archive(tmp_path, TWO[:1], swapped=swapped)
    write_table(tmp_path / "mass_case_description_train_set.csv", MASSES, told)
    outline = samples("cbis_ddsm", tmp_path)[0].regions[0].outline
    assert isinstance(outline, MaskImage)
    assert outline.instead is not None
    assert (outline.path.name, outline.instead.name) == ("000001.dcm", "000000.dcm")
    assert outline.path.parent.parent.parent.name == "Mass-Training_P_00001_LEFT_CC_1"
    lesion = marked(outline, 60, 40)
    assert lesion is not None
    assert lesion.drawn
    assert lesion.box == Box(10, 20, 25, 31)  # 59 rows of the mask are 60 of the film


def test_a_film_that_both_tables_have_is_one_image_of_one_person(tmp_path: Path) -> None:
    same = abnormality("P_00001", "LEFT", "CC", "BENIGN", split="Test", **CALCIFICATION)
    archive(tmp_path, masses=TWO[1:], calcifications=[same])
    found = samples("cbis_ddsm", tmp_path)
    (film,) = found
    assert {lesion.kind for lesion in film.regions} == {Kind.MASS, Kind.CALCIFICATION}
    assert (film.cancer, film.complete) == (False, True)
    assert film.split == "test"  # what a test holds teaches nothing
    assert sum(found.dropped.values()) == 1


def test_two_sizes_of_one_view_are_two_images_of_which_neither_is_complete(tmp_path: Path) -> None:
    other = abnormality("P_00001", "LEFT", "CC", "MALIGNANT", size="70 40", **CALCIFICATION)
    archive(tmp_path, masses=TWO[1:], calcifications=[other])
    found = samples("cbis_ddsm", tmp_path)
    assert [film.complete for film in found] == [False, False]
    assert [film.cancer for film in found] == [True, True]  # it is one breast
    assert found.dropped == {}


def test_a_table_without_its_images_still_says_what_is_in_the_others(tmp_path: Path) -> None:
    write_table(
        tmp_path / "mass_case_description_train_set.csv", MASSES, write_archive(tmp_path, TWO[1:])
    )
    told = [
        abnormality(patient, "LEFT", "CC", "MALIGNANT", **CALCIFICATION, **{"image file path": "x"})
        for patient in ("P_00001", "P_00002")
    ]
    write_table(tmp_path / "calc_case_description_test_set.csv", CALCIFICATIONS, told)
    found = samples("cbis_ddsm", tmp_path)
    assert [(film.cancer, film.complete) for film in found] == [(True, False)]
    assert found.dropped == {"abnormalities of a table of which no image is here": 2}


def test_a_lost_mask_is_counted_and_a_lost_film_is_refused(tmp_path: Path) -> None:
    other = abnormality("P_00002", "RIGHT", "MLO", "BENIGN")
    told = write_archive(tmp_path, [*TWO, other])
    write_table(tmp_path / "mass_case_description_train_set.csv", MASSES, told)
    for path in (tmp_path / "Mass-Training_P_00001_LEFT_CC_2").rglob("*.dcm"):
        path.unlink()
    found = samples("cbis_ddsm", tmp_path)
    assert [(len(film.regions), film.complete) for film in found] == [(1, False), (1, True)]
    assert found.dropped == {"abnormalities without a mask": 1}
    for path in (tmp_path / "Mass-Training_P_00002_RIGHT_MLO").rglob("*.dcm"):
        path.unlink()
    # The paths of a table end in line breaks: an abnormality has three lines.
    with pytest.raises(Refused, match="line 8: Mass-Training_P_00002_RIGHT_MLO holds 0 DICOM"):
        samples("cbis_ddsm", tmp_path)


def test_a_word_that_no_table_has_is_refused(tmp_path: Path) -> None:
    told = write_archive(tmp_path, [abnormality("P_00001", "LEFT", "XCCL", "BENIGN")])
    write_table(tmp_path / "mass_case_description_train_set.csv", MASSES, told)
    with pytest.raises(Refused, match="line 2: image view is 'XCCL', and none of CC, MLO"):
        samples("cbis_ddsm", tmp_path)
