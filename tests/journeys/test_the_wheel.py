"""An installed wheel needs no checkout: it brings migrations, settings, bundles and units along."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.journey

ROOT = Path(__file__).resolve().parents[2]


def test_a_wheel_alone_migrates_and_checks_a_node(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    installed = tmp_path / "site"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(installed)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "FOURVIEWS_CONFIG"}
    environment["PYTHONPATH"] = str(installed)

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "dicom_node", *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    migrated = run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    newest = max(path.name[:4] for path in (ROOT / "alembic" / "versions").glob("*.py"))
    assert f"is now at {newest}" in migrated.stdout
    checked = run("check", "--json").stdout
    assert str(installed) in checked, "the settings are those of the wheel"
    assert '"is the bundle sound?"' in checked
    assert run("unpack", "out").returncode == 0
    for name in (
        "config/node.toml",
        *(f"deploy/{one.name}" for one in (ROOT / "deploy").iterdir()),
    ):
        assert (elsewhere / "out" / name).read_bytes() == (ROOT / name).read_bytes()
