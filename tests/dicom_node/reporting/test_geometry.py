"""A segmentation lies in space as far as a destination's viewer insists, and no further."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import validators
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.segmentation import painted, segmentation
from dicom_node.reporting.sources import Source, sources
from dicom_node.reporting.tidy import tidy
from dicom_node.settings import Geometry
from inference.findings import ExamFindings

GEOMETRIES: tuple[Geometry, ...] = ("orientation", "none", "full")
Make = Callable[[Geometry], Dataset]


@pytest.fixture
def left_cc(headers: list[Dataset], exam: ExamFindings) -> Source:
    return sources([tidy(header) for header in headers], exam)[1]


@pytest.fixture
def make(left_cc: Source, exam: ExamFindings, maker: Maker, first_round: Circumstances) -> Make:
    return lambda geometry: segmentation(left_cc, exam, maker, first_round, 2, geometry)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_each_geometry_passes_its_proof_and_dciodvfy(
    geometry: Geometry,
    make: Make,
    headers: list[Dataset],
    exam: ExamFindings,
    tmp_path: Path,
) -> None:
    made = make(geometry)
    prove(made, headers, exam, profile=Profile(geometry=geometry))
    path = tmp_path / "seg.dcm"
    path.write_bytes(encoded(made))
    assert validators.dciodvfy_errors(path) == []


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("wanted", GEOMETRIES)
def test_no_geometry_passes_for_another(
    geometry: Geometry, wanted: Geometry, make: Make, headers: list[Dataset], exam: ExamFindings
) -> None:
    if geometry == wanted:
        return
    with pytest.raises(Unsound):
        prove(make(geometry), headers, exam, profile=Profile(geometry=wanted))


def test_a_turned_plane_is_unsound(make: Make, headers: list[Dataset], exam: ExamFindings) -> None:
    made = make("orientation")
    plane = made.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]
    with pytest.raises(Unsound, match="turns the image"):
        prove(made, headers, exam)


def test_no_spacing_is_no_place_in_space(make: Make, left_cc: Source) -> None:
    del left_cc.header.ImagerPixelSpacing
    assert "PixelMeasuresSequence" not in make("orientation").SharedFunctionalGroupsSequence[0]
    with pytest.raises(ValueError, match="no spacing of its pixels"):
        make("full")
    left_cc.header.PixelSpacing = [0.06, 0.06]
    measures = make("full").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == [0.06, 0.06]


def read_by_dcmqi(made: Dataset, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Read a segmentation as 3D Slicer does: a volume for each of its segments."""
    path = folder / "seg.dcm"
    path.write_bytes(encoded(made))
    program = Path(sys.executable).with_name("segimage2itkimage")
    return subprocess.run(
        [program, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def voxels(path: Path) -> NDArray[Any]:
    """Read a gzipped NRRD file."""
    header, _, body = path.read_bytes().partition(b"\n\n")
    lines = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    assert lines["encoding"] == "gzip"
    kind = {"unsigned char": "u1", "short": "<i2", "unsigned short": "<u2"}[lines["type"]]
    shape = [int(size) for size in reversed(lines["sizes"].split())]
    return np.frombuffer(gzip.decompress(body), kind).reshape(shape)


def test_dcmqi_reads_a_full_geometry_pixel_for_pixel(
    make: Make, left_cc: Source, tmp_path: Path
) -> None:
    said = read_by_dcmqi(make("full"), tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    masks = painted(left_cc)[0]
    for segment in (1, 2):
        (read,) = voxels(tmp_path / f"{segment}.nrrd")
        assert np.array_equal(read > 0, masks[:, :, segment - 1] > 0)


@pytest.mark.parametrize("geometry", ["orientation", "none"])
def test_dcmqi_reads_no_other_geometry(geometry: Geometry, make: Make, tmp_path: Path) -> None:
    assert read_by_dcmqi(make(geometry), tmp_path).returncode != 0
    assert list(tmp_path.glob("*.nrrd")) == []
