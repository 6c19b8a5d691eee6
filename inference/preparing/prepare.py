"""From a mammogram to the picture that a network sees; training and service share it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inference.mammogram import Mammogram
from inference.preparing.artefacts import breast_alone, cleaned
from inference.preparing.breast import breast_area
from inference.preparing.placement import Placement

Channel = Literal["mean", "max"]


class Preparation(BaseModel):
    """How big the picture is, how fine, and what each channel holds.

    A calcification is smaller than a picture pixel: its mean drowns, its maximum stays.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    pitch_mm: float = Field(gt=0)  # of a picture pixel; coarser where the breast would not fit
    channels: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1)]
    mend_columns: bool = False  # black all but the breast, and mend a detector's broken columns


@dataclass(frozen=True, slots=True, eq=False)
class PreparedView:
    """A picture, chest wall on the left, and where it lies in its source image."""

    picture: NDArray[np.float32]  # C H W, grey 0 to 1
    placement: Placement


def prepare(view: Mammogram, how: Preparation) -> PreparedView:
    """Crop to the breast, make grey, turn the chest wall to the left, reduce."""
    area = breast_area(view)
    height, width = area.bottom - area.top, area.right - area.left
    pitch_mm = max(
        how.pitch_mm,
        height * view.spacing_mm[0] / how.height_px,
        width * view.spacing_mm[1] / how.width_px,
    )
    placement = Placement(
        left=area.left,
        top=area.top,
        right=area.right,
        bottom=area.bottom,
        flipped=area.chest_wall_right,
        rows=_shown(height, view.spacing_mm[0] / pitch_mm, how.height_px),
        columns=_shown(width, view.spacing_mm[1] / pitch_mm, how.width_px),
    )
    picture = np.zeros((len(how.channels), how.height_px, how.width_px), dtype=np.float32)
    picture[:, : placement.rows, : placement.columns] = _reduced(view, placement, how)
    return PreparedView(picture, placement)


def _shown(length: int, scale: float, most: int) -> int:
    """Return on how many picture pixels a length is shown; nothing is ever enlarged."""
    return max(1, min(round(length * scale), length, most))


def _reduced(view: Mammogram, placement: Placement, how: Preparation) -> NDArray[np.float32]:
    """Make each picture pixel the mean or the maximum of the grey that it stands for.

    One picture row at a time: its source pixels stay in the processor's cache, and numpy reduces
    whole rows far faster than it does in `reduceat` along the first axis.
    """
    crop = view.pixels[placement.top : placement.bottom, placement.left : placement.right]
    down, across, channels = placement.row_edges, placement.column_edges, how.channels
    mended = cleaned(breast_alone(view.grey.of(crop))).picture if how.mend_columns else None
    rows = np.empty((len(channels), placement.rows, crop.shape[1]), dtype=np.float32)
    for number in range(placement.rows):
        here = slice(down[number], down[number + 1])
        grey = view.grey.of(crop[here]) if mended is None else mended[here]
        for channel, name in zip(rows, channels, strict=True):
            _REDUCTIONS[name].reduce(grey, axis=0, out=channel[number])
    if placement.flipped:
        rows = rows[:, :, ::-1]
    reduced = [
        _REDUCTIONS[name].reduceat(channel, across[:-1], axis=1)
        for channel, name in zip(rows, channels, strict=True)
    ]
    area = (np.diff(down)[:, None] * np.diff(across)).astype(np.float32)
    return np.stack(
        [
            part / area if name == "mean" else part
            for part, name in zip(reduced, channels, strict=True)
        ]
    )


_REDUCTIONS: dict[Channel, np.ufunc] = {"mean": np.add, "max": np.maximum}
