import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, config, dcmread
from pydicom.pixels import apply_voi_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from phantom.breast import DETECTOR_MM
from phantom.dicom import PRESETS, datasets, sop_instance_uid, write
from phantom.patient import Wanted
from phantom.study import Study, study


@pytest.fixture(scope="module")
def woman() -> Study:
    return study(7, pitch_mm=0.4)


def displayed(image: Dataset) -> np.ndarray:
    """Show an image by the rules of PS3.3 C.11, 0 black to 1 white."""
    image.VOILUTFunction = image.get("VOILUTFunction") or "LINEAR"  # as the standard has it
    grey = np.asarray(apply_voi_lut(image.pixel_array, image), dtype=float)
    top = (
        (1 << image.VOILUTSequence[0].LUTDescriptor[2]) - 1
        if "VOILUTSequence" in image
        else (1 << image.BitsStored) - 1
    )
    grey = grey / top
    return 1 - grey if image.PhotometricInterpretation == "MONOCHROME1" else grey


@pytest.mark.parametrize("for_processing", [False, True])
@pytest.mark.parametrize("preset", PRESETS)
def test_dciodvfy_finds_no_error_but_for_the_traps(
    woman: Study,
    preset: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    for_processing: bool,
) -> None:
    monkeypatch.setitem(PRESETS, preset, replace(PRESETS[preset], traps=(), patient_name=""))
    for path in write(datasets(woman, preset=preset, for_processing=for_processing), tmp_path):
        said = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        )
        lines = (said.stdout + said.stderr).splitlines()
        assert any("Mammography" in line for line in lines)
        errors = [line for line in lines if line.startswith("Error")]
        # The third value of ImageType that says so is Hologic's own.
        assert [line for line in errors if "<TOMOSYNTHESIS>" not in line] == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_shows_the_same_picture(woman: Study, preset: str) -> None:
    for view, image in zip(woman.views, datasets(woman, preset=preset), strict=True):
        wanted = view.pixels / 4095
        off = np.abs(displayed(image) - wanted)
        assert off[view.breast].max() < 0.006
        assert off[~view.breast].max() < 0.06
        assert image.pixel_array.max() < 1 << image.BitsStored


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_pixels_that_give_a_clinical_matrix(preset: str) -> None:
    rows, columns = (round(side / PRESETS[preset].pitch_mm) for side in DETECTOR_MM)
    assert 1750 <= columns <= rows <= 5000


def test_the_makers_quirks_are_there(woman: Study) -> None:
    images = {preset: datasets(woman, preset=preset)[0] for preset in PRESETS}
    assert images["ge"].WindowCenterWidthExplanation == ["NORMAL", "HARDER", "SOFTER"]
    assert images["ge"].VOILUTFunction == "SIGMOID"
    assert images["hologic"].WindowCenterWidthExplanation == ["Normal", "High", "Low"]
    assert images["fuji"].PhotometricInterpretation == "MONOCHROME1"
    assert images["fuji"].PresentationLUTShape == "INVERSE"
    assert "WindowCenter" not in images["philips"]
    assert images["planmed"].BitsStored == 14
    assert images["planmed"].pixel_array.min() > 0
    assert all("PHANTOM" in str(image.Manufacturer) for image in images.values())
    assert len({image.ManufacturerModelName for image in images.values()}) == len(PRESETS)


TRAPS: list[tuple[str, Callable[[Dataset], object]]] = [
    ("hologic", lambda i: len(i.SoftwareVersions[0]) > 64 and i[0x0019, 0x1001].value == "HTC"),
    ("hologic_10_bit", lambda i: i.ViewCodeSequence[0].CodingSchemeDesignator == "SNM3"),
    ("hologic_10_bit", lambda i: len(str(i.ImagerPixelSpacing[0])) > 16 and i.BitsStored == 10),
    ("hologic_synthetic", lambda i: "GENERATED_2D" in i.ImageType and "FrameOfReferenceUID" in i),
    ("ge", lambda i: i.ViewCodeSequence[0].CodeValue == "R-10242"),
    ("ge", lambda i: i.AnatomicRegionSequence[0].CodeValue == "T-04000"),
    ("siemens", lambda i: "VOILUTSequence" in i and "WindowCenter" in i),
    ("siemens", lambda i: i.SpecificCharacterSet == "ISO_IR 100" and "AccessionNumber" not in i),
    ("fuji", lambda i: i.SpecificCharacterSet == ["", "ISO 2022 IR 87"]),
    ("fuji_cr", lambda i: "ViewCodeSequence" not in i and i.ViewPosition == "CC"),
    ("fuji_cr", lambda i: "ImageLaterality" not in i and i.Laterality == "R"),
    ("fuji_cr", lambda i: len(i.Manufacturer) == 2 and i.PatientOrientation == "A"),
    ("philips", lambda i: i.VOILUTFunction == "" and len(i.RequestAttributesSequence) == 0),
    ("philips", lambda i: i.Laterality == i.ImageLaterality == "R"),
    ("planmed", lambda i: i["FieldOfViewRotation"].value.original_string == "0.0"),
    ("sectra", lambda i: i.VOILUTSequence[0].LUTDescriptor[1] == 200 and "Laterality" in i),
    ("giotto", lambda i: i.PatientBirthDate == "00000000" and i.PatientAge == "60Y"),
    ("giotto", lambda i: i.PatientSex == "female" and i.VOILUTFunction == ""),
    ("carestream", lambda i: "ReferringPhysicianName" not in i and i.VOILUTFunction == ""),
    ("film", lambda i: "SpecificCharacterSet" not in i and i.PatientName == "Phantom^Käthe"),
    ("film", lambda i: "ImagerPixelSpacing" not in i and list(i.PixelSpacing) == [0.4, 0.4]),
    ("film", lambda i: "PresentationLUTShape" not in i and "DetectorType" not in i),
]


@pytest.mark.parametrize(("preset", "has_it"), TRAPS)
def test_a_presets_headers_have_its_traps_in_memory_and_in_a_file(
    woman: Study, preset: str, has_it: Callable[[Dataset], object], tmp_path: Path
) -> None:
    images = datasets(woman, preset=preset)[:1]
    assert has_it(images[0])
    with config.disable_value_validation():
        assert has_it(dcmread(write(images, tmp_path)[0]))


def test_every_style_but_the_plain_one_has_traps() -> None:
    assert {preset for preset, _ in TRAPS} == set(PRESETS) - {"plain"}
    assert len(PRESETS) >= 14


def test_a_name_that_was_asked_for_is_written_in_any_style(woman: Study, tmp_path: Path) -> None:
    images = datasets(woman, preset="fuji_cr", patient_name="Phantom^Zoë")[:1]
    (path,) = write(images, tmp_path)
    assert dcmread(path).PatientName == "Phantom^Zoë"


def test_the_header_tells_side_view_and_size(woman: Study) -> None:
    images = datasets(woman)
    facts = [
        (i.ImageLaterality, i.ViewCodeSequence[0].CodeValue, list(i.PatientOrientation))
        for i in images
    ]
    assert facts == [
        ("R", "399162004", ["P", "L"]),
        ("L", "399162004", ["A", "R"]),
        ("R", "399368009", ["P", "FL"]),
        ("L", "399368009", ["A", "FR"]),
    ]
    assert len({image.SeriesInstanceUID for image in images}) == 4
    for view, image in zip(woman.views, images, strict=True):
        assert image.ImagerPixelSpacing == [0.4, 0.4]
        assert (image.Rows, image.Columns) == view.pixels.shape
        assert image.BreastImplantPresent == "NO"
        assert image.BurnedInAnnotation == "NO"
        assert "FrameOfReferenceUID" not in image
        assert image.AcquisitionTime > image.StudyTime
    assert images[0].PatientID == "PHANTOM-0007"


def test_what_is_asked_for_stands_in_the_header(woman: Study) -> None:
    image = datasets(
        woman,
        study_instance_uid="2.25.42",
        patient_id="P1",
        patient_name="Phantom^Zoë",
        accession_number="A1",
        study_date="20240229",
    )[0]
    assert image.StudyInstanceUID == "2.25.42"
    assert (image.PatientID, image.PatientName, image.AccessionNumber) == (
        "P1",
        "Phantom^Zoë",
        "A1",
    )
    assert image.AcquisitionDate == "20240229"


def test_the_same_study_has_the_same_names_and_another_one_others(woman: Study) -> None:
    def names(**asked: object) -> set[str]:
        found = datasets(woman, **asked)
        return {i.SOPInstanceUID for i in found} | {i.StudyInstanceUID for i in found}

    assert names() == names()
    for other in (
        {"uid_salt": "again"},
        {"preset": "ge"},
    ):
        assert names().isdisjoint(names(**other))
    raw = datasets(woman, for_processing=True)
    assert raw[0].StudyInstanceUID == datasets(woman)[0].StudyInstanceUID
    assert raw[0].SOPInstanceUID != datasets(woman)[0].SOPInstanceUID


def test_other_pixels_never_go_by_the_same_name() -> None:
    wanted = [Wanted("mass", malignant=True)]
    one = {"pitch_mm": 0.8, "lesions": (), "sides": ("L",), "projections": ("CC",)}
    kinds = [
        study(7, **one),
        study(7, **{**one, "pitch_mm": 1.0}),
        study(7, **{**one, "lesions": wanted}),
        study(7, **{**one, "lesions": wanted, "difficulty": 2.0}),
        study(8, **one),
    ]
    for uid in (None, "2.25.42"):
        names = [
            image.SOPInstanceUID
            for kind in kinds
            for image in datasets(kind, study_instance_uid=uid)
        ]
        assert len(set(names)) == len(kinds)


def test_a_view_knows_the_name_of_its_image(woman: Study) -> None:
    for asked in ({}, {"preset": "fuji", "uid_salt": "x", "study_instance_uid": "2.25.9"}):
        images = datasets(woman, **asked)
        for view, image in zip(woman.views, images, strict=True):
            assert sop_instance_uid(woman, view, **asked) == image.SOPInstanceUID


def test_for_processing_images_are_raw(woman: Study) -> None:
    view, image = woman.views[1], datasets(woman, for_processing=True)[1]
    assert image.PresentationIntentType == "FOR PROCESSING"
    assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.2.1"
    assert "WindowCenter" not in image
    assert image.pixel_array[~view.breast].max() > image.pixel_array[view.breast].max() - 1


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGLSLossless,
        RLELossless,
    ],
    ids=lambda uid: uid.name,
)
def test_files_hold_the_same_pixels_in_every_syntax(
    woman: Study, tmp_path: Path, syntax: UID
) -> None:
    images = datasets(woman, preset="planmed")[:1]
    (path,) = write(images, tmp_path / "out", transfer_syntax=syntax)
    back = dcmread(path)
    assert back.file_meta.TransferSyntaxUID == syntax
    assert back.SOPInstanceUID == images[0].SOPInstanceUID
    assert (back.pixel_array == images[0].pixel_array).all()
    assert images[0].file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_a_syntax_that_cannot_be_written_is_refused(woman: Study, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot write High-Throughput JPEG 2000"):
        write(datasets(woman), tmp_path, transfer_syntax=HTJ2KLossless)


def test_an_unknown_preset_is_refused(woman: Study) -> None:
    with pytest.raises(ValueError, match="no preset 'sony': ask for one of plain, hologic"):
        datasets(woman, preset="sony")
