"""What is expected in a measurement report, by the rows of TID 1500 and those below it."""

from collections.abc import Iterator

from dicom_node.reporting import codes, naming
from dicom_node.reporting.cad_sr_proof import tracking
from dicom_node.reporting.codes import STANDARD
from dicom_node.reporting.common_proof import Claim
from dicom_node.reporting.expected_frame import contributors, subject
from dicom_node.reporting.expected_items import (
    A_HUNDREDTH,
    code,
    container,
    document,
    drawing,
    exact,
    image,
    item,
    members,
    number,
    percent,
    settings,
    template,
    text,
)
from dicom_node.reporting.facts import SOME, Facts, Near, faults
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.reporting.words import impression, seen_by, several

CONTINUOUS = "CONTINUOUS"


def contents(claim: Claim) -> Iterator[str]:
    """Check that the report holds what is expected of it, and not a word more."""
    yield from faults(expected(claim), claim.dataset, [STANDARD], "the report")


def source(claim: Claim) -> Source:
    """Return the one image the report is about."""
    (study,) = claim.dataset.CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    (image,) = series.ReferencedSOPSequence
    uid = str(image.ReferencedSOPInstanceUID)
    return {each.view.sop_instance_uid: each for each in claim.sources}[uid]


def expected(claim: Claim) -> Facts:
    """Expect a report of the findings in one image (TID 1500)."""
    about = source(claim)
    groups = [_group(claim, about, lesion) for lesion in about.lesions]
    entries = [_entry(about)]
    library = container("CONTAINS", codes.IMAGE_LIBRARY_GROUP, CONTINUOUS, entries)
    words = text("CONTAINS", codes.COMMENT, _words(claim, about))
    of = subject(claim, "measurement_report", about.header, of_image=True)
    return {
        **document(of, [about.header]),
        "PreliminaryFlag": "PRELIMINARY",
        "ContributingEquipmentSequence": contributors(of),
        "ConceptNameCodeSequence": codes.IMAGING_MEASUREMENT_REPORT,
        "ContinuityOfContent": CONTINUOUS,
        "ContentTemplateSequence": template("1500"),
        "ContentSequence": [
            code("HAS CONCEPT MOD", codes.LANGUAGE, codes.ENGLISH),
            *_observer(claim),
            code("HAS CONCEPT MOD", codes.PROCEDURE_REPORTED, codes.IMAGING_PROCEDURE),
            container("CONTAINS", codes.IMAGE_LIBRARY, CONTINUOUS, [library]),
            container("CONTAINS", codes.IMAGING_MEASUREMENTS, CONTINUOUS, groups),
            container("CONTAINS", codes.QUALITATIVE_EVALUATIONS, "SEPARATE", [words]),
        ],
    }


def _observer(claim: Claim) -> list[Facts]:
    """Expect the device as who observed (TID 1004)."""
    how, maker = "HAS OBS CONTEXT", None if claim.origin is None else claim.origin.maker
    uid: object = SOME
    if maker is not None:
        uid = str(naming.device_uid(maker.manufacturer, maker.model, maker.serial_number))
    return [
        code(how, codes.OBSERVER_TYPE, codes.DEVICE),
        item(how, "UIDREF", codes.DEVICE_OBSERVER_UID, UID=uid),
        text(how, codes.DEVICE_OBSERVER_NAME, SOME if maker is None else maker.model),
        text(
            how, codes.DEVICE_OBSERVER_MANUFACTURER, SOME if maker is None else maker.manufacturer
        ),
        text(how, codes.DEVICE_OBSERVER_MODEL, SOME if maker is None else maker.model),
        text(how, codes.DEVICE_OBSERVER_SERIAL, SOME if maker is None else maker.serial_number),
    ]


def _entry(about: Source) -> Facts:
    """Expect the image, described by its header (TID 1601)."""
    header, how = about.header, "HAS ACQ CONTEXT"
    sizes = ((codes.PIXEL_DATA_ROWS, header.Rows), (codes.PIXEL_DATA_COLUMNS, header.Columns))
    below = [
        code(how, codes.MODALITY, codes.MAMMOGRAPHY),
        *(
            item(how, "UIDREF", codes.FRAME_OF_REFERENCE_UID, UID=str(header[keyword].value))
            for keyword in ("FrameOfReferenceUID",)
            if header.get(keyword)
        ),
        *(number(how, name, Near(int(size), 0), codes.PIXELS) for name, size in sizes),
    ]
    if header.get("PatientOrientation"):
        row, column = header.PatientOrientation
        below.append(text(how, codes.PATIENT_ORIENTATION_ROW, str(row)))
        below.append(text(how, codes.PATIENT_ORIENTATION_COLUMN, str(column)))
    if header.get("ImagerPixelSpacing"):
        between_rows, between_columns = map(float, header.ImagerPixelSpacing)
        for name, spacing_mm in (
            (codes.HORIZONTAL_PIXEL_SPACING, between_columns),
            (codes.VERTICAL_PIXEL_SPACING, between_rows),
        ):
            near = Near(spacing_mm, 1e-6 * spacing_mm)
            below.append(number(how, name, near, codes.MILLIMETER))
    return image("CONTAINS", codes.SOURCE, header, *below)


def _group(claim: Claim, about: Source, lesion: Lesion) -> Facts:
    """Expect a finding as a measured region (TID 1410)."""
    exam, finding, how = claim.exam, lesion.finding, "HAS CONCEPT MOD"
    side = code(how, codes.LATERALITY, codes.SIDES[about.view.side])
    parameters = [*exact(exam), *members(exam), *settings(claim.settings)]
    if several(exam):
        parameters.append(seen_by(lesion, exam))
    below = [
        *tracking(lesion.name, str(lesion.uid)),
        code("CONTAINS", codes.FINDING, codes.LESIONS[finding.kind]),
        code(how, codes.FINDING_SITE, codes.BREAST, side),
        text(how, codes.ALGORITHM_NAME, exam.system),
        text(how, codes.ALGORITHM_VERSION, exam.version),
        *(text(how, codes.ALGORITHM_PARAMETERS, words) for words in parameters),
        code(how, codes.ALGORITHM_FAMILY, codes.ARTIFICIAL_INTELLIGENCE),
    ]
    if finding.cancer_score is not None:
        below.append(percent("CONTAINS", codes.PROBABILITY_OF_CANCER, finding.cancer_score))
    below.append(percent("CONTAINS", codes.CERTAINTY_OF_FINDING, finding.score))
    if lesion.area_mm2 is not None:
        area = Near(lesion.area_mm2, A_HUNDREDTH)
        below.append(number("CONTAINS", codes.AREA, area, codes.SQUARE_MILLIMETER))
    selected = image("SELECTED FROM", codes.SOURCE, about.header)
    below.append(drawing("CONTAINS", codes.IMAGE_REGION, "POLYLINE", lesion.outline, selected))
    group = container("CONTAINS", codes.MEASUREMENT_GROUP, CONTINUOUS, below)
    return {**group, "ContentTemplateSequence": template("1410")}


def _words(claim: Claim, about: Source) -> object:
    """Expect the whole impression, and which image this report is about."""
    if claim.origin is None:
        return SOME
    circumstances = claim.origin.circumstances.of_image(
        "measurement_report",
        str(about.header.StudyInstanceUID),
        about.view.sop_instance_uid,
    )
    said = impression(claim.sources, claim.exam, claim.origin.maker, circumstances)
    return f"{said} This report holds the findings in {about.name} alone."
