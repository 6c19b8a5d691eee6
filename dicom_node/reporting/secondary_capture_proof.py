"""What is checked in a secondary capture before it may leave."""

from collections.abc import Iterator

import numpy as np

from dicom_node.reporting import sheet, sheet_proof
from dicom_node.reporting.common_proof import Check, Claim, otherwise
from dicom_node.reporting.secondary_capture import LOSSY, MAX_LT, derived, footing, heading, made_by
from dicom_node.reporting.unread import not_read
from dicom_node.reporting.words import exam_score, promised
from dicom_node.settings.reporting import RESEARCH_USE

COLORED = {  # whatever the node draws
    "Modality": "OT",
    "ConversionType": "WSD",
    "SamplesPerPixel": 3,
    "PhotometricInterpretation": "RGB",
    "PlanarConfiguration": 0,
    "PixelRepresentation": 0,
    "BitsAllocated": 8,
    "BitsStored": 8,
    "HighBit": 7,
}
FORM = {**COLORED, "BurnedInAnnotation": "YES"}


def form(claim: Claim) -> Iterator[str]:
    """Check that the object is a picture with writing in it, and no mammogram."""
    for keyword, value in FORM.items():
        if claim.dataset.get(keyword) != value:
            yield f"{keyword} is {claim.dataset.get(keyword)}, not {value}"
    if list(claim.dataset.get("ImageType") or [])[:2] != ["DERIVED", "SECONDARY"]:
        yield "the picture is not said to be derived"
    for keyword in ("PresentationIntentType", "ViewCodeSequence", "ImageLaterality"):
        if keyword in claim.dataset:
            yield f"the picture looks like a mammogram: {keyword}"
    for keyword in ("PatientOrientation", "Laterality"):
        if keyword not in claim.dataset or claim.dataset.get(keyword):
            yield f"{keyword} is not empty, although four views have none in common"


def made_of(claim: Claim) -> Iterator[str]:
    """Check that the picture names the images it was made of, and their losses."""
    items = claim.dataset.get("SourceImageSequence") or []
    named = [str(item.get("ReferencedSOPInstanceUID")) for item in items]
    if named != [source.view.sop_instance_uid for source in claim.sources]:
        yield f"the picture names {len(named)} images as its sources, not those that were read"
    lossy = [s.header for s in claim.sources if s.header.get("LossyImageCompression") == "01"]
    if claim.dataset.get("LossyImageCompression") != ("01" if lossy else "00"):
        yield "the picture does not say whether its images had been compressed with losses"
    for keyword in LOSSY[1:]:
        if (keyword in claim.dataset) != any(header.get(keyword) for header in lossy):
            yield f"{keyword} is not that of the images"


def statement(claim: Claim) -> Iterator[str]:
    """Check that the words beside the picture say what it must not be used for."""
    said = str(claim.dataset.get("ImageComments") or "")
    whole = len(said) < MAX_LT  # else the end is cut off, and nobody can say where
    promises = (
        *exam_score(claim.exam, claim.given),
        *promised(claim.sources, claim.exam),
        *not_read(claim.unread),
        *claim.remarks,
    )
    for words in (RESEARCH_USE, *(promises if whole else ())):
        if words.lower() not in said.lower():
            yield f"the comments do not say '{words}'"


def picture(claim: Claim) -> Iterator[str]:
    """Check what is drawn and written in the picture."""
    dataset, lightbox = claim.dataset, claim.lightbox
    if lightbox is None:
        raise ValueError("the pixels of the images are not at hand")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns * 3
    if len(dataset.PixelData) != size + size % 2:
        yield f"there are {len(dataset.PixelData)} bytes of pixels, not {size + size % 2}"
        return
    pixels = np.frombuffer(dataset.PixelData, np.uint8)[:size].reshape(rows, columns, 3)
    pictures = sheet.pictures(claim.sources, lightbox)
    views = sheet.views(claim.sources, pictures, sheet.full(claim.exam))
    head = np.asarray(heading(views.width, claim.exam, claim.given))
    foot = np.asarray(footing(views.width, str(dataset.ImageComments), made_by(dataset)))
    if (rows, columns) != (len(head) + views.height + len(foot), views.width):
        yield f"the picture has {rows} rows and {columns} columns"
        return
    if not np.array_equal(pixels[: len(head)], head):
        yield "the heading does not say what this is and what came out"
    if not np.array_equal(pixels[-len(foot) :], foot):
        yield "the text below is not the impression"
    middle = pixels[len(head) : -len(foot)]
    yield from sheet_proof.views_faults(middle, claim.sources, pictures, views)


def whole(claim: Claim) -> Iterator[str]:
    """Check that all else about the picture is as its images make it."""
    yield from otherwise(claim, derived(claim.sources))


CHECKS: tuple[Check, ...] = (form, made_of, statement, picture, whole)
