"""An exam of four mammograms, as headers and findings, small enough to build in milliseconds."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from ended_case import PACS
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian
from scenes import all_of
from spoiling import Scene

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import uid
from dicom_node.reporting.report import KINDS, report
from dicom_node.settings.file import Settings
from dicom_node.wiring import Node
from inference.findings import Box, ExamFindings, Finding, Kind, Mask, Member, ViewFindings
from inference.mammogram import Projection, Side

ROWS, COLUMNS = 640, 512
VIEWS = [(side, projection) for projection in Projection for side in (Side.RIGHT, Side.LEFT)]
CODES = {
    Projection.CC: ("399162004", "SCT", "cranio-caudal"),
    Projection.MLO: ("399368009", "SCT", "medio-lateral oblique"),
}


def header(side: Side, projection: Projection) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid("image", side, projection)
    dataset.PatientName, dataset.PatientID = "Ĝarcía^Zoë", "SYN001"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19650412", "F", "060Y"
    dataset.StudyInstanceUID = uid("study")
    dataset.StudyDate, dataset.StudyTime = "20250901", "101500"
    dataset.StudyID, dataset.AccessionNumber = "1", "ACC1"
    dataset.StudyDescription, dataset.ReferringPhysicianName = "MAMMO SCREENING", ""
    dataset.Modality, dataset.SeriesNumber = "MG", 1 + VIEWS.index((side, projection))
    dataset.SeriesInstanceUID = uid("series", side, projection)
    dataset.Manufacturer, dataset.ManufacturerModelName = "Phantom", "Mammomat of paper"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "1", "1.0"
    dataset.AcquisitionDate = dataset.ContentDate = "20250901"
    dataset.AcquisitionTime = dataset.ContentTime = "101600"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    left = side == Side.LEFT
    rows = "A" if left else "P"
    dataset.PatientOrientation = [
        rows,
        ("R" if left else "L") if projection == Projection.CC else ("FR" if left else "FL"),
    ]
    dataset.Rows, dataset.Columns = ROWS, COLUMNS
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME2", "IDENTITY"
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 16, 12, 0
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.ImageLaterality = side.value
    dataset.ImagerPixelSpacing = [0.07, 0.07]
    view = Dataset()
    view.CodeValue, view.CodingSchemeDesignator, view.CodeMeaning = CODES[projection]
    dataset.ViewCodeSequence = [view]
    step = Dataset()
    step.RequestedProcedureID, step.ScheduledProcedureStepID = "RP1", "SPS1"
    dataset.RequestAttributesSequence = [step]
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.BurnedInAnnotation = "NO"
    return dataset


def disk(column: int, row: int, radius: int) -> Mask:
    across, down = np.meshgrid(np.arange(-radius, radius + 1), np.arange(-radius, radius + 1))
    return Mask(column - radius, row - radius, across**2 + down**2 <= radius**2)


def specks(left: int, top: int) -> Mask:
    pixels = np.zeros((40, 60), dtype=np.bool_)
    for row, column in ((2, 30), (10, 5), (12, 50), (20, 28), (33, 12), (35, 44)):
        pixels[row : row + 4, column : column + 4] = True
    return Mask(left, top, pixels)


def around(mask: Mask) -> Box:
    height, width = mask.pixels.shape
    return Box(mask.left, mask.top, mask.left + width, mask.top + height)


def finding(kind: Kind, mask: Mask, score: float, cancer_score: float | None) -> Finding:
    return Finding(kind, around(mask), score, cancer_score, mask, ("shared_trunk",))


def exam_of(findings: dict[tuple[Side, Projection], tuple[Finding, ...]]) -> ExamFindings:
    views = tuple(
        ViewFindings(
            sop_instance_uid=uid("image", side, projection),
            side=side,
            projection=projection,
            cancer_score=0.8 if (side, projection) in findings else 0.03,
            findings=findings.get((side, projection), ()),
        )
        for side, projection in VIEWS
    )
    return ExamFindings(
        system="shared_trunk",
        version="1.2.0",
        digest="ab" * 32,
        operating_point="screening",
        marks=tuple(Kind),
        cancer_score=0.825,
        views=views,
    )


@pytest.fixture
def headers() -> list[Dataset]:
    return [header(side, projection) for side, projection in VIEWS]


@pytest.fixture(scope="session")
def exam() -> ExamFindings:
    boxed = Finding(Kind.MASS, Box(100.5, 60, 180.25, 130), 0.31, None, None, ("shared_trunk",))
    return exam_of(
        {
            (Side.LEFT, Projection.CC): (
                finding(Kind.MASS, disk(200, 300, 40), 0.913, 0.83),
                finding(Kind.CALCIFICATION, specks(90, 200), 0.6, None),
            ),
            (Side.LEFT, Projection.MLO): (
                finding(Kind.MASS, disk(210, 320, 35), 0.8, 0.71),
                finding(Kind.MASS, disk(260, 120, 20), 0.5, 0.2),
                boxed,
            ),
        }
    )


@pytest.fixture(scope="session")
def clear_exam() -> ExamFindings:
    return exam_of({})


@pytest.fixture(scope="session")
def masses_only(exam: ExamFindings) -> ExamFindings:
    """Hold what a system that looks for masses alone, and judges nothing, would have seen."""
    views = tuple(
        replace(
            view,
            cancer_score=None,
            findings=tuple(found for found in view.findings if found.kind is Kind.MASS),
        )
        for view in exam.views
    )
    return replace(exam, system="ft_mtl", marks=(Kind.MASS,), cancer_score=None, views=views)


@pytest.fixture(scope="session")
def scored_only(clear_exam: ExamFindings) -> ExamFindings:
    """Hold what a system that marks nothing would have said."""
    return replace(clear_exam, system="all_conv", marks=())


@pytest.fixture(scope="session")
def agreement(exam: ExamFindings) -> ExamFindings:
    """Hold what three bundles agreed on: every mass was seen by two, every calcification by one."""
    both, masses = tuple(Kind), (Kind.MASS,)
    views = tuple(
        replace(
            view,
            findings=tuple(
                replace(
                    found,
                    systems=("shared_trunk", "ft_mtl")[: 1 + (found.kind is Kind.MASS)],
                    scores=(found.score, found.score / 3)[: 1 + (found.kind is Kind.MASS)],
                    uncertainty=0.7 if found.kind is Kind.MASS else None,
                )
                for found in view.findings
            ),
            uncertainty=0.3,
        )
        for view in exam.views
    )
    return replace(
        exam,
        system="agreement",
        version="1.2.0+1.0.0+0.3.0",
        digest="ef" * 32,
        views=views,
        members=(
            Member("shared_trunk", "shared_trunk", "A", "1.2.0", "ab" * 32, "quiet", both, 0.7),
            Member("ft_mtl", "ft_mtl", "B", "1.0.0", "bc" * 32, "quiet", masses, 0.91),
            Member("all_conv", "all_conv", "C", "0.3.0", "cd" * 32, "quiet", (), None),
        ),
        uncertainty=0.73,
    )


@pytest.fixture(scope="session")
def maker() -> Maker:
    return Maker("Nobody", "Four Views", "0.1.0", "SN-1", "For research use only.")


@pytest.fixture(scope="session")
def first_round() -> Circumstances:
    return Circumstances(1, datetime(2025, 9, 1, 10, 30, tzinfo=UTC), None, 0)


@pytest.fixture(scope="session")
def written(exam: ExamFindings, maker: Maker, first_round: Circumstances) -> dict[str, bytes]:
    """Hold one object of each kind as a file would; the segmentation is of the LCC view."""
    sources = [header(side, projection) for side, projection in VIEWS]
    built = report(sources, exam, maker, first_round, KINDS)
    return {each.kind: encoded(each.dataset) for each in reversed(built)}


def image(of: Dataset) -> Dataset:
    """Add pixels to a header: a bright half disk at the chest wall, darker towards its rim."""
    dataset = deepcopy(of)
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float64)
    away = columns if dataset.ImageLaterality == "L" else COLUMNS - 1 - columns
    across = np.hypot(away / (0.6 * COLUMNS), (rows - ROWS / 2) / (0.45 * ROWS))
    phase = int(dataset.SeriesNumber)
    texture = 120 * np.sin(rows / 9 + phase) * np.cos(columns / 7)
    stored = np.where(across < 1, 3000 - 1600 * across + texture, 60).astype(np.uint16)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        stored = 4095 - stored
    dataset.SamplesPerPixel, dataset.HighBit = 1, 11
    dataset.PixelData = stored.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def lightbox_of(headers: Sequence[Dataset]) -> Lightbox:
    by_uid = {str(each.SOPInstanceUID): each for each in headers}
    return Lightbox(lambda sop_uid: image(by_uid[sop_uid]))


@pytest.fixture
def lightbox(headers: list[Dataset]) -> Lightbox:
    return lightbox_of(headers)


@pytest.fixture(scope="session")
def scenes(  # noqa: PLR0913, PLR0917 - every sort of exam
    exam: ExamFindings,
    clear_exam: ExamFindings,
    agreement: ExamFindings,
    masses_only: ExamFindings,
    scored_only: ExamFindings,
    maker: Maker,
    first_round: Circumstances,
) -> dict[str, Scene]:
    """Hold sound objects of each kind, by the name of what they are of."""
    exams = {
        "exam": exam,
        "clear": clear_exam,
        "agreement": agreement,
        "masses only": masses_only,
        "scored only": scored_only,
    }
    sources = [header(side, projection) for side, projection in VIEWS]
    return all_of(sources, exams, maker, first_round)


@pytest.fixture
def telling_node(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> Callable[..., Node]:
    """Open nodes that have these destinations; one that wants all that is usual is enough."""

    def make(*destinations: dict[str, Any], **reporting: Any) -> Node:  # noqa: ANN401
        wanted = {"destinations": list(destinations or (PACS,))}
        return opened(settled(delivering=wanted, reporting=reporting))

    return make
