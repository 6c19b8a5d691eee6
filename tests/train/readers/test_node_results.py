"""What the node wrote, and what people made of it in other tools, comes back as lessons."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from small_results import (
    FOR_SLICER,
    MAKER,
    MASS,
    SPECKS,
    by_a_person,
    code,
    coordinates,
    dcmqi,
    drawn_in_a_viewer,
    finding,
    found,
    groups,
    keep,
    later,
    placed,
)

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.report import KINDS, report
from inference.findings import Kind
from phantom.dicom import datasets
from phantom.study import study
from train.data.pixels import mammogram
from train.data.readers.node_results import CORRECTED, OUTCOMES, UNSEEN, samples
from train.data.real import opened, teachable
from train.data.sample import Sample
from train.data.truths import marked
from train.errors import Refused


@pytest.fixture(scope="module")
def images() -> list[Dataset]:
    """Return the four views of a patient."""
    return datasets(study(7, pitch_mm=1.0))


@pytest.fixture(scope="module")
def results(images: list[Dataset]) -> dict[str, Dataset]:
    """Return what the node writes about the study, as it is sent."""
    first = Circumstances(1, datetime(2026, 3, 1, 12, tzinfo=UTC), None, len(images))
    exam = found(images)
    made = [
        *report(images, exam, MAKER, first, KINDS),
        *report(images, exam, MAKER, first, frozenset({"segmentation"}), FOR_SLICER),
    ]
    return {built.kind: built.dataset for built in made}


@pytest.fixture
def folder(tmp_path: Path, images: list[Dataset]) -> Path:
    for number, image in enumerate(images):
        keep(image, tmp_path / "images" / f"{number}.dcm")
    return tmp_path


def first_view(folder: Path) -> Sample:
    (one,) = [one for one in samples(folder) if one.image.name == "0.dcm"]
    return one


def masks(one: Sample) -> list[np.ndarray]:
    rows, columns = mammogram(one).pixels.shape
    laid = [marked(region.outline, rows, columns) for region in one.regions]
    return [each.mask.on(rows, columns) for each in laid if each is not None]


def test_the_nodes_own_result_is_read_and_teaches_nothing_by_itself(
    folder: Path, results: dict[str, Dataset]
) -> None:
    for kind, dataset in results.items():
        keep(dataset, folder / f"{kind}.dcm")
    one = first_view(folder)
    assert [region.kind for region in one.regions] == [Kind.MASS, Kind.CALCIFICATION]
    assert (one.complete, one.cancer, one.facts["seen_by"]) == (False, None, UNSEEN)
    mass, cluster = masks(one)
    expected = MASS.on(*mass.shape)
    assert (mass & expected).sum() / (mass | expected).sum() > 0.95
    assert cluster[SPECKS.on(*mass.shape)].all()
    assert sum(samples(folder).dropped.values()) == 3  # nothing is told of the other views


def test_a_segmentation_holds_the_very_pixels_of_each_lesion(
    folder: Path, results: dict[str, Dataset]
) -> None:
    keep(results["segmentation"], folder / "seg.dcm")
    one = first_view(folder)
    assert [region.kind for region in one.regions] == [Kind.MASS, Kind.CALCIFICATION]
    mass, cluster = masks(one)
    np.testing.assert_array_equal(mass, MASS.on(*mass.shape))
    np.testing.assert_array_equal(cluster, SPECKS.on(*mass.shape))


def test_a_verified_report_replaces_the_nodes_own_whatever_was_made_later(
    folder: Path, results: dict[str, Dataset]
) -> None:
    corrected = by_a_person(results["measurement_report"])
    held = groups(corrected)
    held.ContentSequence = held.ContentSequence[1:]  # the mass was none
    keep(corrected, folder / "corrected.dcm")
    newest = later(results["measurement_report"])
    newest.ContentTime = "140000"
    keep(newest, folder / "newest.dcm")
    keep(results["segmentation"], folder / "seg.dcm")
    one = first_view(folder)
    assert [region.kind for region in one.regions] == [Kind.CALCIFICATION]
    assert (one.complete, one.facts["seen_by"]) == (True, CORRECTED)
    assert one.facts["result"] == "corrected.dcm"


def test_an_image_that_a_person_found_empty_shows_nothing(
    folder: Path, results: dict[str, Dataset]
) -> None:
    corrected = by_a_person(results["measurement_report"])
    groups(corrected).ContentSequence = []
    keep(corrected, folder / "corrected.dcm")
    one = first_view(folder)
    assert (one.regions, one.complete) == ((), True)


@pytest.mark.parametrize(
    ("shape", "numbers", "area"),
    [
        ("POLYLINE", [30, 60, 50, 60, 50, 80, 30, 80, 30, 60], 400),
        ("CIRCLE", [40, 70, 50, 70], np.pi * 100),
        ("ELLIPSE", [30, 70, 50, 70, 40, 65, 40, 75], np.pi * 50),
    ],
)
def test_what_a_radiologist_drew_in_a_viewer_is_a_region(
    folder: Path,
    images: list[Dataset],
    results: dict[str, Dataset],
    shape: str,
    numbers: list[float],
    area: float,
) -> None:
    drawn = coordinates(shape, numbers, images[0])
    keep(results["measurement_report"], folder / "own.dcm")
    keep(drawn_in_a_viewer(results, [drawn]), folder / "viewer.dcm")
    one = first_view(folder)
    (region,) = one.regions
    assert region.kind is Kind.MASS
    assert region.facts["finding"] == "Mass, left"
    assert one.complete
    (mask,) = masks(one)
    assert abs(int(mask.sum()) - area) < 0.06 * area
    rows, columns = np.nonzero(mask)
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((40, 70), abs=0.6)


def test_a_length_or_an_arrow_leaves_its_image_incomplete(
    folder: Path, images: list[Dataset], results: dict[str, Dataset]
) -> None:
    drawn = [
        coordinates("POLYLINE", [30, 60, 50, 60], images[0]),
        coordinates("POINT", [30, 60], images[1]),
    ]
    keep(drawn_in_a_viewer(results, drawn), folder / "viewer.dcm")
    seen = samples(folder)
    assert [(one.regions, one.complete) for one in seen] == [((), False), ((), False)]


def test_a_segmentation_that_was_saved_by_another_tool_is_a_persons(
    folder: Path,
    images: list[Dataset],
    results: dict[str, Dataset],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    own = keep(results["segmentation"], folder / "seg.dcm")
    work = tmp_path_factory.mktemp("slicer")
    dcmqi("segimage2itkimage", "--inputDICOM", own, "--outputDirectory", work, "-t", "nrrd")
    described = json.loads((work / "meta.json").read_text())
    described["ContentCreatorName"] = "Reader^One"
    for (segment,) in described["segmentAttributes"]:
        segment["SegmentAlgorithmType"] = "MANUAL"
        segment.pop("SegmentAlgorithmName", None)
    (work / "corrected.json").write_text(json.dumps(described))
    painted = sorted(work.glob("*.nrrd"))
    dcmqi(
        *("itkimage2segimage", "--inputImageList", ",".join(map(str, painted))),
        *("--inputMetadata", work / "corrected.json"),
        *("--inputDICOMList", keep(placed(images[0]), work / "placed.dcm")),
        *("--outputDICOM", folder / "corrected.dcm"),
    )
    keep(results["measurement_report"], folder / "own.dcm")
    one = first_view(folder)
    assert one.facts["result"] == "corrected.dcm"
    assert one.complete
    mass, cluster = masks(one)
    np.testing.assert_array_equal(mass, MASS.on(*mass.shape))
    np.testing.assert_array_equal(cluster, SPECKS.on(*mass.shape))


def test_a_segmentation_by_hand_is_a_persons_and_tells_lesions_apart_by_what_touches(
    folder: Path, results: dict[str, Dataset]
) -> None:
    painted = later(results["segmentation"])
    pixels = painted.pixel_array
    frame = pixels[0] if pixels.ndim == 3 else pixels
    changed = np.zeros_like(frame)
    changed[10:20, 10:20] = changed[40:50, 10:20] = changed[50:60, 20:30] = 1
    whole = np.stack([changed, *pixels[1:]]) if pixels.ndim == 3 else changed
    painted.PixelData = np.packbits(whole.ravel(), bitorder="little").tobytes()
    painted.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"
    del painted.SegmentSequence[0].TrackingID
    keep(painted, folder / "painted.dcm")
    keep(results["measurement_report"], folder / "own.dcm")
    one = first_view(folder)
    assert one.complete
    sizes = [int(mask.sum()) for mask in masks(one)]
    assert sorted(sizes)[-2:] == [100, 200]
    assert [region.kind for region in one.regions].count(Kind.MASS) == 2


def test_a_result_that_was_taken_back_is_left_out(
    folder: Path, images: list[Dataset], results: dict[str, Dataset]
) -> None:
    own = results["measurement_report"]
    keep(own, folder / "own.dcm")
    note = Dataset()
    note.file_meta = deepcopy(own.file_meta)
    note.SOPClassUID = note.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
    note.SOPInstanceUID = note.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    note.StudyInstanceUID, note.Modality = images[0].StudyInstanceUID, "KO"
    note.ConceptNameCodeSequence = [code("113001", "DCM", "Rejected for Quality Reasons")]
    reference, series, of_study = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPClassUID = own.SOPClassUID
    reference.ReferencedSOPInstanceUID = own.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = own.SeriesInstanceUID, [reference]
    of_study.StudyInstanceUID = images[0].StudyInstanceUID
    of_study.ReferencedSeriesSequence = [series]
    note.CurrentRequestedProcedureEvidenceSequence = [of_study]
    keep(note, folder / "note.dcm")
    seen = samples(folder)
    assert not seen
    assert seen.dropped["a result that was taken back"] == 1


def test_outcomes_say_what_was_cancer(
    folder: Path, images: list[Dataset], results: dict[str, Dataset]
) -> None:
    corrected = by_a_person(results["measurement_report"])
    held = groups(corrected)
    keep(corrected, folder / "corrected.dcm")
    side = images[0].ImageLaterality
    table = folder / OUTCOMES
    text = f"study_instance_uid,side,cancer\n{images[0].StudyInstanceUID},{side},1\n"
    table.write_text(text)
    one = first_view(folder)
    assert one.cancer is True
    assert [region.malignant for region in one.regions] == [None, None]  # which of both?
    table.write_text(text.replace(f"{side},1", ",0"))
    assert [region.malignant for region in first_view(folder).regions] == [False, False]
    held.ContentSequence = held.ContentSequence[:1]
    keep(corrected, folder / "corrected.dcm")
    table.write_text(text)
    assert [region.malignant for region in first_view(folder).regions] == [True]
    table.write_text(text.replace(f"{side},1", "X,1"))
    with pytest.raises(Refused, match=r"outcomes\.csv, line 2: side"):
        samples(folder)


def test_a_corrected_result_becomes_a_lesson_and_one_that_nobody_saw_does_not(
    folder: Path, images: list[Dataset], results: dict[str, Dataset]
) -> None:
    keep(results["measurement_report"], folder / "own.dcm")
    fit, left = teachable(samples(folder), judging=True)
    assert not fit
    assert sum(left.values()) == 1
    corrected = by_a_person(results["measurement_report"])
    held = groups(corrected)
    held.ContentSequence = held.ContentSequence[:1]
    keep(corrected, folder / "corrected.dcm")
    (folder / OUTCOMES).write_text(
        f"study_instance_uid,side,cancer\n{images[0].StudyInstanceUID},,1\n"
    )
    fit, left = teachable(samples(folder), judging=True)
    (known,) = map(opened, fit)
    (truth,) = known.truths
    assert (truth.kind, truth.malignant, known.told, known.outlined) == (
        *(Kind.MASS, True, True, True),
    )
    assert truth.box.overlap(finding(Kind.MASS, MASS).box) > 0.9
    assert not left


def test_a_result_about_an_image_that_is_not_there_is_counted(
    folder: Path, results: dict[str, Dataset]
) -> None:
    keep(results["measurement_report"], folder / "own.dcm")
    (folder / "images" / "0.dcm").unlink()
    dropped = samples(folder).dropped
    assert dropped["a result about an image that is not there"] == 1
    assert dcmread(folder / "own.dcm").SOPInstanceUID
