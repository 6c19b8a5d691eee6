"""Each way a note that takes a result back can be wrong, and what the proof says."""

from copy import deepcopy

from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ImplicitVRLittleEndian,
    SegmentationStorage,
)
from spoiled_objects import Spoiler, every, put, remove

from dicom_node.reporting.naming import uid

EVIDENCE = "CurrentRequestedProcedureEvidenceSequence"
TITLE = "113037"


def references(dataset: Dataset) -> list[Dataset]:
    return [item for item in dataset.ContentSequence if "ReferencedSOPSequence" in item]


def referred(dataset: Dataset, place: int = 0) -> Dataset:
    reference: Dataset = references(dataset)[place].ReferencedSOPSequence[0]
    return reference


def series(dataset: Dataset) -> list[Dataset]:
    return list(dataset[EVIDENCE].value[0].ReferencedSeriesSequence)


def also_an_image(dataset: Dataset) -> None:
    """Take back a mammogram too, consistently: an archive would hide it."""
    item = deepcopy(references(dataset)[0])
    item.ValueType = "IMAGE"
    item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = uid("image", "L", "CC")
    image_class = DigitalMammographyXRayImageStorageForPresentation
    item.ReferencedSOPSequence[0].ReferencedSOPClassUID = image_class
    dataset.ContentSequence.append(item)
    listed = deepcopy(series(dataset)[0])
    listed.SeriesInstanceUID = uid("series", "L", "CC")
    listed.ReferencedSOPSequence = [deepcopy(item.ReferencedSOPSequence[0])]
    dataset[EVIDENCE].value[0].ReferencedSeriesSequence.append(listed)


def one_less(dataset: Dataset) -> None:
    """Forget an object, consistently: it would stay in sight."""
    dataset.ContentSequence.pop()
    dataset[EVIDENCE].value[0].ReferencedSeriesSequence.pop()


def swapped(dataset: Dataset) -> None:
    first, second = series(dataset)[:2]
    first.SeriesInstanceUID, second.SeriesInstanceUID = (
        second.SeriesInstanceUID,
        first.SeriesInstanceUID,
    )


def named_reference(dataset: Dataset) -> None:
    name = deepcopy(dataset.ConceptNameCodeSequence)
    references(dataset)[0].ConceptNameCodeSequence = name


def retitled(dataset: Dataset) -> None:
    dataset.ConceptNameCodeSequence[0].CodeValue = "113000"
    dataset.ConceptNameCodeSequence[0].CodeMeaning = "Of Interest"


SPOILED_REJECTIONS: dict[str, tuple[Spoiler, str]] = {
    "another title": (retitled, "the title is not"),
    "a title of another scheme": (
        lambda d: setattr(d.ConceptNameCodeSequence[0], "CodingSchemeDesignator", "SCT"),
        "the title is not",
    ),
    "a mammogram too": (also_an_image, "takes back what was not recalled"),
    "one object less": (one_less, "takes back 4 objects, not the 5"),
    "one object twice": (
        lambda d: d.ContentSequence.append(deepcopy(references(d)[0])),
        "takes back 6 objects",
    ),
    "an object of another class": (
        lambda d: setattr(referred(d), "ReferencedSOPClassUID", SegmentationStorage),
        "is another",
    ),
    "an unknown object": (
        lambda d: setattr(referred(d), "ReferencedSOPInstanceUID", uid("nobody")),
        "not recalled",
    ),
    "a report as an image": (
        lambda d: setattr(references(d)[0], "ValueType", "IMAGE"),
        "referred to as IMAGE",
    ),
    "a segmentation as a composite": (
        lambda d: setattr(references(d)[-1], "ValueType", "COMPOSITE"),
        "referred to as COMPOSITE",
    ),
    "a reference with a purpose": (named_reference, "not plainly contained"),
    "a reference inferred": (
        lambda d: setattr(references(d)[0], "RelationshipType", "INFERRED FROM"),
        "not plainly contained",
    ),
    "no evidence": (lambda d: delattr(d, EVIDENCE), "evidence does not list"),
    "evidence left out": (
        lambda d: d[EVIDENCE].value[0].ReferencedSeriesSequence.pop(),
        "evidence does not list",
    ),
    "series exchanged": (swapped, "each in its own series"),
    "evidence of another study": (
        lambda d: setattr(d[EVIDENCE].value[0], "StudyInstanceUID", uid("x")),
        "of another study",
    ),
    "another patient": (lambda d: setattr(d, "PatientID", "OTHER"), "PatientID is not"),
    "another study": (lambda d: setattr(d, "StudyInstanceUID", uid("x")), "StudyInstanceUID"),
    "the UID of what it takes back": (
        lambda d: setattr(d, "SOPInstanceUID", referred(d).ReferencedSOPInstanceUID),
        "the UID of an object",
    ),
    "in a series that it takes back": (
        lambda d: setattr(d, "SeriesInstanceUID", series(d)[0].SeriesInstanceUID),
        "in a series",
    ),
    "a low series number": (lambda d: setattr(d, "SeriesNumber", 5), "below 9000"),
    "a series without the statement": (
        lambda d: setattr(d, "SeriesDescription", "AI recall"),
        "does not say",
    ),
    "another modality": (lambda d: setattr(d, "Modality", "SR"), "no Key Object Selection"),
    "no template": (lambda d: delattr(d, "ContentTemplateSequence"), "TID 2010"),
    "continuous": (lambda d: setattr(d, "ContinuityOfContent", "CONTINUOUS"), "separate"),
    "no language": (lambda d: d.ContentSequence.pop(0), "its language"),
    "no description": (lambda d: remove(d, TITLE, "113012"), "what it is for"),
    "another description": (
        lambda d: setattr(every(d, "113012")[0], "TextValue", "Look at these."),
        "what it is for",
    ),
    "no observer": (lambda d: remove(d, TITLE, "121012"), "the device that made it"),
    "another observer": (lambda d: setattr(every(d, "121012")[0], "UID", uid("x")), "the device"),
    "no software version": (lambda d: delattr(d, "SoftwareVersions"), "SoftwareVersions"),
    "a bad UID": (lambda d: put(d, "SeriesInstanceUID", "UI", b"1.02.3"), "no valid UID"),
    "implicit VR": (
        lambda d: setattr(d.file_meta, "TransferSyntaxUID", ImplicitVRLittleEndian),
        "",
    ),
}
