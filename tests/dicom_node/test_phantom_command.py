"""`dicom-node phantom` as an administrator types it: what it writes, says, and refuses."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from dicom_node.cli import run

Ends = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ends:
    """Run a command; return its exit status and what it said on both streams."""

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["dicom-node", *arguments])
        monkeypatch.setenv("COLUMNS", "300")
        with pytest.raises(SystemExit) as ended:
            run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def test_phantom_writes_studies_and_says_what_they_show(ends: Ends, tmp_path: Path) -> None:
    folder = tmp_path / "phantoms"
    wish = ["--lesions", "malignant-mass", "--pitch-mm", "0.4", "--seed", "3"]
    status, out, err = ends("phantom", str(folder), *wish)
    assert (status, err) == (0, "")
    files = sorted(folder.rglob("*.dcm"))
    assert len(files) == 4
    headers = [dcmread(path, stop_before_pixels=True) for path in files]
    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert "study-00003" in out
    assert "4 images, malignant" in out


def test_phantom_writes_an_odd_study_and_says_which_rule_it_meets(
    ends: Ends, tmp_path: Path
) -> None:
    folder = tmp_path / "phantoms"
    status, out, err = ends("phantom", str(folder), "--kind", "spot", "--pitch-mm", "0.8")
    assert (status, err) == (0, "")
    assert len(list(folder.rglob("*.dcm"))) == 5
    assert "a spot compression view: declined by I13" in out


def test_phantom_lists_its_kinds_and_writes_nothing(ends: Ends, tmp_path: Path) -> None:
    status, out, _ = ends("phantom", str(tmp_path / "phantoms"), "--kind", "list")
    assert status == 0
    assert "declined by I06 unless synthetic_2d = true" in " ".join(out.split())
    assert not (tmp_path / "phantoms").exists()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (["--kind", "x-ray"], "--kind: no such kind: x-ray; known: screening, raw"),
        (["--lesions", "dragon"], "--lesions: no such lesion: dragon; known: "),
        (["--preset", "dragon"], "--preset: no such preset: dragon; known: plain"),
    ],
)
def test_phantom_names_what_it_cannot_draw(
    ends: Ends, tmp_path: Path, wish: list[str], said: str
) -> None:
    status, _, err = ends("phantom", str(tmp_path / "phantoms"), *wish)
    assert status == os.EX_CONFIG
    assert said in err
    assert not (tmp_path / "phantoms").exists()
