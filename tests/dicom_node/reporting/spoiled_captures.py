"""Each way a secondary capture can be wrong, and what the proof says of it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_node.reporting.drawing import INK, spots
from dicom_node.reporting.naming import uid
from inference.findings import Kind

CAPTURED = "secondary_capture"
Spoiler = Callable[[Dataset], object]
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
    "another patient": (CAPTURED, lambda d: setattr(d, "PatientID", "X"), "PatientID"),
    "as a mammogram": (
        CAPTURED,
        lambda d: setattr(d, "Modality", "MG"),
        "Modality is MG",
    ),
    "for presentation": (
        CAPTURED,
        lambda d: setattr(d, "PresentationIntentType", "FOR PRESENTATION"),
        "looks like a mammogram",
    ),
    "of one side": (
        CAPTURED,
        lambda d: setattr(d, "Laterality", "L"),
        "Laterality is not empty",
    ),
    "nothing burned in": (
        CAPTURED,
        lambda d: setattr(d, "BurnedInAnnotation", "NO"),
        "BurnedInAnnotation is NO",
    ),
    "original": (
        CAPTURED,
        lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY"]),
        "not said to be derived",
    ),
    "no word of how": (
        CAPTURED,
        lambda d: delattr(d, "ConversionType"),
        "ConversionType is None",
    ),
    "grey": (CAPTURED, grey_alone, "SamplesPerPixel is 1"),
    "planes of color": (
        CAPTURED,
        lambda d: setattr(d, "PlanarConfiguration", 1),
        "PlanarConfiguration is 1",
    ),
    "no sources": (
        CAPTURED,
        lambda d: delattr(d, "SourceImageSequence"),
        "names 0 images as its sources",
    ),
    "one source less": (
        CAPTURED,
        lambda d: d.SourceImageSequence.pop(),
        "names 3 images as its sources",
    ),
    "a stranger's image": (
        CAPTURED,
        lambda d: setattr(d.SourceImageSequence[0], "ReferencedSOPInstanceUID", uid("nobody")),
        "not among the sources",
    ),
    "said to have lost": (
        CAPTURED,
        lambda d: setattr(d, "LossyImageCompression", "01"),
        "compressed with losses",
    ),
    "no statement": (
        CAPTURED,
        lambda d: setattr(d, "ImageComments", "Looked for masses and calcifications."),
        "do not say 'research use'",
    ),
    "no word of what was looked for": (
        CAPTURED,
        lambda d: setattr(d, "ImageComments", "For research use only."),
        "do not say 'Looked for masses and calcifications.'",
    ),
    "pixels cut short": (
        CAPTURED,
        lambda d: setattr(d, "PixelData", d.PixelData[:-2]),
        "bytes of pixels",
    ),
    "rows cut off": (CAPTURED, shorter, "the picture has"),
    "no heading": (CAPTURED, lambda d: repaint(d, no_heading), "heading does not say"),
    "no text below": (CAPTURED, lambda d: repaint(d, no_footing), "not the impression"),
    "no caption": (CAPTURED, lambda d: repaint(d, no_caption), "not what the findings"),
    "no labels": (CAPTURED, lambda d: repaint(d, no_label), "not what the findings make"),
    "no marks": (
        CAPTURED,
        lambda d: repaint(d, without_marks),
        "LCC mass 1 is not drawn where it was found",
    ),
    "marks moved": (
        CAPTURED,
        lambda d: repaint(d, moved_marks),
        "LCC mass 1 is not drawn where it was found",
    ),
    "colors exchanged": (
        CAPTURED,
        lambda d: repaint(d, in_the_other_color),
        "LCC mass 1 is not drawn in its color",
    ),
    "a mark too many": (
        CAPTURED,
        lambda d: repaint(d, a_mark_too_many),
        "drawn in RCC in the color of a mass that is none",
    ),
    "views exchanged": (
        CAPTURED,
        lambda d: repaint(d, exchanged_views),
        "RCC does not show its image",
    ),
    "sides exchanged": (
        CAPTURED,
        lambda d: repaint(d, exchanged_sides),
        "LMLO mass 1 is not drawn where it was found",
    ),
    "mirrored": (
        CAPTURED,
        lambda d: repaint(d, mirrored),
        "RCC does not show its image",
    ),
    "a negative": (
        CAPTURED,
        lambda d: repaint(d, negative),
        "RCC does not show its image",
    ),
    "brighter": (
        CAPTURED,
        lambda d: repaint(d, brighter),
        "RMLO does not show its image",
    ),
    "one pixel": (
        CAPTURED,
        lambda d: repaint(d, one_pixel),
        "not what the findings make",
    ),
}
