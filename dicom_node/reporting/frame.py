"""What every object has in common: whose it is, who made it, when, and how it is encoded."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.reporting import naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.naming import IMPLEMENTATION_NAME, IMPLEMENTATION_UID
from dicom_node.reporting.tidy import PATIENT_AND_STUDY

OPTIONAL = (  # type 3 of the patient and the study: copied where the source has them
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientComments",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ProcedureCodeSequence",
    "TimezoneOffsetFromUTC",
)

CAD_SR_NUMBER = 9001  # series numbers from 9000 on sort behind the images
MEASUREMENT_REPORT_NUMBER = 9010
SEGMENTATION_NUMBER = 9100
PRESENTATION_STATE_NUMBER = 9200
SECONDARY_CAPTURE_NUMBER = 9300
SUMMARY_NUMBER = 9400
REJECTION_NUMBER = 9999  # behind all that it takes back
ROUND_STEP = 1000


def series_number(first: int, round_: int) -> int:
    """Give a series its number; later rounds sort behind earlier ones."""
    return first + ROUND_STEP * (round_ - 1)


def series_description(words: str, round_: int) -> str:
    """Describe a series in a viewer's list."""
    again = f" (round {round_})" if round_ > 1 else ""
    return f"AI {words}, research use only{again}"


def begun(
    names: tuple[str, str, int, str],
    sop_class_uid: str,
    series: tuple[int, str],
    source: Dataset,
    maker: Maker,
    circumstances: Circumstances,
) -> Dataset:
    """Begin an object that stands alone in its series: named, signed, of that patient and study."""
    target = Dataset()
    target.SOPClassUID = sop_class_uid
    target.SOPInstanceUID = naming.instance_uid(*names)
    copy_patient_and_study(source, target)
    sign(target, maker)
    number, words = series
    target.SeriesInstanceUID = naming.series_uid(*names)
    target.SeriesNumber = series_number(number, circumstances.round)
    target.SeriesDescription = series_description(words, circumstances.round)
    target.InstanceNumber = circumstances.round
    return target


def copy_patient_and_study(source: Dataset, target: Dataset) -> None:
    """Copy whose object this is, and of which study, word for word."""
    target.SpecificCharacterSet = source.SpecificCharacterSet
    target.StudyInstanceUID = source.StudyInstanceUID
    for keyword in (*PATIENT_AND_STUDY, *OPTIONAL):
        if keyword in source:
            target[keyword] = deepcopy(source[keyword])


def sign(target: Dataset, maker: Maker) -> None:
    """Name the device as the maker."""
    target.Manufacturer = maker.manufacturer
    target.ManufacturerModelName = maker.model
    target.SoftwareVersions = maker.software_version
    target.DeviceSerialNumber = maker.serial_number


def stamp(target: Dataset, made_at: datetime) -> None:
    """Write one moment wherever the object says when it was made.

    highdicom reads the clock; an object must follow from its inputs alone. Where it repeats the
    images' offset from UTC, that offset is said of these times too (PS3.3, C.12.1.1.8).
    """
    made_at = _with_the_offset_of(target, made_at)
    day, time = made_at.strftime("%Y%m%d"), made_at.strftime("%H%M%S")
    for what in ("InstanceCreation", "Series", "Content"):
        setattr(target, f"{what}Date", day)
        setattr(target, f"{what}Time", time)
    for equipment in target.get("ContributingEquipmentSequence", []):
        if equipment.get("ManufacturerModelName") == "highdicom":
            equipment.ContributionDateTime = day + time


def _with_the_offset_of(target: Dataset, moment: datetime) -> datetime:
    try:
        offset = datetime.strptime(str(target.get("TimezoneOffsetFromUTC") or ""), "%z")
    except ValueError:
        return moment
    return moment.astimezone(offset.tzinfo)


def seal(target: Dataset) -> None:
    """Give the object its file meta information: explicit VR little endian, written by us."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = target.SOPClassUID
    meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = IMPLEMENTATION_NAME
    target.file_meta = meta
    target.preamble = b"\0" * 128


def encoded(dataset: Dataset) -> bytes:
    """Write an object as a file would hold it."""
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def references(study_uid: str, series: dict[str, list[tuple[str, str]]]) -> Dataset:
    """Make a hierarchical reference: study, series, (SOP class, SOP instance) (PS3.3, C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = []
    for series_uid, objects in series.items():
        item = Dataset()
        item.SeriesInstanceUID = series_uid
        item.ReferencedSOPSequence = []
        for sop_class_uid, sop_instance_uid in objects:
            reference = Dataset()
            reference.ReferencedSOPClassUID = sop_class_uid
            reference.ReferencedSOPInstanceUID = sop_instance_uid
            item.ReferencedSOPSequence.append(reference)
        study.ReferencedSeriesSequence.append(item)
    return study


def evidence(headers: Sequence[Dataset]) -> list[Dataset]:
    """List every image a report speaks of, grouped by series."""
    series: dict[str, list[tuple[str, str]]] = {}
    for header in headers:
        reference = (header.SOPClassUID, header.SOPInstanceUID)
        series.setdefault(header.SeriesInstanceUID, []).append(reference)
    return [references(headers[0].StudyInstanceUID, series)]


def name_predecessor(target: Dataset, circumstances: Circumstances) -> None:
    """Say which object this one replaces, where that one is of the same kind."""
    before = circumstances.predecessor
    if before is not None and before.sop_class_uid == target.SOPClassUID:
        objects = {before.series_uid: [(before.sop_class_uid, before.sop_instance_uid)]}
        target.PredecessorDocumentsSequence = [references(target.StudyInstanceUID, objects)]


def template(identifier: str) -> Dataset:
    """Name the template of PS3.16 that a content tree follows."""
    named = Dataset()
    named.MappingResource = "DCMR"
    named.TemplateIdentifier = identifier
    return named


def requests(header: Dataset) -> list[Dataset]:
    """Repeat what was requested, where the images say it (PS3.3, C.17.2)."""
    found = []
    for asked in header.get("RequestAttributesSequence", []):
        request = Dataset()
        request.StudyInstanceUID = header.StudyInstanceUID
        request.ReferencedStudySequence = []
        request.AccessionNumber = header.AccessionNumber
        request.PlacerOrderNumberImagingServiceRequest = ""
        request.FillerOrderNumberImagingServiceRequest = ""
        request.RequestedProcedureID = asked.get("RequestedProcedureID", "")
        request.RequestedProcedureDescription = asked.get("RequestedProcedureDescription", "")
        request.RequestedProcedureCodeSequence = asked.get("RequestedProcedureCodeSequence", [])
        found.append(request)
    return found
