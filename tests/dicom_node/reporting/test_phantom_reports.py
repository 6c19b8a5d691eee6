"""Reports of the phantom's studies, whose headers are written in seven makers' styles."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import validators
from pydicom.dataset import Dataset

from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import marks
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, KINDS_ON_DEMAND, report
from inference.findings import Box, ExamFindings, Finding, Kind, Mask, ViewFindings
from inference.mammogram import Projection, Side
from phantom.dicom import PRESETS, datasets
from phantom.patient import Wanted
from phantom.study import Study, study
from phantom.view import View

PITCH_MM = 0.4  # a sixteenth of the pixels; the headers are the same


@pytest.fixture(scope="module")
def screened() -> Study:
    return study(
        11, pitch_mm=PITCH_MM, lesions=[Wanted("mass", True), Wanted("calcification", False)]
    )


def seen(view: View) -> Iterator[Finding]:
    for lesion in view.lesions:
        box = Box(lesion.left, lesion.top, lesion.right, lesion.bottom)
        mask = Mask(lesion.left, lesion.top, lesion.mask)
        yield Finding(Kind(lesion.lesion.kind), box, 0.9, 0.7, mask, ("shared_trunk",))


def read(images: list[Dataset], truth: Study) -> ExamFindings:
    views = tuple(
        ViewFindings(
            str(image.SOPInstanceUID),
            Side(view.side),
            Projection(view.projection),
            0.7 if view.lesions else 0.1,
            tuple(seen(view)),
        )
        for image, view in zip(images, truth.views, strict=True)
    )
    return ExamFindings(
        system="shared_trunk",
        version="1.0.0",
        digest="cd" * 32,
        operating_point="screening",
        marks=tuple(Kind),
        cancer_score=0.7,
        views=views,
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_every_makers_headers_get_sound_reports(
    preset: str,
    tmp_path: Path,
    screened: Study,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    images = datasets(screened, preset=preset)
    for image in images:
        del image.PixelData
    exam = read(images, screened)
    built = report(images, exam, maker, first_round, KINDS)
    views_with_findings = sum(bool(view.findings) for view in exam.views)
    assert len(built) == 1 + 2 * views_with_findings >= 5
    assert len(marks(built[0].dataset)) == 2 * len(exam.findings)
    for number, each in enumerate(built):
        prove(each.dataset, images, exam)
        path = tmp_path / f"{number}-{each.kind}.dcm"
        path.write_bytes(encoded(each.dataset))
        assert validators.dciodvfy_errors(path) == []
        if each.kind != "segmentation":
            assert validators.dsrdump_errors(path) == []


@pytest.mark.parametrize("preset", PRESETS)
def test_every_makers_images_get_sound_pictures(
    preset: str,
    tmp_path: Path,
    screened: Study,
    maker: Maker,
    first_round: Circumstances,
) -> None:
    images = datasets(screened, preset=preset)
    exam = read(images, screened)
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    lightbox = Lightbox(lambda sop_uid: by_uid[sop_uid])
    built = report(images, exam, maker, first_round, KINDS_ON_DEMAND, lightbox=lightbox)
    assert len(built) == 2 + sum(bool(view.findings) for view in exam.views) >= 4
    for number, each in enumerate(built):
        prove(each.dataset, images, exam, lightbox)
        path = tmp_path / f"{number}-{each.kind}.dcm"
        path.write_bytes(encoded(each.dataset))
        assert validators.dciodvfy_errors(path) == []
        if each.kind == "presentation_state" and str(images[0].PatientName).isascii():
            assert validators.dcmpschk_errors(path) == []
