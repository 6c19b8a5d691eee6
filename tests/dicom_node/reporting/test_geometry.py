"""A segmentation lies in space as far as a destination's viewer insists, and no further."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import validators
from other_readers import read_by_slicer
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.proof import Unsound, prove
from dicom_node.reporting.segmentation import painted, segmentation
from dicom_node.reporting.sources import Source, sources
from dicom_node.reporting.tidy import tidy
from dicom_node.settings.delivering import Geometry
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


def test_slicer_reads_a_full_geometry_pixel_for_pixel(
    make: Make, left_cc: Source, tmp_path: Path
) -> None:
    read = read_by_slicer(make("full"), tmp_path)
    masks = painted(left_cc)[0]
    assert len(read) == 2
    for segment, pixels in enumerate(read):
        assert np.array_equal(pixels, masks[:, :, segment] > 0)


@pytest.mark.parametrize("geometry", ["orientation", "none"])
def test_slicer_reads_no_other_geometry(geometry: Geometry, make: Make, tmp_path: Path) -> None:
    assert read_by_slicer(make(geometry), tmp_path) == []
