"""From a mammogram to the picture that a network sees; training and service share it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inference.mammogram import Mammogram
from inference.preparing.breast import breast_area
from inference.preparing.placement import Placement


class Preparation(BaseModel):
    """How big the picture is, how fine, and what each channel holds.

    A calcification is smaller than a picture pixel: its mean drowns, its maximum stays.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    pitch_mm: float = Field(gt=0)  # of a picture pixel; coarser where the breast would not fit
    channels: Annotated[tuple[Literal["mean", "max"], ...], Field(strict=False, min_length=1)]


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
    grey = view.grey.of(view.pixels[area.top : area.bottom, area.left : area.right])
    if placement.flipped:
        grey = grey[:, ::-1]
    picture = np.zeros((len(how.channels), how.height_px, how.width_px), dtype=np.float32)
    for channel, name in zip(picture, how.channels, strict=True):
        channel[: placement.rows, : placement.columns] = _REDUCTIONS[name](grey, placement)
    return PreparedView(picture, placement)


def _shown(length: int, scale: float, most: int) -> int:
    """Return on how many picture pixels a length is shown; nothing is ever enlarged."""
    return max(1, min(round(length * scale), length, most))


def _mean(grey: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    down, across = placement.row_edges, placement.column_edges
    sums = np.add.reduceat(np.add.reduceat(grey, down[:-1], axis=0), across[:-1], axis=1)
    area = np.diff(down)[:, None] * np.diff(across)[None, :]
    return np.asarray(sums / area.astype(np.float32), dtype=np.float32)


def _max(grey: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    down, across = placement.row_edges, placement.column_edges
    rows = np.maximum.reduceat(grey, down[:-1], axis=0)
    return np.asarray(np.maximum.reduceat(rows, across[:-1], axis=1), dtype=np.float32)


_REDUCTIONS = {"mean": _mean, "max": _max}
