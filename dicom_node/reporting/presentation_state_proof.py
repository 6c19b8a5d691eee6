"""What is checked in a presentation state before it may leave."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.reporting.common_proof import Check, Claim, otherwise
from dicom_node.reporting.labels import label
from dicom_node.reporting.marks import points
from dicom_node.reporting.presentation_state import LAYER, MODALITY, anchors, presented, text_of
from dicom_node.reporting.shown import of_a_cut
from dicom_node.reporting.sources import Lesion, Source
from dicom_node.settings.reporting import RESEARCH_USE
from inference.errors import Unreadable
from inference.mammogram import GreyScale
from inference.reading import grey_scale

A_POINT = 0.01  # of a pixel; graphic data are single floats
A_SHADE = 1 / 512  # half of what a screen of eight bits can show
BLANK = np.zeros((8, 8), dtype=np.int64)  # where only the header counts
WAYS_TO_SHOW = (*MODALITY, "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction")


def source(claim: Claim) -> Source:
    """Return the one image that is presented."""
    (series,) = claim.dataset.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    uid = str(image.ReferencedSOPInstanceUID)
    return {each.view.sop_instance_uid: each for each in claim.sources}[uid]


def reference(claim: Claim) -> Iterator[str]:
    """Check that everything in the object is of the one image, in its series, on its side."""
    dataset, shown = claim.dataset, source(claim)
    if dataset.ReferencedSeriesSequence[0].SeriesInstanceUID != shown.header.SeriesInstanceUID:
        yield "the referenced series is not the image's"
    for keyword in ("DisplayedAreaSelectionSequence", "GraphicAnnotationSequence"):
        for item in dataset.get(keyword) or [Dataset()]:
            uids = [str(image.ReferencedSOPInstanceUID) for image in item.ReferencedImageSequence]
            if uids != [shown.view.sop_instance_uid]:
                yield f"the {keyword} is of another image"
    if dataset.get("Laterality") != shown.view.side:
        yield f"the laterality is {dataset.get('Laterality')}, the image's {shown.view.side}"


def identification(claim: Claim) -> Iterator[str]:
    """Check what a viewer's list of presentation states shows."""
    dataset = claim.dataset
    if dataset.Modality != "PR":
        yield f"the modality is {dataset.Modality}, not PR"
    for keyword in ("ContentLabel", "ContentDescription"):
        if not dataset.get(keyword):
            yield f"{keyword} is missing"
    if "ContentCreatorName" not in dataset:
        yield "ContentCreatorName is missing"


def area(claim: Claim) -> Iterator[str]:
    """Check that the whole image is shown, as it lies."""
    header = source(claim).header
    (item,) = claim.dataset.DisplayedAreaSelectionSequence
    corners = [list(item.DisplayedAreaTopLeftHandCorner)]
    corners.append(list(item.DisplayedAreaBottomRightHandCorner))
    if corners != [[1, 1], [header.Columns, header.Rows]]:
        yield f"the displayed area is {corners}, the image {header.Columns} x {header.Rows}"
    if list(item.get("PresentationPixelAspectRatio") or []) != [1, 1]:
        yield "the pixels are not shown as squares"
    for keyword in ("ImageRotation", "ImageHorizontalFlip", "ShutterShape"):
        if keyword in claim.dataset:
            yield f"the image is turned or covered: {keyword}"


def layers(claim: Claim) -> Iterator[str]:
    """Check that what is drawn lies in the one layer there is."""
    names = [item.GraphicLayer for item in claim.dataset.GraphicLayerSequence]
    if names != [LAYER]:
        yield f"the layers are {names}"
    for item in claim.dataset.GraphicAnnotationSequence:
        if item.GraphicLayer != LAYER:
            yield f"something is drawn in the layer {item.GraphicLayer}, which is not there"
    for item in claim.dataset.GraphicLayerSequence:
        if not item.get("GraphicLayerRecommendedDisplayCIELabValue"):
            yield f"the layer {item.GraphicLayer} has no color"


def outlines(claim: Claim) -> Iterator[str]:
    """Check that each finding is outlined once, closed, in pixels, where it was found."""
    shown = source(claim)
    (annotation,) = claim.dataset.GraphicAnnotationSequence
    drawn = list(annotation.get("GraphicObjectSequence") or [])
    if len(drawn) != len(shown.lesions):
        yield f"{len(drawn)} outlines are drawn, {len(shown.lesions)} findings are in the image"
        return
    for lesion, item in zip(shown.lesions, drawn, strict=True):
        yield from _outline_faults(lesion, item, shown.header)


def _outline_faults(lesion: Lesion, item: Dataset, header: Dataset) -> Iterator[str]:
    path = points(item)
    if (item.GraphicType, item.GraphicAnnotationUnits) != ("POLYLINE", "PIXEL"):
        units = item.GraphicAnnotationUnits
        yield f"{lesion.name} is drawn as {item.GraphicType} in {units}, not POLYLINE in PIXEL"
    if item.get("GraphicDimensions") != 2 or item.NumberOfGraphicPoints != len(path):  # noqa: PLR2004 - a plane
        yield f"{lesion.name} has {len(path)} points and says {item.NumberOfGraphicPoints}"
    if not path or path[0] != path[-1]:
        yield f"the outline of {lesion.name} is an open line"
    if any(not (0 <= x <= header.Columns and 0 <= y <= header.Rows) for x, y in path):
        yield f"the outline of {lesion.name} leaves the image"
    if not _same(path, lesion.outline):
        yield f"the outline of {lesion.name} lies elsewhere"
    if item.get("GraphicFilled") != "N":
        yield f"the outline of {lesion.name} is filled, and hides what it marks"
    if (item.get("TrackingID"), item.get("TrackingUID")) != (lesion.name, lesion.uid):
        yield f"the outline of {lesion.name} has not its tracking identifier"


def _same(path: tuple[tuple[float, float], ...], wanted: tuple[tuple[float, float], ...]) -> bool:
    return len(path) == len(wanted) and bool(np.allclose(path, wanted, atol=A_POINT, rtol=0))


def texts(claim: Claim) -> Iterator[str]:
    """Check that each outline has its scores beside it, and the image the research statement."""
    shown = source(claim)
    items = list(claim.dataset.GraphicAnnotationSequence[0].get("TextObjectSequence") or [])
    *labels, statement = items
    if len(labels) != len(shown.lesions):
        yield f"{len(labels)} labels are written, {len(shown.lesions)} findings are in the image"
        return
    beside = anchors(shown)
    for lesion, item, anchor in zip(shown.lesions, labels, beside, strict=True):
        if item.UnformattedTextValue != text_of(label(lesion, claim.exam)):
            yield f"the label of {lesion.name} says something else"
        x, y = item.AnchorPoint
        if item.AnchorPointAnnotationUnits != "PIXEL" or not _same(((x, y),), (anchor,)):
            yield f"the label of {lesion.name} is not beside it"
    said = str(statement.UnformattedTextValue)
    if RESEARCH_USE not in said.lower():
        yield f"no text says '{RESEARCH_USE}'"
    for words in of_a_cut(claim.remarks):
        if words not in said:
            yield f"no text says '{words}'"


def grey(claim: Claim) -> Iterator[str]:
    """Check that the image is shown in the same greys with the object as without."""
    (voi,) = claim.dataset.SoftcopyVOILUTSequence
    for keyword in ("WindowCenter", "WindowWidth"):
        if keyword in voi and voi[keyword].VM != 1:
            yield f"there are {voi[keyword].VM} values of {keyword}"
    try:
        there = grey_scale(_presented(claim, voi), BLANK)
    except Unreadable as fault:
        yield f"the image cannot be shown as the object wants it: {fault}"
        return
    if there.assumed:
        yield "there is neither a window nor a table"
    elif _farthest(there.table, _own(claim).table) > A_SHADE:
        yield "the image is shown in other greys than its own"


def _presented(claim: Claim, voi: Dataset) -> Dataset:
    """Put together an image of which the object alone says how it is shown."""
    header, image = source(claim).header, _little_endian()
    for keyword in ("BitsStored", "PixelRepresentation"):
        setattr(image, keyword, header.get(keyword))
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PresentationLUTShape = claim.dataset.PresentationLUTShape
    for keyword in WAYS_TO_SHOW:
        for says in (claim.dataset, voi):
            if keyword in says:
                image[keyword] = says[keyword]
    return image


def _little_endian() -> Dataset:
    """Begin an image of which pydicom knows how its tables are written."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _own(claim: Claim) -> GreyScale:
    """Return how the image is shown by itself; where only its pixels tell, by them."""
    header = _little_endian()
    header.update(source(claim).header)
    own = grey_scale(header, BLANK)
    if not own.assumed:
        return own
    if claim.lightbox is None:
        raise ValueError("the image says nothing of its window, and its pixels are not at hand")
    return claim.lightbox.shown(str(header.SOPInstanceUID)).grey


def _farthest(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one - other).max()) if one.shape == other.shape else 1.0


def whole(claim: Claim) -> Iterator[str]:
    """Check that all else about drawing and showing is as the findings and the image make it."""
    items = claim.dataset.GraphicAnnotationSequence[0].TextObjectSequence
    statement = str(items[-1].UnformattedTextValue)
    yield from otherwise(claim, presented(source(claim), claim.exam, statement, claim.lightbox))
    if claim.dataset.ContentDescription != claim.dataset.SeriesDescription:
        yield "the content is not described as the series is"


CHECKS: tuple[Check, ...] = (
    reference,
    identification,
    area,
    layers,
    outlines,
    texts,
    grey,
    whole,
)
