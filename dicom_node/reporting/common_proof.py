"""What is checked in every object before it may leave, whatever its kind."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

from dicom_node.reporting import codes
from dicom_node.reporting.circumstances import Circumstances
from dicom_node.reporting.lightbox import Lightbox
from dicom_node.reporting.maker import Maker
from dicom_node.reporting.profile import Profile
from dicom_node.reporting.sources import Source
from dicom_node.reporting.tidy import MAX_DS, PATIENT_AND_STUDY
from dicom_node.reporting.unread import Unread
from dicom_node.settings.reporting import RESEARCH_USE
from inference.findings import ExamFindings

FIRST_SERIES_NUMBER = 9000
SIGNED = (
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "DeviceSerialNumber",
    "InstanceNumber",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """By whom an object was made, when, and after what."""

    maker: Maker
    circumstances: Circumstances


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """An object as it was read back, and what it has to agree with."""

    dataset: Dataset
    headers: dict[str, Dataset]  # tidy, by SOP instance UID
    sources: tuple[Source, ...]
    exam: ExamFindings  # as the profile shows it
    profile: Profile
    unread: tuple[Unread, ...]  # images that came along and were not read
    remarks: tuple[str, ...]  # sentences that every text has to hold besides its own
    origin: Origin | None = None  # None where the caller cannot know it: then nobody checks it
    lightbox: Lightbox | None = None  # the images' pixels, where an object shows them

    @property
    def transfer_syntax_uid(self) -> UID:
        """Return how the destination wants it encoded."""
        return self.profile.transfer_syntax_uid

    @property
    def given(self) -> float | None:
        """Return what the exam was given, where its score says more than that."""
        return None if self.origin is None else self.origin.circumstances.given

    @property
    def settings(self) -> str:
        """Return the digest of the settings that it was read with, where that is known."""
        return "" if self.origin is None else self.origin.circumstances.settings


Check = Callable[[Claim], Iterator[str]]


class Holding(Protocol):
    """Whatever is claimed of an object, there is the object."""

    @property
    def dataset(self) -> Dataset:
        """Return the object as it was read back."""

    @property
    def transfer_syntax_uid(self) -> UID:
        """Return how it has to be encoded."""


class Referring(Holding, Protocol):
    """An object, and the images that it may refer to."""

    @property
    def headers(self) -> dict[str, Dataset]:
        """Return the headers by SOP instance UID."""


def encoding(claim: Holding) -> Iterator[str]:
    """Check the file meta information and that words are written in UTF-8."""
    dataset, meta = claim.dataset, claim.dataset.file_meta
    wanted = claim.transfer_syntax_uid
    if meta.TransferSyntaxUID != wanted:
        yield f"the transfer syntax is {UID(meta.TransferSyntaxUID).name}, not {wanted.name}"
    if meta.MediaStorageSOPInstanceUID != dataset.SOPInstanceUID:
        yield "the file meta information names another instance"
    if meta.MediaStorageSOPClassUID != dataset.SOPClassUID:
        yield "the file meta information names another SOP class"
    if dataset.get("SpecificCharacterSet") != "ISO_IR 192":
        yield f"the character set is {dataset.get('SpecificCharacterSet')}, not ISO_IR 192"


def values(claim: Holding) -> Iterator[str]:
    """Check that UIDs are valid and that numbers are finite and short enough."""
    for element in claim.dataset.iterall():
        if element.VR not in ("UI", "DS", "FL", "FD") or element.value in (None, ""):
            continue
        many = isinstance(element.value, MultiValue | list)
        for value in element.value if many else [element.value]:
            if element.VR == "UI" and not UID(value).is_valid:
                yield f"{element.keyword} is no valid UID: {value}"
            if element.VR != "UI" and not math.isfinite(float(value)):
                yield f"{element.keyword} is {value}"
            if element.VR == "DS" and len(str(value)) > MAX_DS:
                yield f"{element.keyword} has more than {MAX_DS} characters"


def ownership(claim: Claim) -> Iterator[str]:
    """Check that patient and study are the source's, word for word."""
    source = claim.sources[0].header
    for keyword in ("StudyInstanceUID", *PATIENT_AND_STUDY):
        if str(claim.dataset.get(keyword) or "") != str(source.get(keyword) or ""):
            # The values stay out of the sentence: it goes to logs, and they name a patient.
            yield f"{keyword} is not the source's"


def identity(claim: Referring) -> Iterator[str]:
    """Check that the object is itself, says who made it, and sorts behind the images."""
    dataset = claim.dataset
    if dataset.SOPInstanceUID in claim.headers:
        yield "the object has the UID of one of its sources"
    if dataset.SeriesInstanceUID in {h.SeriesInstanceUID for h in claim.headers.values()}:
        yield "the object lies in a series of its sources"
    if int(dataset.SeriesNumber) < FIRST_SERIES_NUMBER:
        yield f"the series number is {dataset.SeriesNumber}, below {FIRST_SERIES_NUMBER}"
    if not str(dataset.get("SeriesDescription", "")).startswith("AI "):
        yield "the series description does not begin with 'AI '"
    if RESEARCH_USE not in str(dataset.get("SeriesDescription", "")).lower():
        yield f"the series description does not say '{RESEARCH_USE}'"
    for keyword in (*SIGNED, f"{_made(dataset)}Date", f"{_made(dataset)}Time"):
        if not dataset.get(keyword):
            yield f"{keyword} is missing"


def _made(dataset: Dataset) -> str:
    """Say under which name an object keeps the moment it was made."""
    return "PresentationCreation" if dataset.Modality == "PR" else "Content"


def referenced(claim: Referring) -> Iterator[str]:
    """Check that every image referred to is one of the sources, under its own SOP class."""
    for reference in _references(claim.dataset):
        uid = str(reference.ReferencedSOPInstanceUID)
        header = claim.headers.get(uid)
        if header is None:
            yield f"an image is referred to that was not among the sources: {uid}"
        elif reference.get("ReferencedSOPClassUID") != header.SOPClassUID:
            yield f"the SOP class of {uid} is not the source's"


def _references(dataset: Dataset) -> Iterator[Dataset]:
    """Find every reference to an instance, but for the documents this one replaces."""
    if "ReferencedSOPInstanceUID" in dataset:
        yield dataset
    for element in dataset:
        if element.VR == "SQ" and element.keyword != "PredecessorDocumentsSequence":
            for item in element.value:
                yield from _references(item)


def listed(items: list[Dataset]) -> dict[str, set[str]]:
    """Return the instances of each series that a reference sequence lists."""
    return {
        str(series.SeriesInstanceUID): {
            str(each.get("ReferencedSOPInstanceUID"))
            for keyword in ("ReferencedSOPSequence", "ReferencedInstanceSequence")
            for each in series.get(keyword, [])
        }
        for series in items
    }


def otherwise(claim: Claim, expected: Dataset) -> Iterator[str]:
    """Name the elements that are not what a builder makes of the findings, to the last item."""
    expected.SpecificCharacterSet = "ISO_IR 192"
    buffer = BytesIO()
    implicit = claim.transfer_syntax_uid.is_implicit_VR
    dcmwrite(buffer, expected, implicit_vr=implicit, little_endian=True)
    buffer.seek(0)
    for element in dcmread(buffer, force=True):
        if element.tag not in claim.dataset or claim.dataset[element.tag] != element:
            yield f"{element.keyword} is not what the findings make"


def sides(claim: Claim) -> Iterator[str]:
    """Check that what was read as one breast and view is what the image itself says it is."""
    for source in claim.sources:
        header, view = source.header, source.view
        if header.get("ImageLaterality") in ("L", "R") and header.ImageLaterality != view.side:
            yield f"{source.name} was read from an image of the other breast"
        said = {str(code.get("CodeValue")) for code in header.get("ViewCodeSequence") or []}
        known = {each: {one.value, one.retired} for each, one in codes.VIEWS.items()}
        meant = {each for each, spelled in known.items() if said & spelled}
        if meant and view.projection not in meant:
            yield f"{source.name} was read from an image of another view"


CHECKS: tuple[Check, ...] = (encoding, values, ownership, identity, referenced, sides)
