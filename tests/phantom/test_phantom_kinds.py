"""Specimens of what devices send: whole files, each odd in the way that its kind says."""

import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset, config, dcmread

from phantom.dicom import write
from phantom.kinds import KINDS, specimen
from phantom.study import Study, study

# Whose last image dciodvfy finds fault with; every other kind is as the standard wants it.
BREAKS_THE_STANDARD = {
    *("projection", "capture", "radiograph", "intent", "no_study_date", "scout", "stereo"),
    *("synthetic", "frames", "color", "no_side", "two_sides", "two_views", "no_view"),
    *("magnified_outside", "cut_short", "undecodable"),
}


@pytest.fixture(scope="module")
def woman() -> Study:
    return study(7, pitch_mm=0.4, lesions=())


def errors(path: Path) -> list[str]:
    said = subprocess.run(
        ["dciodvfy", "-new", str(path)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = (said.stdout + said.stderr).splitlines()
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_written_as_files(woman: Study, name: str, tmp_path: Path) -> None:
    images = specimen(name, woman)
    paths = write(images, tmp_path)
    assert len({path.name for path in paths}) == len(images) >= 2
    assert len({image.StudyInstanceUID for image in images}) == 1
    assert bool(errors(paths[-1])) == (name in BREAKS_THE_STANDARD)
    with config.disable_value_validation():
        back = dcmread(paths[-1])
        assert back.file_meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID
        assert back.SOPClassUID == images[-1].SOPClassUID
        assert back.file_meta.TransferSyntaxUID == images[-1].file_meta.TransferSyntaxUID


def test_no_two_kinds_share_a_name(woman: Study) -> None:
    def names(kind: str) -> set[str]:
        return {str(image.SOPInstanceUID) for image in specimen(kind, woman)}

    assert names("spot") == names("spot")
    assert names("spot").isdisjoint(names("magnified"))


def test_an_odd_image_lies_beside_four_ordinary_ones(woman: Study) -> None:
    *ordinary, odd = specimen("spot", woman)
    assert len(ordinary) == 4
    assert odd.ViewCodeSequence[0].ViewModifierCodeSequence[0].CodeValue == "399055006"
    assert not any(image.ViewCodeSequence[0].ViewModifierCodeSequence for image in ordinary)
    assert odd.SeriesInstanceUID not in {image.SeriesInstanceUID for image in ordinary}
    assert odd.AcquisitionTime > ordinary[-1].AcquisitionTime


def test_a_tomosynthesis_is_a_stack_of_other_slices(woman: Study) -> None:
    stack = specimen("tomosynthesis", woman)[-1]
    frames = stack.pixel_array
    assert frames.shape == (6, stack.Rows, stack.Columns)
    assert (frames[0] != frames[1]).any()
    assert len(stack.PerFrameFunctionalGroupsSequence) == 6


def test_a_kind_is_taken_in_any_makers_style(woman: Study) -> None:
    def model(image: Dataset) -> str:
        return str(image.ManufacturerModelName)

    assert {model(image) for image in specimen("raw_beside", woman, preset="ge")} == {"ge-style"}


def test_an_unknown_kind_is_refused(woman: Study) -> None:
    with pytest.raises(ValueError, match="no kind 'x-ray': ask for one of screening, raw"):
        specimen("x-ray", woman)
