"""How makers of mammography systems store the same picture, under neutral names.

Each preset turns display grey, 0 to 1, into stored values, and carries the window or table that
turns them back. So every preset shows the same picture, if its header is read as it is meant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

Grey = NDArray[np.float32]
Stored = NDArray[np.uint16]
_TABLE_BITS, _TABLE_POWER = 12, 1.25


@dataclass(frozen=True, slots=True)
class VOI:
    """A window as the header says it."""

    center: float
    width: float
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Preset:
    """One maker's way to store a finished view."""

    name: str
    pitch_mm: float  # what such a detector has; the header always tells the view's own
    bits_stored: int
    store: Callable[[Grey], Stored]
    windows: tuple[VOI, ...] = ()
    voi_function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"] | None = None
    table: bool = False  # a VOI LUT Sequence instead of windows
    inverse: bool = False  # MONOCHROME1: high values are dark
    image_type: tuple[str, ...] = ("DERIVED", "PRIMARY")
    grid: str | None = None
    view_position: bool = False  # also names the view in the retired text attribute

    @property
    def model(self) -> str:
        """Name the device that nobody built."""
        return f"{self.name}-style"


def voi(preset: Preset) -> Dataset:
    """Return the elements that turn stored values into display grey."""
    found = Dataset()
    if preset.table:
        values = np.linspace(0, 1, 1 << preset.bits_stored) ** _TABLE_POWER
        entries = np.round(values * ((1 << _TABLE_BITS) - 1)).astype("<u2")
        item = Dataset()
        item.add_new("LUTDescriptor", "US", [len(entries), 0, _TABLE_BITS])
        item.LUTExplanation = "NORMAL"
        item.add_new("LUTData", "OW", entries.tobytes())
        found.VOILUTSequence = [item]
        return found
    found.WindowCenter = [window.center for window in preset.windows]
    found.WindowWidth = [window.width for window in preset.windows]
    if all(window.explanation for window in preset.windows):
        found.WindowCenterWidthExplanation = [window.explanation for window in preset.windows]
    if preset.voi_function is not None:
        found.VOILUTFunction = preset.voi_function
    return found


def _between(low: int, high: int, background: int = 0) -> Callable[[Grey], Stored]:
    """Store grey on a straight line; what is no breast gets a value of its own."""

    def store(grey: Grey) -> Stored:
        line = np.round(low + grey * np.float32(high - low))
        return np.where(grey > 0, line, background).astype(np.uint16)

    return store


def _linear(low: int, high: int, explanation: str = "", stretch: float = 1.0) -> VOI:
    """Return the LINEAR window from black at `low` to white at `high` (PS3.3 C.11.2.1.2.1)."""
    return VOI((low + high + 1) / 2, round((high - low) * stretch) + 1, explanation)


def _against_sigmoid(center: float, width: float) -> Callable[[Grey], Stored]:
    """Store what a SIGMOID window turns into the wanted grey (PS3.3 C.11.2.1.3.1)."""

    def store(grey: Grey) -> Stored:
        held = np.clip(grey, 0.004, 0.996)
        curve = center + width / 4 * np.log(held / (1 - held))
        return np.where(grey > 0, np.round(curve), 0).astype(np.uint16)

    return store


def _downwards(top: int) -> Callable[[Grey], Stored]:
    def store(grey: Grey) -> Stored:
        return np.round((1 - grey) * np.float32(top)).astype(np.uint16)

    return store


def _against_table(top: int) -> Callable[[Grey], Stored]:
    def store(grey: Grey) -> Stored:
        return np.round(grey ** np.float32(1 / _TABLE_POWER) * top).astype(np.uint16)

    return store


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="plain",
            pitch_mm=0.1,
            bits_stored=12,
            store=_between(0, 4095),
            windows=(_linear(0, 4095, "NORMAL"),),
            voi_function="LINEAR",
        ),
        Preset(
            name="hologic",
            pitch_mm=0.065,
            bits_stored=12,
            store=_between(260, 3400),
            windows=(
                _linear(260, 3400, "Normal"),
                _linear(260, 3400, "High", 0.75),
                _linear(260, 3400, "Low", 1.30),
            ),
            grid="HTC_IN",
            view_position=True,
        ),
        Preset(
            name="ge",
            pitch_mm=0.1,
            bits_stored=12,
            store=_against_sigmoid(2600, 900),
            windows=(
                VOI(2600, 900, "NORMAL"),
                VOI(2600, 700, "HARDER"),
                VOI(2600, 1150, "SOFTER"),
            ),
            voi_function="SIGMOID",
            image_type=("ORIGINAL", "PRIMARY"),
            view_position=True,
        ),
        Preset(
            name="siemens",
            pitch_mm=0.085,
            bits_stored=12,
            store=_between(120, 3900),
            windows=(_linear(120, 3900),),
        ),
        Preset(
            name="fuji",
            pitch_mm=0.05,
            bits_stored=10,
            store=_downwards(1023),
            windows=(_linear(0, 1023, "NORMAL"),),
            voi_function="LINEAR",
            inverse=True,
        ),
        Preset(
            name="philips",
            pitch_mm=0.05,
            bits_stored=12,
            store=_against_table(4095),
            table=True,
        ),
        Preset(
            name="planmed",
            pitch_mm=0.085,
            bits_stored=14,
            store=_between(900, 15300, background=300),
            windows=(VOI(8100, 14400, "STANDARD"),),
            voi_function="LINEAR_EXACT",
        ),
    )
}
