"""What is expected of every object, by its headers and its origin, whatever its kind.

Written by the standard's modules and not by the builders: the mistake of one is not the other's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset

from dicom_node.reporting import codes, naming
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.common_proof import Claim, Origin
from dicom_node.reporting.facts import FREE, SOME, Facts, plain
from dicom_node.reporting.sources import edition_words
from dicom_node.reporting.tidy import PATIENT_AND_STUDY

PATIENT_GROUPS = (0x0010, 0x0012)  # the patient, and the trial he takes part in
STUDY = (  # PS3.3, C.7.2.1 and C.7.2.2
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ProcedureCodeSequence",
    "TimezoneOffsetFromUTC",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence",
    "RequestingServiceCodeSequence",
    "ReferencedStudySequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "AdmittingDiagnosesCodeSequence",
    "AdmissionID",
    "ServiceEpisodeID",
    "ServiceEpisodeDescription",
    "ReasonForVisit",
    "ReasonForVisitCodeSequence",
)
MUST = ("PatientAge", "IssuerOfPatientID", "StudyDescription", "TimezoneOffsetFromUTC")
ACQUIRED_BY = (  # PS3.3, C.12.1.1.5
    "Manufacturer",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "InstitutionalDepartmentName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The object that something is expected of, and what tells it from others."""

    dataset: Dataset
    header: Dataset  # of the first image it is about
    kind: str
    made_of: str  # in the words of UIDs
    origin: Origin | None
    image_uid: str = ""  # where there is such an object for each image

    @property
    def study_uid(self) -> str:
        """Return the study it belongs to."""
        return str(self.header.StudyInstanceUID)


def subject(claim: Claim, kind: str, header: Dataset, *, of_image: bool = False) -> Subject:
    """Return the object of a claim."""
    made_of = edition_words(claim.exam, claim.profile.of(kind).words)
    image_uid = str(header.SOPInstanceUID) if of_image else ""
    return Subject(claim.dataset, header, kind, made_of, claim.origin, image_uid)


def frame(of: Subject) -> Facts:
    """Expect whose object it is, of which study, by whom and when it was made."""
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": SOME,  # by it the proof was chosen
        "StudyInstanceUID": of.study_uid,
        **_patient_and_study(of),
        **_names(of),
        **_maker(of),
        **_moments(of),
        "SeriesNumber": SOME,  # where it sorts; `identity` wants it behind the images
        "SeriesDescription": SOME,  # `identity` wants it to say what it is
    }


def _patient_and_study(of: Subject) -> Facts:
    """Expect the patient's and the study's own words; those of type 3 may stay away."""
    header = of.header
    required: dict[str, object] = dict.fromkeys(PATIENT_AND_STUDY)
    required |= {key: plain(header[key]) for key in (*PATIENT_AND_STUDY, *MUST) if key in header}
    repeated = {
        element.keyword: plain(header[element.keyword])
        for element in of.dataset
        if (element.tag.group in PATIENT_GROUPS or element.keyword in STUDY)
        and element.keyword in header
    }
    return repeated | required


def _names(of: Subject) -> Facts:
    if of.origin is None:
        return dict.fromkeys(("SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber"), SOME)
    round_ = of.origin.circumstances.round
    names = (of.kind, of.study_uid, round_, of.made_of, of.image_uid)
    return {
        "SOPInstanceUID": str(naming.instance_uid(*names)),
        "SeriesInstanceUID": str(naming.series_uid(*names)),
        "InstanceNumber": round_,
    }


def _maker(of: Subject) -> Facts:
    maker = None if of.origin is None else of.origin.maker
    return {
        "Manufacturer": SOME if maker is None else maker.manufacturer,
        "ManufacturerModelName": SOME if maker is None else maker.model,
        "SoftwareVersions": SOME if maker is None else maker.software_version,
        "DeviceSerialNumber": SOME if maker is None else maker.serial_number,
    }


def _moments(of: Subject) -> Facts:
    """Expect one moment, on the clock of the images where they name its zone."""
    whats = ("InstanceCreation", "Series", "Content")
    if of.origin is None:
        return {f"{what}{part}": SOME for what in whats for part in ("Date", "Time")}
    at = _written_at(of.origin.circumstances, of.header)
    return {f"{what}Date": at[:8] for what in whats} | {f"{what}Time": at[8:] for what in whats}


def _written_at(circumstances: Circumstances, header: Dataset) -> str:
    """Return the moment an object was made, as the images' clock shows it."""
    moment = circumstances.made_at
    try:
        zone = datetime.strptime(str(header.get("TimezoneOffsetFromUTC") or ""), "%z").tzinfo
    except ValueError:
        return moment.strftime("%Y%m%d%H%M%S")
    return moment.astimezone(zone).strftime("%Y%m%d%H%M%S")


def contributors(of: Subject) -> list[Facts]:
    """Expect what highdicom adds: the device that made the image, where it says so, and itself."""
    found = list(of.dataset.get("ContributingEquipmentSequence") or [])
    acquisition: Facts = {
        **{key: plain(of.header[key]) for key in ACQUIRED_BY if of.header.get(key)},
        "ContributionDateTime": FREE,
        "ContributionDescription": SOME,
        "PurposeOfReferenceCodeSequence": codes.ACQUISITION_EQUIPMENT,
    }
    library: Facts = {
        "Manufacturer": SOME,
        "ManufacturerModelName": "highdicom",
        "SoftwareVersions": SOME,
        "ContributionDateTime": SOME
        if of.origin is None
        else _written_at(of.origin.circumstances, of.header),
        "ContributionDescription": SOME,
        "PurposeOfReferenceCodeSequence": codes.PROCESSING_EQUIPMENT,
    }
    return [acquisition, library] if len(found) > 1 else [library]


def reference(header: Dataset) -> Facts:
    """Expect a reference to an image."""
    return {
        "ReferencedSOPClassUID": str(header.SOPClassUID),
        "ReferencedSOPInstanceUID": str(header.SOPInstanceUID),
    }


def evidence(headers: Sequence[Dataset]) -> list[Facts]:
    """Expect every image that is spoken of, in its series and its study."""
    series: dict[str, list[Facts]] = {}
    for header in headers:
        series.setdefault(str(header.SeriesInstanceUID), []).append(reference(header))
    return [
        {
            "StudyInstanceUID": str(headers[0].StudyInstanceUID),
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": uid, "ReferencedSOPSequence": images}
                for uid, images in series.items()
            ],
        }
    ]


def predecessors(of: Subject) -> object:
    """Expect the document of an earlier round that this one replaces."""
    if of.origin is None:
        return FREE
    circumstances = of.origin.circumstances
    if of.image_uid:
        circumstances = circumstances.of_image(of.kind, of.study_uid, of.image_uid)
    before = circumstances.predecessor
    if before is None or before.sop_class_uid != of.dataset.SOPClassUID:
        return None
    document = {
        "ReferencedSOPClassUID": before.sop_class_uid,
        "ReferencedSOPInstanceUID": before.sop_instance_uid,
    }
    series = {"SeriesInstanceUID": before.series_uid, "ReferencedSOPSequence": [document]}
    return [{"StudyInstanceUID": of.study_uid, "ReferencedSeriesSequence": [series]}]


def requests(header: Dataset) -> Iterator[Facts]:
    """Expect what was requested, where the images say it (PS3.3, C.17.2)."""
    for asked in header.get("RequestAttributesSequence") or []:
        yield {
            "StudyInstanceUID": str(header.StudyInstanceUID),
            "ReferencedStudySequence": [],
            "AccessionNumber": plain(header["AccessionNumber"]),
            "PlacerOrderNumberImagingServiceRequest": None,
            "FillerOrderNumberImagingServiceRequest": None,
            **{
                keyword: plain(asked[keyword]) if keyword in asked else empty
                for keyword, empty in (
                    ("RequestedProcedureID", None),
                    ("RequestedProcedureDescription", None),
                    ("RequestedProcedureCodeSequence", []),
                )
            },
        }
