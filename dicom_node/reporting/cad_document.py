"""What every Mammography CAD SR has around its answer: the document, the images, the statuses."""

from collections.abc import Iterable, Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes, content, frame, naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import Concept, Dialect
from dicom_node.reporting.content import Item, Reference
from dicom_node.reporting.maker import Maker
from inference.mammogram import Projection, Side

KIND = "cad_sr"
TEMPLATE = "4000"
MICROMETERS = 1000


def document(  # noqa: PLR0913 - what a document follows from, each by its name
    headers: Sequence[Dataset],
    tree: Item,
    maker: Maker,
    circumstances: Circumstances,
    dialect: Dialect,
    *,
    called: str,
    made_of: str,
) -> Dataset:
    """Write a tree as a document about these images; `made_of` tells its UIDs from others'."""
    first = headers[0]
    dataset = Dataset()
    names = (KIND, first.StudyInstanceUID, circumstances.round, made_of)
    dataset.SOPClassUID = MammographyCADSRStorage
    dataset.SOPInstanceUID = naming.instance_uid(*names)
    frame.copy_patient_and_study(first, dataset)
    frame.sign(dataset, maker)
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID = naming.series_uid(*names)
    dataset.SeriesNumber = frame.series_number(frame.CAD_SR_NUMBER, circumstances.round)
    dataset.SeriesDescription = frame.series_description(called, circumstances.round)
    dataset.InstanceNumber = circumstances.round
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.CurrentRequestedProcedureEvidenceSequence = frame.evidence(headers)
    if asked := frame.requests(first):
        dataset.ReferencedRequestSequence = asked
    frame.name_predecessor(dataset, circumstances)
    tree.number()
    tree.write(dataset, dialect)
    dataset.ContentTemplateSequence = [frame.template(TEMPLATE)]
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def report(library: Sequence[Item], *statuses: Item) -> Item:
    """Put the parts of a report together: its language, its images, and what is said of them."""
    tree = content.container(codes.MAMMOGRAPHY_CAD_REPORT)
    tree.add(content.HAS_CONCEPT_MOD, content.code(codes.LANGUAGE, codes.ENGLISH))
    images = content.container(codes.IMAGE_LIBRARY).add(content.CONTAINS, *library)
    return tree.add(content.CONTAINS, images, *statuses)


def entry(header: Dataset, side: str, projection: str) -> Item:
    """Describe an image once; findings and algorithms point here (TID 4020).

    An image that nobody read may be of neither side, or of no view that has a code here.
    """
    image = content.image(header.SOPClassUID, header.SOPInstanceUID)
    if side in codes.BREASTS:
        breast = codes.BREASTS[Side(side)]
        image.add(content.HAS_ACQ_CONTEXT, content.code(codes.IMAGE_LATERALITY, breast))
    if projection in codes.VIEWS:
        seen = content.code(codes.IMAGE_VIEW, codes.VIEWS[Projection(projection)])
        image.add(content.HAS_ACQ_CONTEXT, seen.add(content.HAS_CONCEPT_MOD, *_modifiers(header)))
    return image.add(
        content.HAS_ACQ_CONTEXT, *_orientation(header), *_moments(header), *_spacing(header)
    )


def _modifiers(header: Dataset) -> Iterable[Item]:
    for view in header.get("ViewCodeSequence", []):
        for code in view.get("ViewModifierCodeSequence", []):
            words = (code.get("CodeValue"), code.get("CodingSchemeDesignator"))
            if all(words) and code.get("CodeMeaning"):
                concept = Concept(*words, code.CodeMeaning)
                yield content.code(codes.IMAGE_VIEW_MODIFIER, concept)


def _orientation(header: Dataset) -> Iterable[Item]:
    if header.get("PatientOrientation"):
        row, column = header.PatientOrientation
        yield content.text(codes.PATIENT_ORIENTATION_ROW, row)
        yield content.text(codes.PATIENT_ORIENTATION_COLUMN, column)


def _moments(header: Dataset) -> Iterable[Item]:
    if header.get("StudyDate"):
        yield content.date(codes.STUDY_DATE, header.StudyDate)
    if header.get("StudyTime"):
        yield content.time(codes.STUDY_TIME, header.StudyTime)
    if header.get("ContentDate"):
        yield content.date(codes.CONTENT_DATE, header.ContentDate)
    if header.get("ContentTime"):
        yield content.time(codes.CONTENT_TIME, header.ContentTime)


def _spacing(header: Dataset) -> Iterable[Item]:
    if spacing := header.get("ImagerPixelSpacing"):
        # The first value is between rows, so vertical (PS3.3, 10.7.1.3).
        vertical, horizontal = (MICROMETERS * float(value) for value in spacing)
        yield content.number(codes.HORIZONTAL_PIXEL_SPACING, horizontal, codes.MICROMETER)
        yield content.number(codes.VERTICAL_PIXEL_SPACING, vertical, codes.MICROMETER)


def done(
    summary: Concept,
    successful: tuple[Concept, Sequence[Item]],
    failed: tuple[Concept, Sequence[Item]],
) -> Item:
    """List what was done and what failed; nothing stands below what was not attempted."""
    listed = [(name, items) for name, items in (successful, failed) if items]
    if not listed:
        return content.code(summary, codes.NOT_ATTEMPTED)
    if len(listed) > 1:
        status = codes.PARTIALLY_SUCCEEDED
    else:
        status = codes.SUCCEEDED if successful[1] else codes.FAILED
    return content.code(summary, status).add(
        content.INFERRED_FROM,
        *(content.container(name).add(content.CONTAINS, *items) for name, items in listed),
    )


def performed(item: Item, algorithm: Iterable[Item], library: Iterable[Item]) -> Item:
    """Say by which algorithm, in which images (TID 4017, TID 4018)."""
    return item.add(content.HAS_PROPERTIES, *algorithm, *map(Reference, library))


def algorithm(name: str, version: str, parameters: Mapping[str, str]) -> Iterable[Item]:
    """Name an algorithm (TID 4019)."""
    yield content.text(codes.ALGORITHM_NAME, name)
    yield content.text(codes.ALGORITHM_VERSION, version)
    yield from listed_parameters(parameters)


def listed_parameters(named: Mapping[str, str]) -> Iterable[Item]:
    """List what an algorithm worked with."""
    for name, value in named.items():
        yield content.text(codes.ALGORITHM_PARAMETERS, f"{name} {value}")
