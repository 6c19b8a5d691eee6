"""Sound objects of every kind, over headers and findings of every sort, for spoiling."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, MammographyCADSRStorage, SegmentationStorage
from spoiling import Scene

from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import uid
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, report
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from inference.findings import ExamFindings, Finding

CAD, MEASURED, SEGMENTED = "cad_sr", "measurement_report", "segmentation"
CLASSES = {
    CAD: MammographyCADSRStorage,
    MEASURED: ComprehensiveSRStorage,
    SEGMENTED: SegmentationStorage,
}


def first_view_alone(exam: ExamFindings, count: int | None = None) -> ExamFindings:
    """Keep the first view that has findings, and so many of them."""
    view = next(view for view in exam.views if view.findings)
    return replace(exam, views=(replace(view, findings=view.findings[:count]),))


def scenes_of(
    prefix: str,
    headers: Sequence[Dataset],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    profile: Profile = PLAIN,
) -> dict[str, Scene]:
    """Build the first object of each kind that there is, and say how it is proved."""

    def proof(dataset: Dataset) -> None:
        origin, unread = Origin(maker, circumstances), circumstances.unread
        prove(dataset, headers, exam, profile=profile, unread=unread, origin=origin)

    built = report(headers, exam, maker, circumstances, KINDS, profile)
    return {
        f"{prefix} {each.kind}": Scene(each.kind, encoded(each.dataset), proof)
        for each in reversed(built)
    }


def later(first: Circumstances, kind: str) -> Circumstances:
    """Replace an object of the round before."""
    before = Predecessor(CLASSES[kind], uid("before"), uid("series before"), 1)
    return replace(first, round=2, predecessor=before, images_added=1)


def changed(headers: Sequence[Dataset], change: Callable[[Dataset], object]) -> list[Dataset]:
    """Change a copy of each header."""
    copies = deepcopy(list(headers))
    for header in copies:
        change(header)
    return copies


def inverse(header: Dataset) -> None:
    """Show white as black, as film digitizers do."""
    header.PhotometricInterpretation, header.PresentationLUTShape = "MONOCHROME1", "INVERSE"


def without_spacing(header: Dataset) -> None:
    """Say nothing of sizes, nor of which way is up."""
    del header.ImagerPixelSpacing
    del header.PatientOrientation


def boxes_alone(exam: ExamFindings) -> ExamFindings:
    """Take the masks away, as detectors have none."""

    def boxed(finding: Finding) -> Finding:
        return replace(finding, mask=None)

    return replace(
        exam,
        views=tuple(replace(v, findings=tuple(map(boxed, v.findings))) for v in exam.views),
    )


def missing(first: Circumstances, header: Dataset) -> Circumstances:
    """Say that a view came which nobody could read."""
    unread = Unread(tidy(header), "RCC", "I18", "the pixels cannot be read", missed=True)
    return replace(first, unread=(unread,))


def all_of(
    headers: Sequence[Dataset],
    exams: Mapping[str, ExamFindings],
    maker: Maker,
    first: Circumstances,
) -> dict[str, Scene]:
    """Build the objects of every sort of headers, findings, rounds and wishes."""
    exam = exams["exam"]
    three = replace(exam, views=exam.views[1:])
    found: dict[str, Scene] = {}
    for name, each in exams.items():
        found |= scenes_of(name, headers, each, maker, first)
    for name, change in (("inverse", inverse), ("no spacing", without_spacing)):
        found |= scenes_of(name, changed(headers, change), exam, maker, first)
    found |= scenes_of("boxes", headers, boxes_alone(exam), maker, first)
    found |= scenes_of("round 2", headers, exam, maker, later(first, CAD))
    found |= scenes_of("partial", headers[1:], three, maker, missing(first, headers[0]))
    old = Profile(codes="SRT", short_meanings=True, geometry="full")
    return found | scenes_of("old codes", headers, exam, maker, first, old)
