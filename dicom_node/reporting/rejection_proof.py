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
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.codes import STANDARD
from dicom_node.reporting.common_proof import FIRST_SERIES_NUMBER, SIGNED, Origin
from dicom_node.reporting.expected_frame import Subject, frame
from dicom_node.reporting.expected_items import code, item, template, text
from dicom_node.reporting.facts import Facts, faults, plain_dataset
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.marks import children, is_named, name_value, named
from dicom_node.reporting.proof import NOT_THERE, Unsound, read_back
from dicom_node.reporting.rejection import KIND, TEMPLATE, Recalling, Rejected, words
from dicom_node.reporting.tidy import PATIENT_AND_STUDY
from dicom_node.settings.reporting import RESEARCH_USE

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
    found = [each for each in children(claim.dataset) if "ReferencedSOPSequence" in each]
    uids = [str(each.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for each in found]
    if sorted(uids) != sorted(expected):
        yield f"the note takes back {len(uids)} objects, not the {len(expected)} that were sent"
    for each, uid in zip(found, uids, strict=True):
        one = expected.get(uid)
        if one is None:
            yield f"the note takes back what was not recalled: {uid}"
            continue
        if each.ReferencedSOPSequence[0].ReferencedSOPClassUID != one.sop_class_uid:
            yield f"the SOP class of {uid} is another"
        if each.get("ValueType") != one.value_type:
            yield f"{uid} is referred to as {each.get('ValueType')}, not as {one.value_type}"
        if each.get("RelationshipType") != "CONTAINS" or name_value(each) is not None:
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


def contents(claim: Claim) -> Iterator[str]:
    """Check that the note holds what is expected of it, and not a word more."""
    yield from faults(_expected(claim), claim.dataset, [STANDARD], "the note")


def _expected(claim: Claim) -> Facts:
    """Expect a note by the modules of PS3.3, A.35.4, and the rows of TID 2010."""
    recalling = claim.recalling
    circumstances = Circumstances(recalling.round, recalling.made_at, None, 0)
    uids = " ".join(sorted(one.sop_instance_uid for one in recalling.rejected))
    origin = Origin(claim.maker, circumstances)
    again = f" (round {recalling.round})" if recalling.round > 1 else ""
    facts: dict[str, object] = {
        **frame(Subject(claim.dataset, claim.source, KIND, uids, origin)),
        "Modality": "KO",
        "SeriesDescription": f"AI recall, {RESEARCH_USE} only{again}",
        "ReferencedPerformedProcedureStepSequence": [],
        EVIDENCE: list(_evidence(claim)),
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": recalling.reason,
        "ContinuityOfContent": "SEPARATE",
        "ContentTemplateSequence": template(TEMPLATE),
        "ContentSequence": list(_items(claim)),
    }
    if asked := claim.source.get("ReferencedRequestSequence"):
        facts["ReferencedRequestSequence"] = [plain_dataset(each) for each in asked]
    return facts


def _items(claim: Claim) -> Iterator[Facts]:
    maker, context = claim.maker, "HAS OBS CONTEXT"
    device = naming.device_uid(maker.manufacturer, maker.model, maker.serial_number)
    yield code("HAS CONCEPT MOD", codes.LANGUAGE, codes.ENGLISH)
    yield code(context, codes.OBSERVER_TYPE, codes.DEVICE)
    yield item(context, "UIDREF", codes.DEVICE_OBSERVER_UID, UID=str(device))
    yield text(context, codes.DEVICE_OBSERVER_NAME, maker.model)
    yield text(context, codes.DEVICE_OBSERVER_MANUFACTURER, maker.manufacturer)
    yield text(context, codes.DEVICE_OBSERVER_MODEL, maker.model)
    yield text(context, codes.DEVICE_OBSERVER_SERIAL, maker.serial_number)
    yield text("CONTAINS", codes.KEY_OBJECT_DESCRIPTION, words(claim.recalling, maker))
    for one in claim.recalling.rejected:
        yield item("CONTAINS", one.value_type, None, ReferencedSOPSequence=[_reference(one)])


def _evidence(claim: Claim) -> Iterator[Facts]:
    series: dict[str, list[Facts]] = {}
    for one in claim.recalling.rejected:
        series.setdefault(one.series_uid, []).append(_reference(one))
    yield {
        "StudyInstanceUID": str(claim.source.StudyInstanceUID),
        "ReferencedSeriesSequence": [
            {"SeriesInstanceUID": uid, "ReferencedSOPSequence": objects}
            for uid, objects in series.items()
        ],
    }


def _reference(one: Rejected) -> Facts:
    return {
        "ReferencedSOPClassUID": one.sop_class_uid,
        "ReferencedSOPInstanceUID": one.sop_instance_uid,
    }


CHECKS: tuple[Check, ...] = (
    common_proof.encoding,
    common_proof.values,
    ownership,
    identity,
    document,
    observer,
    rejected,
    evidence,
    contents,
)
