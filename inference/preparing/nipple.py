"""Where the nipple lies, to tell how far a lesion is from it.

The skin is followed as a line: for each height, how far the breast reaches from the chest wall.
Its farthest point is near the nipple, and a nipple in profile stands out of the skin around it as
a bump a centimeter wide. Where nothing stands out, the farthest point has to do. A breast that
runs out of the image leaves no line to follow; then nothing is said, which is better than a guess.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.mammogram import Mammogram
from inference.preparing.breast import breast_area

_STEP_MM = 0.5  # the skin is followed at this pitch
_AIR = 0.04  # of the range between air and the densest tissue, as where the breast is looked for
_BUMP_MM = 13.0  # wider than a nipple, narrower than the curve of a breast
_REACH = 0.25  # a nipple lies within this part of the breast's height around the farthest point
_STANDS_OUT_MM = 1.0
_LEAST_MM = 20.0  # a breast that reaches less far shows no nipple to speak of

Line = NDArray[np.float64]


def nipple(view: Mammogram) -> tuple[float, float] | None:
    """Return the (column, row) of the nipple's tip in source pixels; None where it is not seen."""
    area = breast_area(view)
    down, across = (max(1, round(_STEP_MM / spacing)) for spacing in view.spacing_mm)
    part = view.pixels[area.top : area.bottom : down, area.left : area.right : across]
    grey = view.grey.of(part)
    air, dense = np.percentile(view.grey.of(view.pixels[:: 4 * down, :: 4 * across]), (0.5, 99.7))
    reach = _reach(grey > air + _AIR * (dense - air), flipped=area.chest_wall_right)
    free = area.left if area.chest_wall_right else view.pixels.shape[1] - area.right
    if free < across:
        reach[reach > reach.max() - 2] = 0  # a frame or a label up to the edge: that is no skin
    step_mm = across * view.spacing_mm[1]
    row = _tip(reach * step_mm, down * view.spacing_mm[0])
    if row is None:
        return None
    deep = reach[row] * across
    column = area.right - deep if area.chest_wall_right else area.left + deep
    return float(column), float(area.top + (row + 0.5) * down)


def _reach(tissue: NDArray[np.bool_], *, flipped: bool) -> Line:
    """Return how many pixels the breast reaches from the chest wall, at each height."""
    closed = ndimage.binary_opening(tissue, np.ones((3, 3), dtype=np.bool_))
    parts, count = ndimage.label(closed)
    if not count:
        return np.zeros(len(tissue))
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    breast = parts == sizes.argmax()
    if flipped:
        breast = breast[:, ::-1]
    columns = np.arange(1, breast.shape[1] + 1)
    line: Line = (breast * columns).max(axis=1).astype(np.float64)
    return line


def _tip(reach_mm: Line, step_mm: float) -> int | None:
    """Return the height at which the nipple lies: at its bump, else where the skin is farthest."""
    if reach_mm.max(initial=0.0) < _LEAST_MM:
        return None
    smooth = ndimage.median_filter(reach_mm, _odd(2.0 / step_mm), mode="constant")
    stretch = _longest(smooth > 0)
    smooth = np.where(stretch, smooth, 0.0)
    farthest, heights = _middle(smooth), np.flatnonzero(stretch)
    if farthest - heights[0] < _BUMP_MM / step_mm or heights[-1] - farthest < _BUMP_MM / step_mm:
        return None  # the skin ends there: the breast goes on outside the image
    skin = ndimage.grey_opening(smooth, size=(_odd(_BUMP_MM / step_mm),))
    out = smooth - skin
    near = np.abs(np.arange(len(out)) - farthest) <= _REACH * len(heights)
    out = np.where(near, out, 0.0)
    return _middle(out) if out.max() >= _STANDS_OUT_MM else farthest


def _longest(there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the longest stretch without a gap."""
    parts, count = ndimage.label(there)
    sizes = np.bincount(parts, minlength=count + 1)
    sizes[0] = 0
    longest: NDArray[np.bool_] = (parts == sizes.argmax()) & there
    return longest


def _middle(line: Line) -> int:
    """Return the middle of the stretch at the top of a line."""
    top = int(line.argmax())
    after = np.flatnonzero(line[top:] < line[top] - 1e-6)
    return top + (int(after[0]) - 1) // 2 if len(after) else top


def _odd(size: float) -> int:
    return 2 * max(1, round(size / 2)) + 1
