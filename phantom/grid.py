"""From the coarse grid and from stamps to pixels."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from phantom.fields import Field
from phantom.tissue import GRID_MM


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open rectangle of pixels; the first column lies at the chest wall."""

    left: int
    top: int
    right: int
    bottom: int
    pitch_mm: float

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.bottom - self.top, self.right - self.left

    def of(self, field: Field) -> Field:
        """Bring a field of the coarse grid to these pixels."""
        return self.sampled(field, GRID_MM, (0.0, 0.0), Image.Resampling.BICUBIC)

    def sampled(
        self,
        field: Field,
        field_pitch_mm: float,
        corner_mm: tuple[float, float],
        how: Image.Resampling = Image.Resampling.BOX,
    ) -> Field:
        """Bring a field whose upper left corner (across, down) is given to these pixels."""
        scale = self.pitch_mm / field_pitch_mm
        across, down = (millimeters / field_pitch_mm for millimeters in corner_mm)
        box = (
            self.left * scale - across,
            self.top * scale - down,
            self.right * scale - across,
            self.bottom * scale - down,
        )
        rows, columns = self.shape
        picture = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
        box = (
            max(box[0], 0.0),
            max(box[1], 0.0),
            min(box[2], float(picture.width)),
            min(box[3], float(picture.height)),
        )
        return np.array(picture.resize((columns, rows), how, box=box), dtype=np.float32)


def within(middle_mm: tuple[float, float], half_mm: float, outer: Window) -> Window:
    """Return the pixels that lie fully inside a square, cut to an outer window."""
    pitch = outer.pitch_mm
    return Window(
        left=max(outer.left, int(np.ceil((middle_mm[0] - half_mm) / pitch))),
        top=max(outer.top, int(np.ceil((middle_mm[1] - half_mm) / pitch))),
        right=min(outer.right, int(np.floor((middle_mm[0] + half_mm) / pitch))),
        bottom=min(outer.bottom, int(np.floor((middle_mm[1] + half_mm) / pitch))),
        pitch_mm=pitch,
    )
