"""Where the breast lies on a film or a detector, pixel by pixel.

A digitized film shows more than a breast: white margins where it was not exposed, letters on lead,
scratches. Margins are thin and often touch the breast; so what is thin is cut away first, the
largest part that is left is the breast, and then it gets back what was thin of its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.mammogram import Mammogram
from inference.preparing.breast import BreastArea, heavier_right

_REDUCED_PX = 400  # the long side of the image on which the breast is looked for
_AIR = 0.06  # of the range between air and the densest tissue
_THIN_MM = 12.0  # margins and letters are not wider, breasts are
_LEAST_PART = 0.02  # of the image; a smaller part is no breast


@dataclass(frozen=True, slots=True, eq=False)
class BreastTissue:
    """The breast's box, and its pixels on an image reduced by a step."""

    area: BreastArea
    mask: NDArray[np.bool_]
    step: int

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which of these rows and columns of the source show the breast."""
        height, width = self.mask.shape
        down = np.minimum(rows // self.step, height - 1)
        across = np.minimum(columns // self.step, width - 1)
        return self.mask[np.ix_(down, across)]


def breast_tissue(view: Mammogram) -> BreastTissue:
    """Find the breast; where nothing looks like one, everything counts as breast."""
    rows, columns = view.pixels.shape
    step = max(1, max(rows, columns) // _REDUCED_PX)
    grey = ndimage.median_filter(view.grey.of(view.pixels[::step, ::step]), 3)
    air, dense = np.percentile(grey, (0.5, 99.0))
    bright = grey > air + _AIR * (dense - air)
    mask = _breast(bright, [_THIN_MM / (mm * step) / 2 for mm in view.spacing_mm])
    if mask.sum() < _LEAST_PART * mask.size:
        mask = np.ones_like(bright)
    down, across = ndimage.find_objects(mask.astype(np.uint8))[0]
    area = BreastArea(
        left=max(0, (across.start - 1) * step),
        top=max(0, (down.start - 1) * step),
        right=min(columns, (across.stop + 1) * step),
        bottom=min(rows, (down.stop + 1) * step),
        chest_wall_right=heavier_right(mask[down, across].sum(axis=0), view.side),
    )
    return BreastTissue(area, mask, step)


def _breast(bright: NDArray[np.bool_], reach_px: list[float]) -> NDArray[np.bool_]:
    """Return the largest part that is not thin, with what hangs on it closely."""
    down, across = (max(1, round(reach)) for reach in reach_px)
    y, x = np.ogrid[-down : down + 1, -across : across + 1]
    disk = (y / down) ** 2 + (x / across) ** 2 <= 1
    thick = ndimage.binary_erosion(bright, disk)
    parts, count = ndimage.label(thick)
    if not count:
        return np.zeros_like(bright)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    core = ndimage.binary_dilation(parts == sizes.argmax(), disk)
    near = ndimage.binary_dilation(core, ndimage.generate_binary_structure(2, 1), iterations=3)
    return ndimage.binary_fill_holes(core | (near & bright))
