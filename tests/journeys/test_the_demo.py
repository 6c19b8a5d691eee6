"""`dicom-node demo`: the first minute of a newcomer."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import MammographyCADSRStorage, SegmentationStorage

from dicom_node.reporting.drawing import INK
from inference.findings import Kind

pytestmark = pytest.mark.journey

PATIENCE_SECONDS = 400


def run_demo(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    environment = {key: value for key, value in os.environ.items() if key != "FOURVIEWS_CONFIG"}
    return subprocess.run(
        [sys.executable, "-m", "dicom_node", "demo", "--folder", str(folder), *options],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=environment,
        check=False,
    )


def left_running(folder: Path) -> list[str]:
    """List processes that still name the demo's folder in their environment or command."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return [one for one in found if "pytest" not in one]


@pytest.mark.parametrize("archive", ["orthanc", "builtin"])
def test_the_demo_shows_marks_that_came_back_from_the_pacs(archive: str, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    ended = run_demo(folder, "--archive", archive)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in ("RECEIVED -> ANALYZING", "DELIVERING -> DELIVERED", "Mammography CAD SR"):
        assert words in ended.stdout
    pixels = np.asarray(Image.open(folder / "result.png").convert("RGB")).astype(int)
    drawn = (np.abs(pixels - np.array(INK[Kind.MASS])).sum(axis=2) < 30).sum()
    assert drawn > 500, "outlines are drawn in the picture"
    kinds = {dcmread(path).SOPClassUID for path in (folder / "results").iterdir()}
    assert {MammographyCADSRStorage, SegmentationStorage} <= kinds
    assert "research use only" in (folder / "report.txt").read_text().lower()
    assert left_running(folder) == []


def test_the_demo_never_clears_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    ended = run_demo(tmp_path)
    assert ended.returncode == 78
    assert "holds other things" in ended.stderr
    assert (tmp_path / "thesis.txt").exists()
