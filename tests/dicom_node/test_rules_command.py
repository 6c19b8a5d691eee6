"""`dicom-node rules` and `rules test`, as an administrator types them."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, config
from small_images import file_of, mammogram

from dicom_node import logs
from dicom_node.analyzing.accept import rules
from dicom_node.cli import run
from dicom_node.settings.file import ENVIRONMENT_VARIABLE
from dicom_node.shipped import shipped
from inference.bundle import CARD, sealed
from phantom.dicom import write
from phantom.kinds import specimen
from phantom.study import study

Ends = Callable[..., tuple[int, str]]
STUDY = "2.25.77"


@pytest.fixture
def ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ends:
    """Run a command on a node that has never run and takes small images."""
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\ndata = "{tmp_path}/var"\n'
        "[analyzing.accept]\nrows_min = 16\nbrightest_min = 0.0\nimplants = true\n"
    )
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(file))
    monkeypatch.setattr(logs, "hush", lambda: None)  # it would hold for all tests after this one

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["dicom-node", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run()
        return int(ended.value.code or 0), capsys.readouterr().out

    return command


def stored(folder: Path, *images: Dataset) -> Path:
    folder.mkdir(exist_ok=True)
    for image in images:
        (folder / f"{image.SOPInstanceUID}.dcm").write_bytes(file_of(image))
    return folder


def four(**changes: object) -> list[Dataset]:
    views = ("RCC", "LCC", "RMLO", "LMLO")
    return [mammogram(view, StudyInstanceUID=STUDY, **changes) for view in views]


def test_rules_lists_each_with_the_settings_that_steer_it(ends: Ends) -> None:
    status, out = ends("rules")
    assert status == 0
    assert "the bundle reads: mammogram" in out
    assert [rule.code for rule in rules() if f"\n{rule.code} {rule.asks}\n" not in out] == []
    assert "implants = true" in out
    told = json.loads(ends("rules", "--json")[1])
    assert told["reads"] == ["mammogram"]
    by_code = {rule["code"]: rule for rule in told["rules"]}
    assert list(by_code) == [rule.code for rule in rules()]
    assert by_code["I15"]["settings"] == {"implants": True, "implant_displaced": False}
    assert by_code["I09"]["settings"] == {"rows_min": 16, "rows_max": 6000}


def test_a_good_study_would_be_read(ends: Ends, tmp_path: Path) -> None:
    status, out = ends("rules", "test", stored(tmp_path / "study", *four()))
    assert status == 0
    assert out.count("accepted") == 4
    assert out.splitlines()[0] == f"study {STUDY}"
    assert out.splitlines()[-1] == "  read LCC, LMLO, RCC, RMLO"
    assert not (tmp_path / "var" / "ledger.sqlite").exists()


def test_a_study_with_one_bad_image_is_read_without_it_and_the_status_says_so(
    ends: Ends, tmp_path: Path
) -> None:
    bad = mammogram("LCC", StudyInstanceUID=STUDY, PartialView="YES", ExposureStatus="ABORTED")
    folder = stored(tmp_path / "study", *four(), bad)
    status, out = ends("rules", "test", folder)
    assert status == 1
    assert "LCC  I14: it is a partial view" in out
    assert "    also I16: ExposureStatus is ABORTED, not NORMAL" in out
    assert out.splitlines()[-1] == "  read LCC, LMLO, RCC, RMLO"
    every = ends("rules", "test", "--every", folder)[1]
    assert every.count("✓ I02 modality: Modality is MG") == 5
    assert "- I18 pixels: not asked" in every
    assert "✗ I14 whole breast: it is a partial view" in every


def test_a_study_that_is_declined_says_why(ends: Ends, tmp_path: Path) -> None:
    folder = stored(tmp_path / "study", *four(Modality="CR"))
    status, out = ends("rules", "test", folder)
    assert status == 1
    assert "  DECLINED S02: no image can be read: I02: Modality is CR, not MG" in out


def test_scripts_get_every_answer(ends: Ends, tmp_path: Path) -> None:
    folder = stored(tmp_path / "study", *four(PatientAge="017Y"), mammogram("LCC", Modality="CR"))
    (folder / "notes.txt").write_text("nothing")
    status, out = ends("rules", "test", "--json", folder)
    assert status == 1
    told = json.loads(out)
    (broken,) = told["not_dicom"]
    assert (broken["code"], broken["sentence"]) == ("I00", "this is no DICOM file")
    by_uid = {one["study_uid"]: one for one in told["studies"]}
    assert len(by_uid) == 2
    good = by_uid.pop(STUDY)
    assert (good["code"], good["views_read"]) == ("", ["LCC", "LMLO", "RCC", "RMLO"])
    assert {one["code"] for one in good["files"]} == {""}
    assert all(rule["kept"] for one in good["files"] for rule in one["rules"])
    (other,) = by_uid.values()
    assert (other["code"], other["views_read"]) == ("S02", [])
    (file,) = other["files"]
    kept = {rule["code"]: rule["kept"] for rule in file["rules"]}
    assert (file["code"], kept["I02"], kept["I03"], kept["I18"]) == ("I02", False, True, None)


def test_a_file_that_is_not_there_and_an_empty_folder_are_told(ends: Ends, tmp_path: Path) -> None:
    status, out = ends("rules", "test", tmp_path / "gone.dcm")
    assert status == 1
    assert "I00: the file cannot be read: No such file or directory" in out
    (tmp_path / "empty").mkdir()
    assert ends("rules", "test", tmp_path / "empty") == (1, "there are no files to judge\n")


def test_a_tomosynthesis_is_explained_and_its_pixels_stay_closed(
    ends: Ends, tmp_path: Path
) -> None:
    images = specimen("tomosynthesis", study(7, pitch_mm=0.4, lesions=()))
    write(images, tmp_path / "study")
    status, out = ends("rules", "test", tmp_path / "study")
    assert status == 1
    assert "I01: this is a tomosynthesis; the network reads single projections" in out
    assert "also I09: it has 6 frames, not one" in out
    assert out.splitlines()[-1] == "  read LCC, LMLO, RCC, RMLO"


def reading(folder: Path, name: str, reads: str) -> None:
    """Copy the shipped bundle, and let its card say that it reads more."""
    bundle = folder / name
    shutil.copytree(shipped("bundles") / "shared_trunk_phantom", bundle)
    card = (bundle / CARD).read_text(encoding="utf-8")
    taking_more = re.sub(r"^reads = .*$", f"reads = {reads}", card, flags=re.MULTILINE)
    (bundle / CARD).write_text(sealed(taking_more))


def test_a_bundle_whose_card_takes_more_permits_more(ends: Ends, tmp_path: Path) -> None:
    synthetic = ["DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"]
    folder = stored(tmp_path / "study", *four(ImageType=synthetic))
    status, out = ends("rules", "test", folder)
    assert status == 1
    assert out.count("I06: this is a synthetic 2D image") == 5  # each image, and the study
    reading(tmp_path / "bundles", "more", '["mammogram", "synthetic_2d", "for_processing"]')
    reading(tmp_path / "bundles", "less", '["mammogram", "synthetic_2d"]')
    reading(tmp_path / "bundles", "least", '["mammogram"]')
    file = tmp_path / "node.toml"
    plain = file.read_text()
    for named, read in (
        ('"more"', ["for_processing", "mammogram", "synthetic_2d"]),
        ('["more", "less"]', ["mammogram", "synthetic_2d"]),  # what every one of them takes
        ('["more", "least"]', ["mammogram"]),
    ):
        file.write_text(f'{plain}[analyzing]\nbundles = "{tmp_path}/bundles"\nbundle = {named}\n')
        assert json.loads(ends("rules", "--json")[1])["reads"] == read
        assert ends("rules", "test", folder)[0] == (0 if "synthetic_2d" in read else 1)


def test_what_a_header_holds_is_never_printed(tmp_path: Path) -> None:
    with config.disable_value_validation():
        image = mammogram(ImageLaterality="Small^Image", PatientAge="Small^Image")
        folder = stored(tmp_path / "study", image)
    asked = subprocess.run(
        [sys.executable, "-m", "dicom_node", "rules", "test", "--every", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 1
    assert "I09: it has 16 x 16 pixels" in asked.stdout
    assert "also I11: laterality is a word that is not known, not L or R" in asked.stdout
    assert "Small" not in asked.stdout + asked.stderr
    assert asked.stderr == ""


def test_own_rules_are_listed_as_sentences_and_say_of_a_file_whether_they_apply(
    ends: Ends, tmp_path: Path
) -> None:
    with (tmp_path / "node.toml").open("a") as file:
        file.write(
            '[[analyzing.accept.rules]]\nname = "rooms"\ntag = "StationName"\n'
            'none_of = ["MG1"]\ndo = "decline"\nwhy = "only [room] 1 is read"\n'
        )
    rule = "decline an image whose StationName is none of MG1: only [room] 1 is read"
    listed = ends("rules")[1]
    assert f"      rooms: {rule}\n" in listed[listed.index("\nI25") : listed.index("\nS01") + 1]
    told = json.loads(ends("rules", "--json")[1])["rules"]
    (own,) = (one for one in told if one["code"] == "I25")
    assert own["settings"]["rules"][0]["none_of"] == ["MG1"]
    folder = stored(tmp_path / "study", mammogram("LCC", StudyInstanceUID=STUDY, StationName="MG1"))
    status, out = ends("rules", "test", "--every", folder)
    assert status == 0
    assert f"✓ I25 rooms: does not apply; it would {rule}" in out
    stored(folder, mammogram("RCC", StudyInstanceUID=STUDY, StationName="Mueller"))
    status, out = ends("rules", "test", folder)
    assert status == 1
    assert "I25: rooms: only [room] 1 is read" in out
    assert "Mueller" not in out
