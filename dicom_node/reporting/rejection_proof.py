"""The proof that a note takes back what it should, and nothing else.

An archive hides what the note lists, so an object too many would hide somebody's images.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID, KeyObjectSelectionDocumentStorage

from dicom_node.errors import told
from dicom_node.reporting import codes, common_proof, naming
from dicom_node.reporting.common_proof import FIRST_SERIES_NUMBER, SIGNED
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import children, is_named, name_value, named
from dicom_node.reporting.proof import NOT_THERE, Unsound, read_back
from dicom_node.reporting.rejection import TEMPLATE, Recalling, words
from dicom_node.reporting.tidy import PATIENT_AND_STUDY
from dicom_node.settings import RESEARCH_USE

WHEN = ("ContentDate", "ContentTime")
EVIDENCE = "CurrentRequestedProcedureEvidenceSequence"


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A note as it was read back, and what it has to agree with."""

    dataset: Dataset
    source: Dataset
    recalling: Recalling
    maker: Maker

    @property
    def transfer_syntax_uid(self) -> UID:
        """Return how the objects are encoded that its destination took."""
        return UID(self.source.file_meta.TransferSyntaxUID)


Check = Callable[[Claim], Iterator[str]]


def prove_rejection(dataset: Dataset, source: Dataset, recalling: Recalling, maker: Maker) -> None:
    """Raise Unsound unless the note takes back these objects, for this reason, and no others."""
    with config.disable_value_validation():
        claim = Claim(read_back(dataset), source, recalling, maker)
        reasons = [reason for check in CHECKS for reason in _faults(check, claim)]
    if reasons:
        raise Unsound(reasons)


def _faults(check: Check, claim: Claim) -> Iterator[str]:
    try:
        yield from check(claim)
    except NOT_THERE as fault:
        yield f"{check.__name__} cannot be checked: {told(fault)}"


def ownership(claim: Claim) -> Iterator[str]:
    """Check that patient and study are those of the objects, word for word."""
    for keyword in ("StudyInstanceUID", *PATIENT_AND_STUDY):
        if str(claim.dataset.get(keyword) or "") != str(claim.source.get(keyword) or ""):
            yield f"{keyword} is not that of the recalled objects"


def identity(claim: Claim) -> Iterator[str]:
    """Check that the note is itself, says who made it, and sorts behind the images."""
    dataset, rejected = claim.dataset, claim.recalling.rejected
    if dataset.SOPClassUID != KeyObjectSelectionDocumentStorage or dataset.Modality != "KO":
        yield "the note is no Key Object Selection"
    if dataset.SOPInstanceUID in {one.sop_instance_uid for one in rejected}:
        yield "the note has the UID of an object that it takes back"
    if dataset.SeriesInstanceUID in {one.series_uid for one in rejected}:
        yield "the note lies in a series that it takes back"
    if int(dataset.SeriesNumber) < FIRST_SERIES_NUMBER:
        yield f"the series number is {dataset.SeriesNumber}, below {FIRST_SERIES_NUMBER}"
    if RESEARCH_USE not in str(dataset.get("SeriesDescription", "")).lower():
        yield f"the series description does not say '{RESEARCH_USE}'"
    yield from (f"{keyword} is missing" for keyword in (*SIGNED, *WHEN) if not dataset.get(keyword))


def document(claim: Claim) -> Iterator[str]:
    """Check the note's title, its template, its language, and what it says in words."""
    dataset, reason = claim.dataset, claim.recalling.reason
    if dataset.get("ValueType") != "CONTAINER" or dataset.get("ContinuityOfContent") != "SEPARATE":
        yield "the note is no container of separate items"
    if name_value(dataset) != (reason.value, reason.scheme):
        yield f"the title is not ({reason.value}, {reason.scheme})"
    template = dataset.get("ContentTemplateSequence")
    if not template or template[0].get("TemplateIdentifier") != TEMPLATE:
        yield f"the content template is not TID {TEMPLATE}"
    if not is_named(children(dataset)[0], codes.LANGUAGE):
        yield "the note does not begin with its language"
    said = named(dataset, codes.KEY_OBJECT_DESCRIPTION)
    if said is None or said.get("TextValue") != words(claim.recalling, claim.maker):
        yield "the note does not say what it is for"


def observer(claim: Claim) -> Iterator[str]:
    """Check that the note names the device as its observer."""
    maker = claim.maker
    uid = named(claim.dataset, codes.DEVICE_OBSERVER_UID)
    expected = naming.device_uid(maker.manufacturer, maker.model, maker.serial_number)
    if uid is None or uid.get("UID") != expected:
        yield "the note does not name the device that made it"


def rejected(claim: Claim) -> Iterator[str]:
    """Check that the tree refers to each recalled object once, and to nothing else."""
    expected = {one.sop_instance_uid: one for one in claim.recalling.rejected}
    found = [item for item in children(claim.dataset) if "ReferencedSOPSequence" in item]
    uids = [str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for item in found]
    if sorted(uids) != sorted(expected):
        yield f"the note takes back {len(uids)} objects, not the {len(expected)} that were sent"
    for item, uid in zip(found, uids, strict=True):
        one = expected.get(uid)
        if one is None:
            yield f"the note takes back what was not recalled: {uid}"
            continue
        if item.ReferencedSOPSequence[0].ReferencedSOPClassUID != one.sop_class_uid:
            yield f"the SOP class of {uid} is another"
        if item.get("ValueType") != one.value_type:
            yield f"{uid} is referred to as {item.get('ValueType')}, not as {one.value_type}"
        if item.get("RelationshipType") != "CONTAINS" or name_value(item) is not None:
            yield f"{uid} is not plainly contained"


def evidence(claim: Claim) -> Iterator[str]:
    """Check that the evidence lists the recalled objects, each in its own series."""
    items = claim.dataset.get(EVIDENCE) or []
    if any(study.StudyInstanceUID != claim.source.StudyInstanceUID for study in items):
        yield "the evidence is of another study"
    listed = [
        (
            str(series.SeriesInstanceUID),
            str(one.ReferencedSOPClassUID),
            str(one.ReferencedSOPInstanceUID),
        )
        for study in items
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    expected = [
        (one.series_uid, one.sop_class_uid, one.sop_instance_uid)
        for one in claim.recalling.rejected
    ]
    if sorted(listed) != sorted(expected):
        yield "the evidence does not list the recalled objects, each in its own series"


CHECKS: tuple[Check, ...] = (
    common_proof.encoding,
    common_proof.values,
    ownership,
    identity,
    document,
    observer,
    rejected,
    evidence,
)
