"""Labels of calcifications, made alike before they teach (Cao, section 4.2.1)."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEAST_MM2 = 4.4  # the paper's 900 pixels, of about 0.07 mm: an area does not depend on the pitch

_EIGHT = np.ones((3, 3), dtype=np.bool_)  # pixels that touch at a corner are one label

Labels = NDArray[np.bool_]


def dilated(mask: Labels, least_mm2: float, spacing_mm: tuple[float, float]) -> Labels:
    """Let each label of less than an area grow to it, evenly in all directions.

    A label grows by distance in mm until its area is reached, and then takes all pixels that are
    as far as the last one, so that it stays symmetric. Each grows for itself: labels may meet.
    """
    pixel_mm2 = spacing_mm[0] * spacing_mm[1]
    least_px = math.ceil(round(least_mm2 / pixel_mm2, 6))
    if least_px > mask.size:
        raise ValueError(
            f"a label of {least_mm2} mm² does not fit on a picture of "
            f"{mask.size * pixel_mm2:.2f} mm²: is the pixel spacing of {spacing_mm} mm right?"
        )
    parts, count = ndimage.label(mask, structure=_EIGHT)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    places = ndimage.find_objects(parts)
    grown = mask.copy()
    for number in np.flatnonzero(sizes[1:] < least_px) + 1:
        here = _around(places[number - 1], mask.shape, least_mm2, spacing_mm)
        far_mm = ndimage.distance_transform_edt(parts[here] != number, sampling=spacing_mm)
        last_mm = np.partition(far_mm, least_px - 1, axis=None)[least_px - 1]
        grown[here] |= far_mm <= last_mm * (1 + 1e-9)
    return grown


def _around(
    place: tuple[slice, ...],
    shape: tuple[int, ...],
    least_mm2: float,
    spacing_mm: tuple[float, float],
) -> tuple[slice, slice]:
    """Return the part of the picture in which a label finds all the pixels that it may grow to.

    Even in a corner a quarter of a disc of this reach is large enough; where the picture is too
    narrow for that, the part is all of it.
    """
    reach_mm = 1.2 * math.sqrt(least_mm2) + 2 * max(spacing_mm)
    reach = [math.ceil(reach_mm / pitch) for pitch in spacing_mm]
    if any(length <= 2 * far for length, far in zip(shape, reach, strict=True)):
        return slice(0, shape[0]), slice(0, shape[1])
    down, across = (
        slice(max(0, side.start - far), side.stop + far)
        for side, far in zip(place, reach, strict=True)
    )
    return down, across
