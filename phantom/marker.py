"""The lead marker that names side and projection, far from the breast."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from phantom.breast import DETECTOR_MM, Projection, Side

_BOX_MM = (26.0, 9.0)  # across, down
_FROM_EDGE_MM, _FROM_TOP_MM = 12.0, 14.0


def burn_in(
    pixels: NDArray[np.uint16], side: Side, projection: Projection, pitch_mm: float, top: int
) -> None:
    """Write the marker at the upper edge, on the side away from the chest wall."""
    columns, rows = (max(1, round(extent / pitch_mm)) for extent in _BOX_MM)
    picture = Image.new("L", (columns, rows), 0)
    font = ImageFont.load_default(size=max(4.0, 6.0 / pitch_mm))
    ImageDraw.Draw(picture).text(
        (columns / 2, rows / 2), f"{side} {projection}", fill=255, font=font, anchor="mm"
    )
    across = DETECTOR_MM[1] - _FROM_EDGE_MM - _BOX_MM[0] if side == "L" else _FROM_EDGE_MM
    left, upper = round(across / pitch_mm), round(_FROM_TOP_MM / pitch_mm)
    here = pixels[upper : upper + rows, left : left + columns]
    letters = np.asarray(picture)[: here.shape[0], : here.shape[1]].astype(np.float32) / 255
    np.maximum(here, (letters * (0.95 * top)).astype(np.uint16), out=here)
