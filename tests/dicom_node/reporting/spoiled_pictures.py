"""Each way an object that a viewer draws can be wrong, and what the proof says of it."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting.drawing import INK, spots
from dicom_node.reporting.naming import uid
from inference.findings import Kind

PRESENTED, CAPTURED = "presentation_state", "secondary_capture"
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


Picture = NDArray[np.uint8]  # (row, column, color)
VIEW_SIZE = (512, 640)
HEADING = 88  # rows of the secondary capture's title
ORANGE, BLUE = INK[Kind.MASS], INK[Kind.CALCIFICATION]


def repaint(dataset: Dataset, change: Callable[[Picture], Picture | None]) -> None:
    """Change the picture of a secondary capture, in place or into another."""
    shape = (int(dataset.Rows), int(dataset.Columns), 3)
    picture = np.frombuffer(dataset.PixelData, np.uint8)[: np.prod(shape)].reshape(shape).copy()
    changed = change(picture)
    dataset.PixelData = (picture if changed is None else changed).tobytes()


def view(picture: Picture, name: str, heading: int = HEADING) -> Picture:
    """Return a view of the sheet; what is written there is written in the picture."""
    placed, _ = spots({f"{side}{row}": VIEW_SIZE for side in "RL" for row in ("CC", "MLO")})
    spot = placed[name]
    top = heading + spot.top
    return picture[top : top + spot.height, spot.left : spot.left + spot.width]


def inked(picture: Picture, ink: tuple[int, int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (picture == np.array(ink, np.uint8)).all(axis=2)
    return found


def without_marks(picture: Picture) -> None:
    for ink in (ORANGE, BLUE):
        picture[inked(picture, ink)] = 90


def in_the_other_color(picture: Picture) -> None:
    orange, blue = inked(picture, ORANGE), inked(picture, BLUE)
    picture[orange], picture[blue] = BLUE, ORANGE


def exchanged_views(picture: Picture) -> None:
    one, other = view(picture, "RCC"), view(picture, "RMLO")
    one[:], other[:] = other.copy(), one.copy()


def exchanged_sides(picture: Picture) -> None:
    one, other = view(picture, "RMLO"), view(picture, "LMLO")
    one[:], other[:] = other.copy(), one.copy()


def mirrored(picture: Picture) -> None:
    part = view(picture, "RCC")
    part[:] = part[:, ::-1].copy()


def negative(picture: Picture) -> None:
    part = view(picture, "RCC")
    part[:] = 255 - part


def brighter(picture: Picture) -> None:
    part = view(picture, "RMLO")
    part[:] = np.minimum(part.astype(int) + 3, 255).astype(np.uint8)


def a_mark_too_many(picture: Picture) -> None:
    view(picture, "RCC")[300:302, 200:260] = ORANGE


def moved_marks(picture: Picture) -> None:
    part = view(picture, "LCC")
    orange = inked(part, ORANGE)
    part[orange] = 90
    part[np.roll(orange, 12, axis=1)] = ORANGE


def no_heading(picture: Picture) -> None:
    picture[:HEADING] = 16


def no_footing(picture: Picture) -> None:
    picture[-40:] = 16


def no_caption(picture: Picture) -> None:
    picture[HEADING : HEADING + 36] = 16


def no_label(picture: Picture) -> None:
    part = view(picture, "LCC")
    part[(part > 220).all(axis=2)] = 0


def one_pixel(picture: Picture) -> None:
    view(picture, "RCC")[300, 400] ^= 1


def grey_alone(dataset: Dataset) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"


def shorter(dataset: Dataset) -> None:
    dataset.Rows = int(dataset.Rows) - 100
    dataset.PixelData = dataset.PixelData[: int(dataset.Rows) * int(dataset.Columns) * 3]


SPOILED_CAPTURES: dict[str, tuple[str, Spoiler, str]] = {
    "captured: another patient": (CAPTURED, lambda d: setattr(d, "PatientID", "X"), "PatientID"),
    "captured: as a mammogram": (
        CAPTURED,
        lambda d: setattr(d, "Modality", "MG"),
        "Modality is MG",
    ),
    "captured: for presentation": (
        CAPTURED,
        lambda d: setattr(d, "PresentationIntentType", "FOR PRESENTATION"),
        "looks like a mammogram",
    ),
    "captured: of one side": (
        CAPTURED,
        lambda d: setattr(d, "Laterality", "L"),
        "Laterality is not empty",
    ),
    "captured: nothing burned in": (
        CAPTURED,
        lambda d: setattr(d, "BurnedInAnnotation", "NO"),
        "BurnedInAnnotation is NO",
    ),
    "captured: original": (
        CAPTURED,
        lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY"]),
        "not said to be derived",
    ),
    "captured: no word of how": (
        CAPTURED,
        lambda d: delattr(d, "ConversionType"),
        "ConversionType is None",
    ),
    "captured: grey": (CAPTURED, grey_alone, "SamplesPerPixel is 1"),
    "captured: planes of color": (
        CAPTURED,
        lambda d: setattr(d, "PlanarConfiguration", 1),
        "PlanarConfiguration is 1",
    ),
    "captured: no sources": (
        CAPTURED,
        lambda d: delattr(d, "SourceImageSequence"),
        "names 0 images as its sources",
    ),
    "captured: one source less": (
        CAPTURED,
        lambda d: d.SourceImageSequence.pop(),
        "names 3 images as its sources",
    ),
    "captured: a stranger's image": (
        CAPTURED,
        lambda d: setattr(d.SourceImageSequence[0], "ReferencedSOPInstanceUID", uid("nobody")),
        "not among the sources",
    ),
    "captured: said to have lost": (
        CAPTURED,
        lambda d: setattr(d, "LossyImageCompression", "01"),
        "compressed with losses",
    ),
    "captured: no statement": (
        CAPTURED,
        lambda d: setattr(d, "ImageComments", "Looked for masses and calcifications."),
        "do not say 'research use'",
    ),
    "captured: no word of what was looked for": (
        CAPTURED,
        lambda d: setattr(d, "ImageComments", "For research use only."),
        "do not say 'Looked for masses and calcifications.'",
    ),
    "captured: pixels cut short": (
        CAPTURED,
        lambda d: setattr(d, "PixelData", d.PixelData[:-2]),
        "bytes of pixels",
    ),
    "captured: rows cut off": (CAPTURED, shorter, "the picture has"),
    "captured: no heading": (CAPTURED, lambda d: repaint(d, no_heading), "heading does not say"),
    "captured: no text below": (CAPTURED, lambda d: repaint(d, no_footing), "not the impression"),
    "captured: no caption": (CAPTURED, lambda d: repaint(d, no_caption), "not what the findings"),
    "captured: no labels": (CAPTURED, lambda d: repaint(d, no_label), "not what the findings make"),
    "captured: no marks": (
        CAPTURED,
        lambda d: repaint(d, without_marks),
        "LCC mass 1 is not drawn where it was found",
    ),
    "captured: marks moved": (
        CAPTURED,
        lambda d: repaint(d, moved_marks),
        "LCC mass 1 is not drawn where it was found",
    ),
    "captured: colors exchanged": (
        CAPTURED,
        lambda d: repaint(d, in_the_other_color),
        "LCC mass 1 is not drawn in its color",
    ),
    "captured: a mark too many": (
        CAPTURED,
        lambda d: repaint(d, a_mark_too_many),
        "drawn in RCC in the color of a mass that is none",
    ),
    "captured: views exchanged": (
        CAPTURED,
        lambda d: repaint(d, exchanged_views),
        "RCC does not show its image",
    ),
    "captured: sides exchanged": (
        CAPTURED,
        lambda d: repaint(d, exchanged_sides),
        "LMLO mass 1 is not drawn where it was found",
    ),
    "captured: mirrored": (
        CAPTURED,
        lambda d: repaint(d, mirrored),
        "RCC does not show its image",
    ),
    "captured: a negative": (
        CAPTURED,
        lambda d: repaint(d, negative),
        "RCC does not show its image",
    ),
    "captured: brighter": (
        CAPTURED,
        lambda d: repaint(d, brighter),
        "RMLO does not show its image",
    ),
    "captured: one pixel": (
        CAPTURED,
        lambda d: repaint(d, one_pixel),
        "not what the findings make",
    ),
}

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
