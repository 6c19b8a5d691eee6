"""Measurement report (PS3.16, TID 1500), which general viewers draw.

One report an image, each in its own series: OHIF draws the outlines of one image of a report, and
takes the newest report of a series. It is written only where there are findings: viewers have
failed on reports without content. It holds no scores of whole images: a group without coordinates
breaks the whole report in OHIF.
"""

from collections.abc import Sequence
from copy import deepcopy

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.dataset import Dataset

from dicom_node.reporting import codes, content, frame, naming
from dicom_node.reporting.cad_sr import parameters, sightings
from dicom_node.reporting.changes import decimals
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import Concept
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.sources import Lesion, Source, edition_words
from dicom_node.reporting.words import impression
from inference.findings import ExamFindings

KIND = "measurement_report"


def measurement_report(
    sources: Sequence[Source],
    exam: ExamFindings,
    maker: Maker,
    circumstances: Circumstances,
    place: int,
) -> Dataset:
    """Report each finding in the image at this place as a measured region of it."""
    source = sources[place - 1]
    header = _described(source.header)
    study_uid, image_uid = header.StudyInstanceUID, header.SOPInstanceUID
    names = (
        KIND,
        study_uid,
        circumstances.round,
        edition_words(exam, circumstances.edition),
        image_uid,
    )
    circumstances = circumstances.of_image(KIND, study_uid, image_uid)
    number = frame.MEASUREMENT_REPORT_NUMBER + place
    dataset = ComprehensiveSR(
        evidence=[header],
        content=_content(source, header, exam, maker, circumstances.settings),
        series_instance_uid=naming.series_uid(*names),
        series_number=frame.series_number(number, circumstances.round),
        sop_instance_uid=naming.instance_uid(*names),
        instance_number=circumstances.round,
        manufacturer=maker.manufacturer,
        is_complete=True,
        series_description=frame.series_description(
            f"measurements {source.name}", circumstances.round
        ),
        requested_procedures=frame.requests(header) or None,
    )
    _leave_out_unknown(dataset)
    held = f"This report holds the findings in {source.name} alone."
    _add_statement(dataset, f"{impression(sources, exam, maker, circumstances)} {held}")
    frame.copy_patient_and_study(source.header, dataset)
    frame.sign(dataset, maker)
    frame.name_predecessor(dataset, circumstances)
    frame.stamp(dataset, circumstances.made_at)
    frame.seal(dataset)
    return dataset


def _content(
    source: Source, header: Dataset, exam: ExamFindings, maker: Maker, settings: str
) -> MeasurementReport:
    device = DeviceObserverIdentifyingAttributes(
        uid=naming.device_uid(maker.manufacturer, maker.model, maker.serial_number),
        name=maker.model,
        manufacturer_name=maker.manufacturer,
        model_name=maker.model,
        serial_number=maker.serial_number,
    )
    observer = ObserverContext(_concept(codes.DEVICE), device)
    return MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=_concept(codes.IMAGING_PROCEDURE),
        imaging_measurements=[_group(source, lesion, exam, settings) for lesion in source.lesions],
        title=_concept(codes.IMAGING_MEASUREMENT_REPORT),
        referenced_images=[header],
    )


def _group(
    source: Source, lesion: Lesion, exam: ExamFindings, settings: str
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    """Describe one lesion in one image (TID 1410)."""
    finding = lesion.finding
    region = ImageRegion(
        GraphicTypeValues.POLYLINE,
        np.array(lesion.outline),
        source_image=SourceImageForRegion.from_source_image(source.header),
    )
    certainty = round(100 * finding.score, decimals(finding.score))
    measured = [(codes.CERTAINTY_OF_FINDING, certainty, codes.PERCENT)]
    if finding.cancer_score is not None:
        probability = round(100 * finding.cancer_score, decimals(finding.cancer_score))
        measured.insert(0, (codes.PROBABILITY_OF_CANCER, probability, codes.PERCENT))
    if lesion.area_mm2 is not None:
        measured.append((codes.AREA, lesion.area_mm2, codes.SQUARE_MILLIMETER))
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=lesion.uid, identifier=lesion.name),
        referenced_region=region,
        finding_type=_concept(codes.LESIONS[finding.kind]),
        finding_sites=[
            FindingSite(_concept(codes.BREAST), laterality=_concept(codes.SIDES[source.view.side]))
        ],
        algorithm_id=AlgorithmIdentification(
            name=exam.system,
            version=exam.version,
            family=_concept(codes.ARTIFICIAL_INTELLIGENCE),
            parameters=[
                *(f"{name} {value}" for name, value in parameters(exam, settings).items()),
                *sightings(lesion, exam),
            ],
        ),
        measurements=[
            Measurement(name=_concept(name), value=value, unit=_concept(unit))
            for name, value, unit in measured
        ],
    )


def _concept(concept: Concept) -> CodedConcept:
    return CodedConcept.from_code(concept.code)


UNKNOWN = "unknown"  # stands for what a header does not say while highdicom insists on it


def _described(header: Dataset) -> Dataset:
    """Return a header that has what highdicom's image library reads."""
    if header.get("PatientOrientation") and header.get("ImagerPixelSpacing"):
        return header
    described = deepcopy(header)
    if not header.get("PatientOrientation"):
        described.PatientOrientation = [UNKNOWN, UNKNOWN]
    if not header.get("ImagerPixelSpacing"):
        described.ImagerPixelSpacing = [0, 0]
    return described


def _leave_out_unknown(dataset: Dataset) -> None:
    """Take out of the image library what no header said."""
    for item in dataset.get("ContentSequence", []):
        kept = [child for child in item.get("ContentSequence", []) if not _is_unknown(child)]
        if "ContentSequence" in item:
            item.ContentSequence = kept
        _leave_out_unknown(item)


def _is_unknown(item: Dataset) -> bool:
    if item.ValueType == "TEXT":
        return bool(item.TextValue == UNKNOWN)
    name = item.ConceptNameCodeSequence[0].CodeValue if "ConceptNameCodeSequence" in item else ""
    spacings = {codes.HORIZONTAL_PIXEL_SPACING.value, codes.VERTICAL_PIXEL_SPACING.value}
    return name in spacings and float(item.MeasuredValueSequence[0].NumericValue) == 0


def _add_statement(dataset: Dataset, words: str) -> None:
    """Put the impression where people read it: a comment of its own (TID 1500, row 14)."""
    said = content.container(codes.QUALITATIVE_EVALUATIONS)
    said.add(content.CONTAINS, content.text(codes.COMMENT, words))
    item = Dataset()
    item.RelationshipType = content.CONTAINS
    said.write(item)
    dataset.ContentSequence = [*dataset.ContentSequence, item]
