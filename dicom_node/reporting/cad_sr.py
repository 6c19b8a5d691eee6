"""Mammography CAD SR (PS3.16, TID 4000), the object mammography workstations draw.

highdicom cannot hold items by reference, which this template requires, so the tree is our own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import MammographyCADSRStorage

from dicom_node.reporting import codes, content, frame, naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD, Concept, Dialect
from dicom_node.reporting.content import Item, Reference
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Lesion, Source, edition_words
from dicom_node.reporting.words import impression, seen_by, several
from inference.findings import ExamFindings

KIND = "cad_sr"
TEMPLATE = "4000"
MICROMETERS = 1000


def cad_sr(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    dialect: Dialect = STANDARD,
) -> Dataset:
    """Report the findings of an exam; no findings is a report too."""
    first = sources[0].header
    dataset = Dataset()
    names = (
        KIND,
        first.StudyInstanceUID,
        circumstances.round,
        edition_words(exam, circumstances.edition),
    )
    dataset.SOPClassUID = MammographyCADSRStorage
    dataset.SOPInstanceUID = naming.instance_uid(*names)
    frame.copy_patient_and_study(first, dataset)
    frame.sign(dataset, maker)
    dataset.Modality = "SR"
    dataset.SeriesInstanceUID = naming.series_uid(*names)
    dataset.SeriesNumber = frame.series_number(frame.CAD_SR_NUMBER, circumstances.round)
    dataset.SeriesDescription = frame.series_description("CAD SR", circumstances.round)
    dataset.InstanceNumber = circumstances.round
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.PerformedProcedureCodeSequence = []
    dataset.CurrentRequestedProcedureEvidenceSequence = frame.evidence(sources)
    if asked := frame.requests(first):
        dataset.ReferencedRequestSequence = asked
    frame.name_predecessor(dataset, circumstances)
    tree = _report(sources, exam, impression(sources, exam, maker, circumstances))
    tree.number()
    tree.write(dataset, dialect)
    dataset.ContentTemplateSequence = [frame.template(TEMPLATE)]
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def _report(sources: Sequence[Source], exam: ExamFindings, words: str) -> Item:
    library = [_library_entry(source) for source in sources]
    tree = content.container(codes.MAMMOGRAPHY_CAD_REPORT)
    tree.add(content.HAS_CONCEPT_MOD, content.code(codes.LANGUAGE, codes.ENGLISH))
    tree.add(
        content.CONTAINS,
        content.container(codes.IMAGE_LIBRARY).add(content.CONTAINS, *library),
        _summary(sources, library, exam, words),
        _detections(library, exam),
        _analyses(library, exam),
    )
    return tree


def _library_entry(source: Source) -> Item:
    """Describe an image once; findings and algorithms point here (TID 4020)."""
    header, view = source.header, source.view
    entry = content.image(header.SOPClassUID, header.SOPInstanceUID)
    seen = content.code(codes.IMAGE_VIEW, codes.VIEWS[view.projection])
    seen.add(content.HAS_CONCEPT_MOD, *_modifiers(header))
    entry.add(
        content.HAS_ACQ_CONTEXT,
        content.code(codes.IMAGE_LATERALITY, codes.BREASTS[view.side]),
        seen,
        *_orientation(header),
        *_moments(header),
        *_spacing(header),
    )
    return entry


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


def _summary(
    sources: Sequence[Source], library: Sequence[Item], exam: ExamFindings, words: str
) -> Item:
    """Give the answer in one code, the exam's score, and the findings (TID 4001 to 4003)."""
    answer = (
        codes.ALL_SUCCEEDED_WITH_FINDINGS if exam.findings else codes.ALL_SUCCEEDED_WITHOUT_FINDINGS
    )
    summary = content.code(codes.FINDINGS_SUMMARY, answer)
    summary.add(
        content.HAS_PROPERTIES,
        content.text(codes.IMPRESSION_DESCRIPTION, words),
        *_score(exam),
        *_algorithm(exam),
        *_parameters(_members(exam)),
    )
    for source, entry in zip(sources, library, strict=True):
        for lesion in source.lesions:
            opinion = content.container(codes.INDIVIDUAL_IMPRESSION)
            opinion.add(content.HAS_CONCEPT_MOD, _to_be_shown())
            opinion.add(content.CONTAINS, _finding(lesion, entry, exam))
            summary.add(content.INFERRED_FROM, opinion)
    return summary


def _score(exam: ExamFindings) -> Iterator[Item]:
    if exam.cancer_score is not None:
        yield _percent(codes.CERTAINTY_OF_IMPRESSION, exam.cancer_score)


def _finding(lesion: Lesion, entry: Item, exam: ExamFindings) -> Item:
    """Describe one lesion in one image (TID 4006)."""
    finding = lesion.finding
    properties = [
        *_algorithm(exam),
        *(content.text(codes.ALGORITHM_PARAMETERS, words) for words in sightings(lesion, exam)),
        _percent(codes.CERTAINTY_OF_FINDING, finding.score),
    ]
    if finding.cancer_score is not None:
        properties.append(_percent(codes.PROBABILITY_OF_CANCER, finding.cancer_score))
    for name, shape, points in (
        (codes.CENTER, "POINT", (lesion.center,)),
        (codes.OUTLINE, "POLYLINE", lesion.outline),
    ):
        drawn = content.coordinates(name, shape, points)
        properties.append(drawn.add(content.SELECTED_FROM, Reference(entry)))
    if lesion.area_mm2 is not None:
        properties.append(content.number(codes.AREA, lesion.area_mm2, codes.SQUARE_MILLIMETER))
    item = content.code(codes.SINGLE_IMAGE_FINDING, codes.DETECTIONS[finding.kind])
    item.add(content.HAS_CONCEPT_MOD, _to_be_shown())
    item.add(
        content.HAS_OBS_CONTEXT,
        content.text(codes.TRACKING_IDENTIFIER, lesion.name),
        content.uid_reference(codes.TRACKING_UNIQUE_IDENTIFIER, lesion.uid),
    )
    return item.add(content.HAS_PROPERTIES, *properties)


def _detections(library: Sequence[Item], exam: ExamFindings) -> Item:
    """Say what was looked for, and in which images (TID 4015)."""
    return _summarized(
        codes.SUMMARY_OF_DETECTIONS,
        codes.SUCCESSFUL_DETECTIONS,
        [content.code(codes.DETECTION_PERFORMED, codes.DETECTIONS[kind]) for kind in exam.marks],
        library,
        exam,
    )


def _analyses(library: Sequence[Item], exam: ExamFindings) -> Item:
    """Say whether the exam as a whole was judged, which its score stands for (TID 4016)."""
    judged = content.code(codes.ANALYSIS_PERFORMED, codes.OVERALL_IMPRESSION_ANALYSIS)
    return _summarized(
        codes.SUMMARY_OF_ANALYSES,
        codes.SUCCESSFUL_ANALYSES,
        [] if exam.cancer_score is None else [judged],
        library,
        exam,
    )


def _summarized(
    summary: Concept,
    successful: Concept,
    performed: Sequence[Item],
    library: Sequence[Item],
    exam: ExamFindings,
) -> Item:
    """List what was done with all images; nothing is listed below what was not attempted."""
    if not performed:
        return content.code(summary, codes.NOT_ATTEMPTED)
    for one in performed:
        one.add(content.HAS_PROPERTIES, *_algorithm(exam), *map(Reference, library))
    done = content.container(successful).add(content.CONTAINS, *performed)
    return content.code(summary, codes.SUCCEEDED).add(content.INFERRED_FROM, done)


def _algorithm(exam: ExamFindings) -> Iterable[Item]:
    yield content.text(codes.ALGORITHM_NAME, exam.system)
    yield content.text(codes.ALGORITHM_VERSION, exam.version)
    yield from _parameters(_exact(exam))


def parameters(exam: ExamFindings) -> dict[str, str]:
    """Name the exact weights and thresholds behind a result, those of each who agreed too."""
    return _exact(exam) | _members(exam)


def _exact(exam: ExamFindings) -> dict[str, str]:
    return {"bundle sha256": exam.digest, "operating point": exam.operating_point}


def _members(exam: ExamFindings) -> dict[str, str]:
    """Name who agreed; a CAD SR does so once, at the exam's own algorithm."""
    return {
        f"member {member.name}": f"{member.version}, bundle sha256 {member.digest}, "
        f"operating point {member.operating_point}"
        for member in (exam.members if several(exam) else ())
    }


def _parameters(named: Mapping[str, str]) -> Iterable[Item]:
    for name, value in named.items():
        yield content.text(codes.ALGORITHM_PARAMETERS, f"{name} {value}")


def sightings(lesion: Lesion, exam: ExamFindings) -> Iterator[str]:
    """Say who of several saw a lesion."""
    if several(exam):
        yield seen_by(lesion, exam)


def _to_be_shown() -> Item:
    return content.code(codes.RENDERING_INTENT, codes.PRESENTATION_REQUIRED)


def _percent(name: Concept, share: float) -> Item:
    return content.number(name, round(100 * share, 1), codes.PERCENT)
