"""What cannot be called, or written, is said in a sentence."""

import sys
from pathlib import Path

import pytest

from dicom_node.cli import run
from dicom_node.settings.file import ENVIRONMENT_VARIABLE


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata = "{tmp_path}/var"\n')
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(config))


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["dicom-node", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.mark.parametrize(
    "peer", ["PACS@localhost:99999", "PACS@localhost:0", "TOO_LONG_FOR_A_TITLE@localhost:104"]
)
def test_echo_calls_nobody_who_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], peer: str
) -> None:
    assert status_of(monkeypatch, "echo", peer) == 2
    assert "Invalid value" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert status_of(monkeypatch, "migrate") == 0
    capsys.readouterr()
    out = tmp_path / "no" / "trail.xml"
    assert status_of(monkeypatch, "audit", "export", "--out", str(out)) == 1
    assert capsys.readouterr().err == f"{out}: No such file or directory\n"
