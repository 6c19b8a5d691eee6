"""Readers that other people wrote for viewers, each a function from an object to what it holds."""

import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ohif_server import VIEWERS, installed
from private_process import program
from pydicom import Dataset

from dicom_node.reporting.frame import encoded


def read_by_ohifs_adapters(
    segmentations: Sequence[Dataset], images: Sequence[Dataset], folder: Path
) -> list[dict[str, NDArray[np.uint8]]]:
    """Return what OHIF's adapters paint: of each segmentation the labels over each image."""
    installed(VIEWERS / "node_modules" / "@cornerstonejs" / "adapters")
    headers = [_kept(one, folder, f"image{place}.dcm") for place, one in enumerate(images)]
    made = [_kept(one, folder, f"seg{place}.dcm") for place, one in enumerate(segmentations)]
    answer = _run([program("node"), VIEWERS / "segments.mjs", folder, *headers, "--", *made])
    assert answer.returncode == 0, answer.stderr[-2000:]
    return [
        {
            labels.stem.removeprefix(f"{path.name}-"): np.fromfile(labels, np.uint8)
            for labels in folder.glob(f"{path.name}-*.labels")
        }
        for path in made
    ]


def read_by_slicer(made: Dataset, folder: Path) -> list[NDArray[np.bool_]]:
    """Return the segments that 3D Slicer reads in a segmentation; none where it fails."""
    for old in folder.glob("*.nrrd"):
        old.unlink()
    how = ["--inputDICOM", _kept(made, folder), "--outputDirectory", folder, "-t", "nrrd"]
    _run([_dcmqi("segimage2itkimage"), *how])
    return [_nrrd(path)[0] > 0 for path in sorted(folder.glob("*.nrrd"))]


def tid1500_read_by_slicer(made: Dataset, folder: Path) -> Any:  # noqa: ANN401 - JSON is what it is
    """Return what 3D Slicer reads in a measurement report."""
    told = folder / "tid1500.json"
    how = ["--inputDICOM", _kept(made, folder), "--outputMetadata", told]
    answer = _run([_dcmqi("tid1500reader"), *how])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(told.read_text())


def _kept(made: Dataset, folder: Path, name: str = "object.dcm") -> Path:
    path = folder / name
    path.write_bytes(encoded(made))
    return path


def _dcmqi(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def _run(command: Sequence[str | Path]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=120, check=False
    )


def _nrrd(path: Path) -> NDArray[Any]:
    """Read a volume of a gzipped NRRD file."""
    header, _, body = path.read_bytes().partition(b"\n\n")
    lines = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    assert lines["encoding"] == "gzip"
    kind = {"unsigned char": "u1", "short": "<i2", "unsigned short": "<u2"}[lines["type"]]
    shape = [int(size) for size in reversed(lines["sizes"].split())]
    return np.frombuffer(gzip.decompress(body), kind).reshape(shape)
