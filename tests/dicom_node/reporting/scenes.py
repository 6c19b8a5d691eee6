"""Sound objects of every kind, over headers and findings of every sort, for spoiling."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage, MammographyCADSRStorage, SegmentationStorage
from spoiling import Scene

from dicom_node.reporting.circumstances import Circumstances, Predecessor
from dicom_node.reporting.common_proof import Origin
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import uid
from dicom_node.reporting.proof import prove
from dicom_node.reporting.report import KINDS, report
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
) -> dict[str, Scene]:
    """Build the first object of each kind that there is, and say how it is proved."""

    def proof(dataset: Dataset) -> None:
        prove(dataset, headers, exam, origin=Origin(maker, circumstances))

    built = report(headers, exam, maker, circumstances, KINDS)
    return {
        f"{prefix} {each.kind}": Scene(each.kind, encoded(each.dataset), proof)
        for each in reversed(built)
    }


def later(first: Circumstances, kind: str) -> Circumstances:
    """Replace an object of the round before."""
    before = Predecessor(CLASSES[kind], uid("before"), uid("series before"), 1)
    return replace(first, round=2, predecessor=before, images_added=1)


def of_headers(
    make: Callable[[], list[Dataset]], change: Callable[[Dataset], object]
) -> list[Dataset]:
    """Make headers and change each."""
    headers = make()
    for header in headers:
        change(header)
    return headers


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
