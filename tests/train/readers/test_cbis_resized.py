from pathlib import Path

import pytest
from small_cbis import CALCIFICATIONS, abnormality, write_resized
from small_tables import write_table

from inference.findings import Box, Kind
from inference.mammogram import Projection, Side
from train.data.readers.by_name import samples
from train.errors import Refused

IMAGES = {
    "00001_LEFT_CC.jpg": [("MALIGNANT", [10.5, 20, 30, 40.25])],
    "00001_LEFT_MLO.jpg": [("BENIGN", [0, 0, 5, 5]), ("BENIGN", [70, 70, 20, 20])],
    "00002_RIGHT_MLO.jpg": [("BENIGN", [1, 2, 3, 4]), ("MALIGNANT", [5, 6, 7, 8])],
    "00003_RIGHT_CC.jpg": [("BENIGN_WITHOUT_CALLBACK", [1, 2, 3, 4])],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_resized(tmp_path, IMAGES)
    return tmp_path


def test_an_image_is_told_with_its_person_and_its_masses(folder: Path) -> None:
    first = samples("cbis_ddsm", folder)[0]
    assert (first.patient, first.side, first.projection) == ("P_00001", Side.LEFT, Projection.CC)
    assert first.image == folder / "train" / "00001_LEFT_CC.jpg"
    assert first.image.is_file()
    assert (first.cancer, first.complete, first.split) == (True, True, "train")
    (mass,) = first.regions
    assert mass.outline == Box(10.5, 20, 40.5, 60.25)
    assert (mass.kind, mass.malignant, mass.facts["shape"]) == (Kind.MASS, True, "OVAL")


def test_nobody_knows_the_size_of_what_was_stretched(folder: Path) -> None:
    for sample in samples("cbis_ddsm", folder):
        assert sample.spacing_mm is None
        assert sample.facts["geometry"] == "stretched to a square; the true size is unknown"


def test_what_differs_between_the_masses_of_an_image_is_told_of_none(folder: Path) -> None:
    _, benign, mixed, _ = samples("cbis_ddsm", folder)
    assert [mass.malignant for mass in benign.regions] == [False, False]
    assert benign.cancer is False
    assert [mass.malignant for mass in mixed.regions] == [None, None]
    assert mixed.cancer is True
    assert "subtlety" not in benign.regions[0].facts
    assert benign.regions[0].facts["birads"] == "4"
    assert "margins" not in benign.regions[0].facts  # N/A says nothing


def test_a_box_ends_where_its_image_ends(folder: Path) -> None:
    assert samples("cbis_ddsm", folder)[1].regions[1].outline == Box(70, 70, 80, 80)


def test_a_lost_box_is_counted_and_its_image_is_not_complete(tmp_path: Path) -> None:
    write_resized(
        tmp_path, {"00001_LEFT_CC.jpg": [("BENIGN", [1, 1, 4, 4]), ("BENIGN", [9, 9, 0, 5])]}
    )
    found = samples("cbis_ddsm", tmp_path)
    assert (len(found[0].regions), found[0].complete) == (1, False)
    assert found.dropped == {"a box with nothing in it": 1}


def test_malignant_calcifications_of_the_same_view_are_a_cancer_too(folder: Path) -> None:
    kind = {"abnormality type": "calcification"}
    both = [
        abnormality("P_00003", "RIGHT", "CC", "MALIGNANT", **kind),
        abnormality("P_00003", "RIGHT", "CC", "BENIGN", **kind),
    ]
    write_table(folder / "calc_case_description_train_set.csv", CALCIFICATIONS, both)
    last = samples("cbis_ddsm", folder)[-1]
    assert last.cancer is True
    assert [mass.malignant for mass in last.regions] == [False]
    assert (last.facts["calcification"], last.facts["unmarked"]) == ("MALIGNANT", "calcification")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("P_00002,RIGHT", "P_00002,BOTH", "line 4: side is 'BOTH'"),
        ("00002_RIGHT_MLO.jpg", "00009_RIGHT_MLO.jpg", "line 4: 00009_RIGHT_MLO.jpg is not in"),
        ("BENIGN_WITHOUT_CALLBACK", "HARMLESS", "line 5: pathology is 'HARMLESS'"),
        ("BENIGN|BENIGN", "BENIGN", "line 3: pathology tells of 1 masses, and 2 are marked"),
        (",2,1,BENIGN|MAL", ",2,0,BENIGN|MAL", "line 4: malignant is not what pathology says"),
        ("malignant,", "cancerous,", "has no column malignant"),
    ],
)
def test_a_fault_in_the_labels_is_told_with_its_line(
    folder: Path, old: str, new: str, said: str
) -> None:
    labels = folder / "labels.csv"
    text = labels.read_text(encoding="utf-8")
    assert old in text
    labels.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(Refused, match=said.replace("|", r"\|")):
        samples("cbis_ddsm", folder)


def test_a_missing_image_is_told(folder: Path) -> None:
    (folder / "train" / "00001_LEFT_CC.jpg").unlink()
    with pytest.raises(Refused, match=r"line 2: .*00001_LEFT_CC\.jpg is missing"):
        samples("cbis_ddsm", folder)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="name the folder in which"):
        samples("cbis_ddsm", tmp_path)
    with pytest.raises(Refused, match="there is no reader 'cbis': there are"):
        samples("cbis", tmp_path)
