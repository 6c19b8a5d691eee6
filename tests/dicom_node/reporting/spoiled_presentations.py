"""Each way a presentation state can be wrong, and what the proof says of it."""

from collections.abc import Callable
from copy import deepcopy

from pydicom.dataset import Dataset

from dicom_node.reporting.naming import uid

PRESENTED = "presentation_state"
Spoiler = Callable[[Dataset], object]


def annotation(dataset: Dataset) -> Dataset:
    item: Dataset = dataset.GraphicAnnotationSequence[0]
    return item


def outline(dataset: Dataset) -> Dataset:
    item: Dataset = annotation(dataset).GraphicObjectSequence[0]
    return item


def redraw(dataset: Dataset, change: Callable[[list[float]], list[float]]) -> None:
    item = outline(dataset)
    item.GraphicData = change([float(number) for number in item.GraphicData])
    item.NumberOfGraphicPoints = len(item.GraphicData) // 2


def voi(dataset: Dataset) -> Dataset:
    item: Dataset = dataset.SoftcopyVOILUTSequence[0]
    return item


def text(dataset: Dataset, which: int = 0) -> Dataset:
    item: Dataset = annotation(dataset).TextObjectSequence[which]
    return item


def no_window(dataset: Dataset) -> None:
    dataset.SoftcopyVOILUTSequence = [Dataset()]


def of_the_other_breast(dataset: Dataset) -> None:
    """Say consistently that the outlines are of the right breast."""
    series = dataset.ReferencedSeriesSequence[0]
    series.SeriesInstanceUID = uid("series", "R", "CC")
    areas = dataset.DisplayedAreaSelectionSequence
    for item in (series, *areas, annotation(dataset)):
        item.ReferencedImageSequence[0].ReferencedSOPInstanceUID = uid("image", "R", "CC")


def exchanged(dataset: Dataset) -> None:
    drawn = annotation(dataset).GraphicObjectSequence
    drawn[0], drawn[1] = drawn[1], drawn[0]


def table_of_another_image(dataset: Dataset) -> None:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "OW", b"".join(n.to_bytes(2, "little") for n in range(4096)))
    item = Dataset()
    item.VOILUTSequence = [table]
    dataset.SoftcopyVOILUTSequence = [item]


SPOILED_PRESENTATIONS: dict[str, tuple[str, Spoiler, str]] = {
    "another patient": (PRESENTED, lambda d: setattr(d, "PatientID", "X"), "PatientID"),
    "no creation date": (
        PRESENTED,
        lambda d: delattr(d, "PresentationCreationDate"),
        "PresentationCreationDate is missing",
    ),
    "a stranger's image": (
        PRESENTED,
        lambda d: setattr(
            d.ReferencedSeriesSequence[0].ReferencedImageSequence[0],
            "ReferencedSOPInstanceUID",
            uid("nobody"),
        ),
        "not among the sources",
    ),
    "another series": (
        PRESENTED,
        lambda d: setattr(d.ReferencedSeriesSequence[0], "SeriesInstanceUID", uid("x")),
        "referenced series is not the image's",
    ),
    "the outlines of another image": (
        PRESENTED,
        lambda d: setattr(
            annotation(d).ReferencedImageSequence[0],
            "ReferencedSOPInstanceUID",
            uid("image", "R", "CC"),
        ),
        "GraphicAnnotationSequence is of another image",
    ),
    "the other breast, consistently": (
        PRESENTED,
        of_the_other_breast,
        "the laterality is L, the image's R",
    ),
    "the other side": (
        PRESENTED,
        lambda d: setattr(d, "Laterality", "R"),
        "the laterality is R",
    ),
    "no side": (PRESENTED, lambda d: delattr(d, "Laterality"), "the laterality is None"),
    "another modality": (
        PRESENTED,
        lambda d: setattr(d, "Modality", "MG"),
        "the modality is MG",
    ),
    "no label in the list": (
        PRESENTED,
        lambda d: delattr(d, "ContentLabel"),
        "ContentLabel is missing",
    ),
    "no creator": (
        PRESENTED,
        lambda d: delattr(d, "ContentCreatorName"),
        "ContentCreatorName is missing",
    ),
    "a part of the image": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "DisplayedAreaBottomRightHandCorner", [100, 100]
        ),
        "the displayed area is",
    ),
    "rows and columns of the area swapped": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "DisplayedAreaBottomRightHandCorner", [640, 512]
        ),
        "the image 512 x 640",
    ),
    "squeezed": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "PresentationPixelAspectRatio", [1, 2]
        ),
        "not shown as squares",
    ),
    "flipped": (
        PRESENTED,
        lambda d: setattr(d, "ImageHorizontalFlip", "Y"),
        "turned or covered",
    ),
    "no layer": (
        PRESENTED,
        lambda d: delattr(d, "GraphicLayerSequence"),
        "layers cannot be checked",
    ),
    "a layer that is not there": (
        PRESENTED,
        lambda d: setattr(annotation(d), "GraphicLayer", "OTHER"),
        "in the layer OTHER",
    ),
    "a layer without color": (
        PRESENTED,
        lambda d: delattr(d.GraphicLayerSequence[0], "GraphicLayerRecommendedDisplayCIELabValue"),
        "has no color",
    ),
    "one outline less": (
        PRESENTED,
        lambda d: annotation(d).GraphicObjectSequence.pop(),
        "1 outlines are drawn, 2 findings",
    ),
    "one outline twice": (
        PRESENTED,
        lambda d: annotation(d).GraphicObjectSequence.append(deepcopy(outline(d))),
        "3 outlines are drawn",
    ),
    "outlines exchanged": (PRESENTED, exchanged, "lies elsewhere"),
    "an open line": (PRESENTED, lambda d: redraw(d, lambda p: p[:-2]), "an open line"),
    "outside the image": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n + 400 for n in p]),
        "leaves the image",
    ),
    "row and column swapped": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [p[i ^ 1] for i in range(len(p))]),
        "lies elsewhere",
    ),
    "mirrored": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n if i % 2 else 512 - n for i, n in enumerate(p)]),
        "lies elsewhere",
    ),
    "half a pixel off": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n + 0.5 for n in p]),
        "lies elsewhere",
    ),
    "an ellipse": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicType", "ELLIPSE"),
        "drawn as ELLIPSE",
    ),
    "in the units of the display": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicAnnotationUnits", "DISPLAY"),
        "in DISPLAY, not POLYLINE in PIXEL",
    ),
    "a wrong number of points": (
        PRESENTED,
        lambda d: setattr(outline(d), "NumberOfGraphicPoints", 3),
        "and says 3",
    ),
    "filled": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicFilled", "Y"),
        "hides what it marks",
    ),
    "no tracking": (
        PRESENTED,
        lambda d: delattr(outline(d), "TrackingUID"),
        "has not its tracking identifier",
    ),
    "another score": (
        PRESENTED,
        lambda d: setattr(text(d), "UnformattedTextValue", "LCC mass 1\r\nlesion 12.0 %"),
        "label of LCC mass 1 says something else",
    ),
    "a label elsewhere": (
        PRESENTED,
        lambda d: setattr(text(d), "AnchorPoint", [1.0, 1.0]),
        "is not beside it",
    ),
    "no labels": (
        PRESENTED,
        lambda d: setattr(annotation(d), "TextObjectSequence", [text(d, -1)]),
        "0 labels are written",
    ),
    "no statement": (
        PRESENTED,
        lambda d: setattr(text(d, -1), "UnformattedTextValue", "AI"),
        "no text says 'research use'",
    ),
    "no window": (PRESENTED, no_window, "neither a window nor a table"),
    "no way to show it": (
        PRESENTED,
        lambda d: delattr(d, "SoftcopyVOILUTSequence"),
        "grey cannot be checked",
    ),
    "another window": (
        PRESENTED,
        lambda d: setattr(voi(d), "WindowCenter", 1000),
        "in other greys than its own",
    ),
    "another function": (
        PRESENTED,
        lambda d: setattr(voi(d), "VOILUTFunction", "SIGMOID"),
        "in other greys than its own",
    ),
    "an unknown function": (
        PRESENTED,
        lambda d: setattr(voi(d), "VOILUTFunction", "WARM"),
        "cannot be shown as the object wants it",
    ),
    "two windows": (
        PRESENTED,
        lambda d: setattr(voi(d), "WindowCenter", [2048, 2048]),
        "2 values of WindowCenter",
    ),
    "a table instead": (PRESENTED, table_of_another_image, "in other greys"),
    "rescaled": (
        PRESENTED,
        lambda d: setattr(d, "RescaleSlope", 2),
        "in other greys than its own",
    ),
    "inverted": (
        PRESENTED,
        lambda d: setattr(d, "PresentationLUTShape", "INVERSE"),
        "in other greys than its own",
    ),
}
