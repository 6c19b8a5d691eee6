"""The proof each object passes before it may leave.

The object is written and read back, and then held against the headers and the findings it was
made from. It catches what validators do not look at: an outline in the wrong image, a
reference by value, a segmentation of somebody else's pixels.
"""

import warnings
from collections.abc import Iterator, Sequence
from io import BytesIO

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_node.errors import is_ours, told
from dicom_node.reporting import (
    common_proof,
    presentation_state_proof,
    revision_proof,
    secondary_capture_proof,
    segmentation_proof,
    sr_proof,
    summary_proof,
)
from dicom_node.reporting.common_proof import Check, Claim, Origin
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.profile import PLAIN, Profile
from dicom_node.reporting.sources import sources
from dicom_node.reporting.tidy import tidy
from dicom_node.reporting.unread import Unread
from inference.findings import ExamFindings

OWN: dict[str, tuple[Check, ...]] = {
    **dict.fromkeys(sr_proof.TEMPLATES, (*sr_proof.CHECKS, *revision_proof.CHECKS)),
    SegmentationStorage: segmentation_proof.CHECKS,
    GrayscaleSoftcopyPresentationStateStorage: presentation_state_proof.CHECKS,
    SecondaryCaptureImageStorage: secondary_capture_proof.CHECKS,
    EncapsulatedPDFStorage: summary_proof.CHECKS,
}
# What looking for something in an object without it ends in; that is an answer, not a fault.
NOT_THERE = (AttributeError, KeyError, IndexError, TypeError, ValueError, UserWarning)


class Unsound(Exception):
    """Say every reason why an object must not leave."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


def prove(  # noqa: PLR0913 - what an object is held against, each by its name
    dataset: Dataset,
    headers: Sequence[Dataset],
    exam: ExamFindings,
    lightbox: Lightbox | None = None,
    *,
    profile: Profile = PLAIN,
    unread: Sequence[Unread] = (),
    remarks: Sequence[str] = (),
    origin: Origin | None = None,
) -> None:
    """Raise Unsound unless the object says what was found, and nothing else.

    The exam is as the profile shows it; the remarks are what has to be told beside it.
    """
    tidied = [tidy(header) for header in headers]
    with config.disable_value_validation(), warnings.catch_warnings():
        warnings.simplefilter("error")  # pydicom only warns of words that cannot be decoded
        claim = Claim(
            dataset=read_back(dataset),
            headers={
                str(header.SOPInstanceUID): header
                for header in (*tidied, *(one.header for one in unread if one.missed))
            },
            sources=sources(tidied, exam, origin.circumstances.names if origin else None),
            exam=exam,
            profile=profile,
            unread=tuple(unread),
            remarks=tuple(remarks),
            origin=origin,
            lightbox=lightbox,
        )
        reasons = [reason for check in _checks(claim.dataset) for reason in _faults(check, claim)]
    if reasons:
        raise Unsound(reasons)


def read_back(dataset: Dataset) -> Dataset:
    """Return an object as whoever gets it will read it."""
    try:
        return dcmread(BytesIO(encoded(dataset)))
    except Exception as fault:
        if _is_trouble(fault):
            raise
        raise Unsound([f"the object cannot be written and read back: {told(fault)}"]) from fault


def _checks(dataset: Dataset) -> tuple[Check, ...]:
    if (sop_class := str(dataset.get("SOPClassUID"))) not in OWN:
        raise Unsound([f"objects of SOP class {sop_class} are not made here"])
    return (*common_proof.CHECKS, *OWN[sop_class])


def _faults(check: Check, claim: Claim) -> Iterator[str]:
    try:
        yield from check(claim)
    except Exception as fault:
        if _is_trouble(fault):
            raise
        yield f"{check.__name__} cannot be checked: {told(fault)}"


def _is_trouble(fault: Exception) -> bool:
    """Tell trouble of the machine from what looking for something ends in that is not there.

    Values that are none raise anything when they are read; that is an answer about the object.
    """
    of_the_disk = isinstance(fault, OSError) and fault.errno is not None
    return of_the_disk or isinstance(fault, MemoryError) or is_ours(fault)
