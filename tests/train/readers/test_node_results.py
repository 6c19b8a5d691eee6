"""What the node wrote, and what people made of it in other tools, comes back as lessons."""

import json
import subprocess
import sys
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, config, dcmread
from pydicom.uid import generate_uid

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.report import KINDS, report
from inference.findings import Box, ExamFindings, Finding, Kind, Mask, ViewFindings
from inference.mammogram import Mammogram
from inference.reading import read
from phantom.dicom import datasets
from phantom.study import study
from train.data.pixels import mammogram
from train.data.readers.node_results import CORRECTED, OUTCOMES, UNSEEN, samples
from train.data.sample import Sample
from train.data.truths import marked
from train.errors import Refused

MAKER = Maker("Our hospital", "Our node", "1.0", "1", "For research use only.")
FOR_SLICER = Profile(geometry="full")  # it opens no other segmentation
MASS = Mask(30, 60, np.hypot(*np.mgrid[-9:10, -9:10]) <= 9)
SPECKS = Mask(20, 100, np.zeros((12, 14), np.bool_))
for _row, _column in ((0, 0), (4, 12), (10, 5), (11, 13)):
    SPECKS.pixels[_row, _column] = True


def finding(kind: Kind, mask: Mask) -> Finding:
    height, width = mask.pixels.shape
    box = Box(mask.left, mask.top, mask.left + width, mask.top + height)
    return Finding(kind, box, 0.9, 0.8, mask, ("shared_trunk",))


@pytest.fixture(scope="module")
def images() -> list[Dataset]:
    """Return the four views of a patient."""
    return datasets(study(7, pitch_mm=1.0))


def found(images: Sequence[Dataset]) -> ExamFindings:
    """Return findings in the first view, a mass and a cluster, and none in the others."""
    views = [view_of(read(image), ()) for image in images]
    lesions = (finding(Kind.MASS, MASS), finding(Kind.CALCIFICATION, SPECKS))
    views[0] = replace(views[0], findings=lesions)
    return ExamFindings(
        system="shared_trunk",
        version="1.0",
        digest="ab" * 32,
        operating_point="balanced",
        marks=tuple(Kind),
        cancer_score=0.8,
        views=tuple(views),
    )


def view_of(view: Mammogram, findings: tuple[Finding, ...]) -> ViewFindings:
    return ViewFindings(view.sop_instance_uid, view.side, view.projection, 0.5, findings)


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


def keep(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    with config.disable_value_validation():  # as viewers write it
        path.write_bytes(encoded(dataset))
    return path


def first_view(folder: Path) -> Sample:
    (one,) = [one for one in samples(folder) if one.image.name == "0.dcm"]
    return one


def masks(one: Sample) -> list[np.ndarray]:
    rows, columns = mammogram(one).pixels.shape
    laid = [marked(region.outline, rows, columns) for region in one.regions]
    return [each.mask.on(rows, columns) for each in laid if each is not None]


def later(dataset: Dataset) -> Dataset:
    """Make a copy as another tool would save it, an hour later."""
    copy = deepcopy(dataset)
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    copy.ContentTime = "130000"
    return copy


def by_a_person(dataset: Dataset) -> Dataset:
    """Verify a report."""
    corrected = later(dataset)
    corrected.VerificationFlag = "VERIFIED"
    return corrected


def groups(dataset: Dataset) -> Dataset:
    """Return the container of the measurement groups."""
    (held,) = [
        item
        for item in dataset.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "126010"
    ]
    return held


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


def code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def content(kind: str, name: Dataset, below: Sequence[Dataset] = ()) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = [name]
    if below:
        item.ContentSequence = list(below)
    return item


def coordinates(shape: str, numbers: Sequence[float], image: Dataset) -> Dataset:
    item = content("SCOORD", code("111030", "DCM", "Image Region"))
    item.GraphicType, item.GraphicData = shape, list(numbers)
    selected = Dataset()
    selected.RelationshipType, selected.ValueType = "SELECTED FROM", "IMAGE"
    reference = Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    selected.ReferencedSOPSequence = [reference]
    item.ContentSequence = [selected]
    return item


def drawn_in_a_viewer(results: dict[str, Dataset], drawn: Sequence[Dataset]) -> Dataset:
    """Write a report as OHIF does: a person's, each outline under the number measured with it."""
    made = later(results["measurement_report"])
    groups_made = []
    for outline in drawn:
        named = content("CODE", code("121071", "DCM", "Finding"))
        with config.disable_value_validation():
            named.ConceptCodeSequence = [code("CORNERSTONEFREETEXT", "CORNERSTONEJS", "Mass, left")]
        number = content("NUM", code("42798000", "SCT", "Area"), [outline])
        groups_made.append(
            content("CONTAINER", code("125007", "DCM", "Measurement Group"), [named, number])
        )
    observer = content("PNAME", code("121008", "DCM", "Person Observer Name"))
    observer.PersonName = "unknown^unknown"
    measured = content("CONTAINER", code("126010", "DCM", "Imaging Measurements"), groups_made)
    made.ContentSequence = [observer, measured]
    return made


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


def placed(image: Dataset) -> Dataset:
    """Lay an image in a space, as 3D Slicer does before it saves what was painted on it."""
    copy = deepcopy(image)
    copy.FrameOfReferenceUID = generate_uid()
    copy.ImagePositionPatient, copy.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    copy.PixelSpacing, copy.SliceThickness = [1, 1], 1
    return copy


def dcmqi(program: str, *arguments: object) -> None:
    """Run one of 3D Slicer's converters."""
    command = [Path(sys.executable).with_name(program), *map(str, arguments)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


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


def test_a_result_about_an_image_that_is_not_there_is_counted(
    folder: Path, results: dict[str, Dataset]
) -> None:
    keep(results["measurement_report"], folder / "own.dcm")
    (folder / "images" / "0.dcm").unlink()
    dropped = samples(folder).dropped
    assert dropped["a result about an image that is not there"] == 1
    assert dcmread(folder / "own.dcm").SOPInstanceUID
