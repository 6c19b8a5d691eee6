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
    "presented: another patient": (PRESENTED, lambda d: setattr(d, "PatientID", "X"), "PatientID"),
    "presented: no creation date": (
        PRESENTED,
        lambda d: delattr(d, "PresentationCreationDate"),
        "PresentationCreationDate is missing",
    ),
    "presented: a stranger's image": (
        PRESENTED,
        lambda d: setattr(
            d.ReferencedSeriesSequence[0].ReferencedImageSequence[0],
            "ReferencedSOPInstanceUID",
            uid("nobody"),
        ),
        "not among the sources",
    ),
    "presented: another series": (
        PRESENTED,
        lambda d: setattr(d.ReferencedSeriesSequence[0], "SeriesInstanceUID", uid("x")),
        "referenced series is not the image's",
    ),
    "presented: the outlines of another image": (
        PRESENTED,
        lambda d: setattr(
            annotation(d).ReferencedImageSequence[0],
            "ReferencedSOPInstanceUID",
            uid("image", "R", "CC"),
        ),
        "GraphicAnnotationSequence is of another image",
    ),
    "presented: the other breast, consistently": (
        PRESENTED,
        of_the_other_breast,
        "the laterality is L, the image's R",
    ),
    "presented: the other side": (
        PRESENTED,
        lambda d: setattr(d, "Laterality", "R"),
        "the laterality is R",
    ),
    "presented: no side": (PRESENTED, lambda d: delattr(d, "Laterality"), "the laterality is None"),
    "presented: another modality": (
        PRESENTED,
        lambda d: setattr(d, "Modality", "MG"),
        "the modality is MG",
    ),
    "presented: no label in the list": (
        PRESENTED,
        lambda d: delattr(d, "ContentLabel"),
        "ContentLabel is missing",
    ),
    "presented: no creator": (
        PRESENTED,
        lambda d: delattr(d, "ContentCreatorName"),
        "ContentCreatorName is missing",
    ),
    "presented: a part of the image": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "DisplayedAreaBottomRightHandCorner", [100, 100]
        ),
        "the displayed area is",
    ),
    "presented: rows and columns of the area swapped": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "DisplayedAreaBottomRightHandCorner", [640, 512]
        ),
        "the image 512 x 640",
    ),
    "presented: squeezed": (
        PRESENTED,
        lambda d: setattr(
            d.DisplayedAreaSelectionSequence[0], "PresentationPixelAspectRatio", [1, 2]
        ),
        "not shown as squares",
    ),
    "presented: flipped": (
        PRESENTED,
        lambda d: setattr(d, "ImageHorizontalFlip", "Y"),
        "turned or covered",
    ),
    "presented: no layer": (
        PRESENTED,
        lambda d: delattr(d, "GraphicLayerSequence"),
        "layers cannot be checked",
    ),
    "presented: a layer that is not there": (
        PRESENTED,
        lambda d: setattr(annotation(d), "GraphicLayer", "OTHER"),
        "in the layer OTHER",
    ),
    "presented: a layer without color": (
        PRESENTED,
        lambda d: delattr(d.GraphicLayerSequence[0], "GraphicLayerRecommendedDisplayCIELabValue"),
        "has no color",
    ),
    "presented: one outline less": (
        PRESENTED,
        lambda d: annotation(d).GraphicObjectSequence.pop(),
        "1 outlines are drawn, 2 findings",
    ),
    "presented: one outline twice": (
        PRESENTED,
        lambda d: annotation(d).GraphicObjectSequence.append(deepcopy(outline(d))),
        "3 outlines are drawn",
    ),
    "presented: outlines exchanged": (PRESENTED, exchanged, "lies elsewhere"),
    "presented: an open line": (PRESENTED, lambda d: redraw(d, lambda p: p[:-2]), "an open line"),
    "presented: outside the image": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n + 400 for n in p]),
        "leaves the image",
    ),
    "presented: row and column swapped": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [p[i ^ 1] for i in range(len(p))]),
        "lies elsewhere",
    ),
    "presented: mirrored": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n if i % 2 else 512 - n for i, n in enumerate(p)]),
        "lies elsewhere",
    ),
    "presented: half a pixel off": (
        PRESENTED,
        lambda d: redraw(d, lambda p: [n + 0.5 for n in p]),
        "lies elsewhere",
    ),
    "presented: an ellipse": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicType", "ELLIPSE"),
        "drawn as ELLIPSE",
    ),
    "presented: in the units of the display": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicAnnotationUnits", "DISPLAY"),
        "in DISPLAY, not POLYLINE in PIXEL",
    ),
    "presented: a wrong number of points": (
        PRESENTED,
        lambda d: setattr(outline(d), "NumberOfGraphicPoints", 3),
        "and says 3",
    ),
    "presented: filled": (
        PRESENTED,
        lambda d: setattr(outline(d), "GraphicFilled", "Y"),
        "hides what it marks",
    ),
    "presented: no tracking": (
        PRESENTED,
        lambda d: delattr(outline(d), "TrackingUID"),
        "has not its tracking identifier",
    ),
    "presented: another score": (
        PRESENTED,
        lambda d: setattr(text(d), "UnformattedTextValue", "LCC mass 1\r\nlesion 12.0 %"),
        "label of LCC mass 1 says something else",
    ),
    "presented: a label elsewhere": (
        PRESENTED,
        lambda d: setattr(text(d), "AnchorPoint", [1.0, 1.0]),
        "is not beside it",
    ),
    "presented: no labels": (
        PRESENTED,
        lambda d: setattr(annotation(d), "TextObjectSequence", [text(d, -1)]),
        "0 labels are written",
    ),
    "presented: no statement": (
        PRESENTED,
        lambda d: setattr(text(d, -1), "UnformattedTextValue", "AI"),
        "no text says 'research use'",
    ),
    "presented: no window": (PRESENTED, no_window, "neither a window nor a table"),
    "presented: no way to show it": (
        PRESENTED,
        lambda d: delattr(d, "SoftcopyVOILUTSequence"),
        "grey cannot be checked",
    ),
    "presented: another window": (
        PRESENTED,
        lambda d: setattr(voi(d), "WindowCenter", 1000),
        "in other greys than its own",
    ),
    "presented: another function": (
        PRESENTED,
        lambda d: setattr(voi(d), "VOILUTFunction", "SIGMOID"),
        "in other greys than its own",
    ),
    "presented: an unknown function": (
        PRESENTED,
        lambda d: setattr(voi(d), "VOILUTFunction", "WARM"),
        "cannot be shown as the object wants it",
    ),
    "presented: two windows": (
        PRESENTED,
        lambda d: setattr(voi(d), "WindowCenter", [2048, 2048]),
        "2 values of WindowCenter",
    ),
    "presented: a table instead": (PRESENTED, table_of_another_image, "in other greys"),
    "presented: rescaled": (
        PRESENTED,
        lambda d: setattr(d, "RescaleSlope", 2),
        "in other greys than its own",
    ),
    "presented: inverted": (
        PRESENTED,
        lambda d: setattr(d, "PresentationLUTShape", "INVERSE"),
        "in other greys than its own",
    ),
}
