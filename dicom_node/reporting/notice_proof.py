"""The proof that a notice says what became of a study, and nothing of what is in it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydicom import config
from pydicom.dataset import Dataset
from pydicom.uid import UID, MammographyCADSRStorage, SecondaryCaptureImageStorage

from dicom_node.errors import told as fault_told
from dicom_node.life import State
from dicom_node.reporting import codes, common_proof, sr_proof
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.marks import code_value, is_named, named, walk
from dicom_node.reporting.notice import Ending, told
from dicom_node.reporting.notice_picture import drawn
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.proof import NOT_THERE, Unsound, read_back
from dicom_node.reporting.secondary_capture import MAX_LT
from dicom_node.reporting.secondary_capture_proof import COLORED
from dicom_node.reporting.status_proof import images_faults, library_of
from dicom_node.reporting.tidy import PATIENT_AND_STUDY
from dicom_node.settings.reporting import RESEARCH_USE

FORM = {**COLORED, "ImageType": ["DERIVED", "SECONDARY"], "BurnedInAnnotation": "NO"}


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """A notice as it was read back, and what it has to agree with."""

    dataset: Dataset
    ending: Ending
    circumstances: Circumstances
    profile: Profile

    @property
    def headers(self) -> dict[str, Dataset]:
        """Return the images' headers by SOP instance UID."""
        return {str(header.SOPInstanceUID): header for header in self.ending.headers}

    @property
    def transfer_syntax_uid(self) -> UID:
        """Return how the destination wants it encoded."""
        return self.profile.transfer_syntax_uid


Check = Callable[[Claim], Iterator[str]]


def prove_notice(
    dataset: Dataset, ending: Ending, circumstances: Circumstances, profile: Profile = PLAIN
) -> None:
    """Raise Unsound unless the notice says how the case ended, and why."""
    with config.disable_value_validation():
        claim = Claim(read_back(dataset), ending, circumstances, profile)
        is_picture = claim.dataset.SOPClassUID == SecondaryCaptureImageStorage
        checks = PICTURE_CHECKS if is_picture else CHECKS
        reasons = [reason for check in checks for reason in _faults(check, claim)]
    if reasons:
        raise Unsound(reasons)


def _faults(check: Check, claim: Claim) -> Iterator[str]:
    try:
        yield from check(claim)
    except NOT_THERE as fault:
        yield f"{check.__name__} cannot be checked: {fault_told(fault)}"


def ownership(claim: Claim) -> Iterator[str]:
    """Check that patient and study are the images', word for word."""
    source = claim.ending.headers[0]
    for keyword in ("StudyInstanceUID", *PATIENT_AND_STUDY):
        if str(claim.dataset.get(keyword) or "") != str(source.get(keyword) or ""):
            yield f"{keyword} is not the source's"


def answer(claim: Claim) -> Iterator[str]:
    """Check that the one code says that nothing was analyzed, and that nothing else is said."""
    if claim.dataset.SOPClassUID != MammographyCADSRStorage:
        yield "the notice is no Mammography CAD SR"
    said = named(claim.dataset, codes.FINDINGS_SUMMARY)
    if said is None or code_value(said) != codes.NONE_SUCCEEDED.value:
        yield f"the summary does not say '{codes.NONE_SUCCEEDED.meaning}'"
    for _, item in walk(claim.dataset):
        if item.get("ValueType") in ("SCOORD", "NUM") and not _is_spacing(item):
            yield "something is marked or measured, though nothing was analyzed"
        if is_named(item, codes.INDIVIDUAL_IMPRESSION):
            yield "there is a finding, though nothing was analyzed"


def _is_spacing(item: Dataset) -> bool:
    spacings = (codes.HORIZONTAL_PIXEL_SPACING, codes.VERTICAL_PIXEL_SPACING)
    return any(is_named(item, concept) for concept in spacings)


def statuses(claim: Claim) -> Iterator[str]:
    """Check that what was not attempted is no failure, and that a failure names what failed."""
    images = {str(header.SOPInstanceUID) for header in claim.ending.headers}
    failed = claim.ending.attempts if claim.ending.state is State.FAILED else ()
    for summary, heading, any_failed in (
        (codes.SUMMARY_OF_DETECTIONS, codes.FAILED_DETECTIONS, any(one.marks for one in failed)),
        (codes.SUMMARY_OF_ANALYSES, codes.FAILED_ANALYSES, any(one.judges for one in failed)),
    ):
        wanted = codes.FAILED if any_failed else codes.NOT_ATTEMPTED
        said = named(claim.dataset, summary)
        if said is None or code_value(said) != wanted.value:
            yield f"the {summary.meaning} does not say '{wanted.meaning}'"
        yield from images_faults(claim.dataset, heading, images)
    if library_of(claim.dataset) != images:
        yield "the image library has other images than the study"


def statement(claim: Claim) -> Iterator[str]:
    """Check that people can read what became of the study, and that this is research use."""
    words = [
        str(item.TextValue)
        for _, item in walk(claim.dataset)
        if is_named(item, codes.IMPRESSION_DESCRIPTION)
    ]
    if not any(RESEARCH_USE in text.lower() for text in words):
        yield f"no text of the notice says '{RESEARCH_USE}'"
    for sentence in told(claim.ending, claim.circumstances):
        if not any(sentence in text for text in words):
            yield f"no text of the notice says '{sentence}'"


def form(claim: Claim) -> Iterator[str]:
    """Check that a picture is a page of words, and no mammogram."""
    dataset = claim.dataset
    for keyword, value in FORM.items():
        if dataset.get(keyword) != value:
            yield f"{keyword} is {dataset.get(keyword)}, not {value}"
    for keyword in ("PatientOrientation", "Laterality"):
        if keyword not in dataset or dataset.get(keyword):
            yield f"{keyword} is not empty, although no breast is shown"
    for keyword in ("PresentationIntentType", "ViewCodeSequence", "ImageLaterality"):
        if keyword in dataset:
            yield f"the picture looks like a mammogram: {keyword}"


def comments(claim: Claim) -> Iterator[str]:
    """Check that the words beside a picture say what became of the study, and of what use it is."""
    said = str(claim.dataset.get("ImageComments") or "")
    if RESEARCH_USE not in said.lower():
        yield f"the comments do not say '{RESEARCH_USE}'"
    for sentence in told(claim.ending, claim.circumstances) if len(said) < MAX_LT else ():
        if sentence not in said:
            yield f"the comments do not say '{sentence}'"


def picture(claim: Claim) -> Iterator[str]:
    """Check that a picture shows those words, and nothing of an image."""
    dataset = claim.dataset
    wanted = drawn(dataset)
    content = wanted.tobytes()
    if (dataset.Rows, dataset.Columns) != (wanted.height, wanted.width):
        yield f"the picture has {dataset.Rows} rows and {dataset.Columns} columns"
    if dataset.PixelData != content + b"\0" * (len(content) % 2):
        yield "the picture does not show the words"


ALWAYS: tuple[Check, ...] = (
    common_proof.encoding,
    common_proof.values,
    common_proof.identity,
    common_proof.referenced,
    ownership,
)
PICTURE_CHECKS: tuple[Check, ...] = (*ALWAYS, form, comments, picture)
CHECKS: tuple[Check, ...] = (
    *ALWAYS,
    sr_proof.document,
    sr_proof.evidence,
    sr_proof.tree,
    sr_proof.units,
    answer,
    statuses,
    statement,
)
