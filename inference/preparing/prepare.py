"""From a mammogram to the picture that a network sees; training and service share it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from inference.mammogram import Mammogram
from inference.preparing.artefacts import breast_alone, cleaned
from inference.preparing.breast import breast_area
from inference.preparing.placement import Placement
from inference.preparing.tissue import BreastTissue, breast_tissue
from inference.preparing.tones import local, ranked, stretched

Grey = NDArray[np.float32]
Channel = Literal["mean", "max", "stretched", "ranked", "local"]


class Preparation(BaseModel):
    """How big the picture is, how fine, and what each channel holds.

    A calcification is smaller than a picture pixel: its mean drowns, its maximum stays. The toned
    channels, "stretched", "ranked" and "local", show the breast alone, in greys that depend less
    on film, detector and processing.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    height_px: int = Field(ge=32)
    width_px: int = Field(ge=32)
    pitch_mm: float = Field(gt=0)  # of a picture pixel; coarser where the breast would not fit
    channels: Annotated[tuple[Channel, ...], Field(strict=False, min_length=1)]
    mend_columns: bool = False  # black all but the breast, and mend a detector's broken columns

    @property
    def toned(self) -> bool:
        """Tell whether any channel needs to know where the breast is, pixel by pixel."""
        return any(name not in _REDUCTIONS for name in self.channels)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedView:
    """A picture, chest wall on the left, and where it lies in its source image."""

    picture: NDArray[np.float32]  # C H W, grey 0 to 1
    placement: Placement


def prepare(view: Mammogram, how: Preparation) -> PreparedView:
    """Crop to the breast, make grey, turn the chest wall to the left, reduce."""
    tissue = breast_tissue(view) if how.toned else None
    area = breast_area(view) if tissue is None else tissue.area
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
    if tissue is None:
        parts = _reduced(view, placement, how.channels, mended=how.mend_columns)
    else:
        parts = _in_tones(view, placement, how, tissue, pitch_mm)
    picture[:, : placement.rows, : placement.columns] = parts
    return PreparedView(picture, placement)


def _shown(length: int, scale: float, most: int) -> int:
    """Return on how many picture pixels a length is shown; nothing is ever enlarged."""
    return max(1, min(round(length * scale), length, most))


def _in_tones(
    view: Mammogram, placement: Placement, how: Preparation, tissue: BreastTissue, pitch_mm: float
) -> Grey:
    """Make the channels of which some need to know where the breast is."""
    plain: list[Channel] = ["mean", *(name for name in how.channels if name == "max")]
    reduced = dict(
        zip(plain, _reduced(view, placement, plain, mended=how.mend_columns), strict=True)
    )
    breast = _on_picture(tissue, placement)
    grey = reduced["mean"]
    made = {
        "stretched": lambda: stretched(grey, breast),
        "ranked": lambda: ranked(grey, breast),
        "local": lambda: local(grey, breast, pitch_mm),
    }
    return np.stack([reduced[name] if name in reduced else made[name]() for name in how.channels])


def _on_picture(tissue: BreastTissue, placement: Placement) -> NDArray[np.bool_]:
    """Return which of the shown picture pixels have their middle in the breast."""
    down, across = placement.row_edges, placement.column_edges
    middles = (across[:-1] + across[1:]) // 2
    columns = placement.right - 1 - middles if placement.flipped else placement.left + middles
    breast = tissue.at(placement.top + (down[:-1] + down[1:]) // 2, columns)
    return breast if breast.any() else np.ones_like(breast)


def _reduced(
    view: Mammogram, placement: Placement, channels: Sequence[Channel], *, mended: bool
) -> Grey:
    """Make each picture pixel the mean or the maximum of the grey that it stands for.

    One picture row at a time: its source pixels stay in the processor's cache, and numpy reduces
    whole rows far faster than it does in `reduceat` along the first axis.
    """
    crop = view.pixels[placement.top : placement.bottom, placement.left : placement.right]
    down, across = placement.row_edges, placement.column_edges
    whole = cleaned(breast_alone(view.grey.of(crop))).picture if mended else None
    rows = np.empty((len(channels), placement.rows, crop.shape[1]), dtype=np.float32)
    for number in range(placement.rows):
        here = slice(down[number], down[number + 1])
        grey = view.grey.of(crop[here]) if whole is None else whole[here]
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


_REDUCTIONS: dict[str, np.ufunc] = {"mean": np.add, "max": np.maximum}
