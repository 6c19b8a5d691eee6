"""`dicom-node unpack`, and a demo that is asked for what is not there."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from dicom_node.cli import run
from dicom_node.settings.file import load_settings
from dicom_node.shipped import shipped


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["dicom-node", *arguments])
    with pytest.raises(SystemExit) as raised:
        run()
    return int(raised.value.code or 0)


def test_settings_and_units_are_copied_out_for_everybody_to_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "opt" / "fourviews"
    old = os.umask(0o077)
    try:
        assert ended(monkeypatch, "unpack", str(folder)) == 0
    finally:
        os.umask(old)
    told = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert {path.name for path in told[1:]} == {path.name for path in shipped("deploy").iterdir()}
    load_settings(folder / "config" / "node.toml")
    for path in told:
        runs = path.name == "dicom-node-admin"
        assert path.stat().st_mode & 0o777 == (0o755 if runs else 0o644)
        assert path.parent.stat().st_mode & 0o777 == 0o755


def test_nothing_that_was_edited_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "unpack", str(tmp_path)) == 0
    assert ended(monkeypatch, "unpack", str(tmp_path)) == 0, "what is as it was shipped stays so"
    mine = tmp_path / "config" / "node.toml"
    mine.write_text('[node]\ndata = "/mine"\n')
    gone = tmp_path / "deploy" / "dicom-node-admin"
    gone.unlink()
    capsys.readouterr()
    assert ended(monkeypatch, "unpack", str(tmp_path)) == os.EX_CONFIG
    said = capsys.readouterr()
    assert f"{mine}: is there and says something else: nothing was copied" in said.err
    assert said.out == ""
    assert not gone.exists()
    assert mine.read_text() == '[node]\ndata = "/mine"\n'


def test_a_demo_with_an_orthanc_that_is_not_there_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    asked = ("demo", "--folder", str(tmp_path / "demo"), "--archive", "orthanc")
    assert ended(monkeypatch, *asked) == os.EX_CONFIG
    assert capsys.readouterr().err == (
        "--archive orthanc: Orthanc is not installed; install it (Debian and Ubuntu: "
        "apt-get install orthanc), or let a small archive stand in: --archive builtin\n"
    )
