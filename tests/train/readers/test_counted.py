from pathlib import Path

from small_cbis import MASSES, abnormality, write_archive
from small_tables import write_rsna, write_table
from typer.testing import CliRunner

from train.cli import app
from train.data.readers.by_name import samples
from train.data.readers.counted import counted


def test_a_data_set_is_counted_with_what_was_dropped(tmp_path: Path) -> None:
    lines = [
        abnormality("P_00001", "LEFT", "CC", "MALIGNANT"),
        abnormality("P_00001", "LEFT", "CC", "BENIGN", **{"abnormality id": "2"}),
        abnormality("P_00002", "RIGHT", "MLO", "BENIGN"),
    ]
    told = write_archive(tmp_path, lines)
    write_table(tmp_path / "mass_case_description_train_set.csv", MASSES, told)
    test = write_archive(tmp_path, [{**lines[2], "split": "Test", "image view": "CC"}])
    write_table(tmp_path / "mass_case_description_test_set.csv", MASSES, test)
    for path in (tmp_path / "Mass-Training_P_00001_LEFT_CC_2").rglob("*.dcm"):
        path.unlink()
    assert list(counted(samples("cbis_ddsm", tmp_path))) == [
        ("images", "", 3),
        ("patients", "", 2),
        ("views", "LCC", 1),
        ("views", "RCC", 1),
        ("views", "RMLO", 1),
        ("what they show", "benign lesions alone", 2),
        ("what they show", "cancer", 1),
        ("regions", "mass, benign", 2),
        ("regions", "mass, malignant", 1),
        ("outlines", "mask", 3),
        ("splits", "test", 1),
        ("splits", "train", 2),
        ("splits", "patients who are in several of them", 1),
        ("not all lesions are marked", "images", 1),
        ("dropped", "abnormalities without a mask", 1),
    ]


def test_the_command_says_so_in_a_table(tmp_path: Path) -> None:
    line = {"patient_id": "1", "image_id": "2", "laterality": "L", "view": "AT", "cancer": "0"}
    write_rsna(tmp_path, [line])
    said = CliRunner().invoke(app, ["data", "rsna_2022", str(tmp_path)])
    assert said.exit_code == 0, said.output
    for word in ("patients", "neither CC nor MLO", "no cancer", "train"):
        assert word in said.output
