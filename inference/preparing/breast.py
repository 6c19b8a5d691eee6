"""Where the breast lies in the image."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from inference.mammogram import Mammogram, Side

_REDUCED_PX = 400  # the long side of the image on which the breast is looked for
_AIR = 0.04  # of the range between air and the densest tissue


@dataclass(frozen=True, slots=True)
class BreastArea:
    """The box around the breast in source pixels, and whether the chest wall is on its right."""

    left: int
    top: int
    right: int
    bottom: int
    chest_wall_right: bool


def breast_area(view: Mammogram) -> BreastArea:
    """Find the largest connected area brighter than air; burnt-in markers are smaller.

    Every few pixels are enough to tell breast from air, and make the search quick.
    """
    rows, columns = view.pixels.shape
    step = max(1, max(rows, columns) // _REDUCED_PX)
    grey = view.grey.of(view.pixels[::step, ::step])
    air, dense = np.percentile(grey, (0.5, 99.7))
    parts, count = ndimage.label(grey > air + _AIR * (dense - air))
    if not count:
        return BreastArea(0, 0, columns, rows, view.side is Side.RIGHT)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    down, across = ndimage.find_objects(parts, largest)[largest - 1]
    breast = parts[down, across] == largest
    return BreastArea(
        left=max(0, (across.start - 1) * step),
        top=max(0, (down.start - 1) * step),
        right=min(columns, (across.stop + 1) * step),
        bottom=min(rows, (down.stop + 1) * step),
        chest_wall_right=heavier_right(breast.sum(axis=0), view.side),
    )


def heavier_right(profile: np.ndarray[tuple[int], np.dtype[np.int_]], side: Side) -> bool:
    """Tell where the chest wall is: by where the tissue really is, in doubt by the header."""
    middle = (len(profile) - 1) / 2
    lean = float(((np.arange(len(profile)) - middle) * profile).sum() / profile.sum())
    if abs(lean) < 0.02 * len(profile):
        return side is Side.RIGHT
    return lean > 0
