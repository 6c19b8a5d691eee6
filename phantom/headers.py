"""How makers of mammography systems store the same picture, under neutral names.

Each preset turns display grey, 0 to 1, into stored values, and carries the window or table that
turns them back. So every preset shows the same picture, if its header is read as it is meant. Most
also have traps: what readers of real headers stumble over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from phantom import traps
from phantom.traps import Trap

Grey = NDArray[np.float32]
Stored = NDArray[np.uint16]
_TABLE_BITS = 12


@dataclass(frozen=True, slots=True)
class VOI:
    """A window as the header says it."""

    center: float
    width: float
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """A VOI LUT: from black at one stored value to white at another, along a power."""

    low: int
    high: int
    power: float


@dataclass(frozen=True, slots=True)
class Preset:
    """One maker's way to store a finished view."""

    name: str
    pitch_mm: float  # what such a detector has; the header always tells the view's own
    bits_stored: int
    store: Callable[[Grey], Stored]
    windows: tuple[VOI, ...] = ()
    voi_function: Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"] | None = None
    table: Curve | None = None  # a VOI LUT Sequence, which goes before any window
    inverse: bool = False  # MONOCHROME1: high values are dark
    image_type: tuple[str, ...] = ("DERIVED", "PRIMARY")
    grid: str | None = None
    view_position: bool = False  # also names the view in the retired text attribute
    character_set: tuple[str, ...] = ("ISO_IR 192",)  # of the preset's own patient
    patient_name: str = ""  # which only that character set can write
    traps: tuple[Trap, ...] = ()

    @property
    def model(self) -> str:
        """Name the device that nobody built."""
        return f"{self.name}-style"


def voi(preset: Preset) -> Dataset:
    """Return the elements that turn stored values into display grey."""
    found = Dataset()
    if preset.table is not None:
        found.VOILUTSequence = [_lut(preset.table)]
    if not preset.windows:
        return found
    found.WindowCenter = [window.center for window in preset.windows]
    found.WindowWidth = [window.width for window in preset.windows]
    if all(window.explanation for window in preset.windows):
        found.WindowCenterWidthExplanation = [window.explanation for window in preset.windows]
    if preset.voi_function is not None:
        found.VOILUTFunction = preset.voi_function
    return found


def _lut(curve: Curve) -> Dataset:
    values = np.linspace(0, 1, curve.high - curve.low + 1) ** curve.power
    entries = np.round(values * ((1 << _TABLE_BITS) - 1)).astype("<u2")
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), curve.low, _TABLE_BITS])
    item.LUTExplanation = "NORMAL"
    item.add_new("LUTData", "OW", entries.tobytes())
    return item


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


def _against_table(curve: Curve) -> Callable[[Grey], Stored]:
    def store(grey: Grey) -> Stored:
        line = grey ** np.float32(1 / curve.power) * np.float32(curve.high - curve.low)
        return np.round(curve.low + line).astype(np.uint16)

    return store


_GAMMA, _LINE, _RAISED = Curve(0, 4095, 1.25), Curve(120, 3900, 1.0), Curve(200, 4000, 0.8)
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
            traps=(traps.private_groups, traps.long_words),
        ),
        Preset(
            name="hologic_10_bit",
            pitch_mm=0.07,
            bits_stored=10,
            store=_between(40, 980),
            windows=(
                _linear(40, 980, "Normal"),
                _linear(40, 980, "High", 0.75),
                _linear(40, 980, "Low", 1.30),
            ),
            grid="IN",
            view_position=True,
            traps=(traps.private_groups, traps.old_codes("SNM3"), traps.long_spacing),
        ),
        Preset(
            name="hologic_synthetic",  # read only where a site wants synthetic 2D images
            pitch_mm=0.1,
            bits_stored=10,
            store=_between(0, 1023),
            windows=(_linear(0, 1023, "Normal"),),
            image_type=("DERIVED", "PRIMARY", "TOMOSYNTHESIS", "GENERATED_2D"),
            view_position=True,
            traps=(traps.private_groups, traps.frame_of_reference),
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
            traps=(traps.private_groups, traps.old_codes("SRT")),
        ),
        Preset(
            name="siemens",
            pitch_mm=0.085,
            bits_stored=12,
            store=_between(120, 3900),
            windows=(_linear(120, 3900),),
            table=_LINE,
            character_set=("ISO_IR 100",),
            patient_name="Phantom^Jörg Müßig",
            traps=(traps.frame_of_reference, traps.no_request),
        ),
        Preset(
            name="fuji",
            pitch_mm=0.05,
            bits_stored=10,
            store=_downwards(1023),
            windows=(_linear(0, 1023, "NORMAL"),),
            voi_function="LINEAR",
            inverse=True,
            character_set=("", "ISO 2022 IR 87"),
            patient_name="Phantom^Hanako=幻^花子=まぼろし^はなこ",
        ),
        Preset(
            name="fuji_cr",
            pitch_mm=0.05,
            bits_stored=10,
            store=_downwards(1023),
            windows=(_linear(0, 1023),),
            inverse=True,
            character_set=("ISO 2022 IR 13", "ISO 2022 IR 87"),
            patient_name="ﾌｧﾝﾄﾑ^ﾊﾅｺ=幻^花子=まぼろし^はなこ",
            traps=(
                traps.view_in_a_word,
                traps.side_of_series,
                traps.two_makers,
                traps.little_said,
                traps.half_an_orientation,
            ),
        ),
        Preset(
            name="philips",
            pitch_mm=0.05,
            bits_stored=12,
            store=_against_table(_GAMMA),
            table=_GAMMA,
            traps=(traps.no_window_function, traps.side_twice, traps.no_request),
        ),
        Preset(
            name="planmed",
            pitch_mm=0.085,
            bits_stored=14,
            store=_between(900, 15300, background=300),
            windows=(VOI(8100, 14400, "STANDARD"),),
            voi_function="LINEAR_EXACT",
            traps=(traps.unrotated,),
        ),
        Preset(
            name="sectra",
            pitch_mm=0.05,
            bits_stored=12,
            store=_against_table(_RAISED),
            table=_RAISED,
            character_set=("ISO_IR 100",),
            patient_name="Fantom^Åsa Öberg",
            traps=(traps.old_codes("SRT"), traps.side_of_series, traps.no_intent),
        ),
        Preset(
            name="giotto",
            pitch_mm=0.085,
            bits_stored=13,
            store=_between(400, 8000),
            windows=(_linear(400, 8000, "DEFAULT"),),
            voi_function="LINEAR",
            character_set=("ISO_IR 100",),
            patient_name="Fantasma^Niccolò",
            traps=(
                traps.null_dates,
                traps.loose_words,
                traps.no_orientation,
                traps.no_window_function,
            ),
        ),
        Preset(
            name="carestream",
            pitch_mm=0.05,
            bits_stored=12,
            store=_downwards(4095),
            windows=(_linear(0, 4095),),
            inverse=True,
            character_set=("ISO_IR 100",),
            patient_name="Phantom^Zoë",
            traps=(
                traps.no_window_function,
                traps.side_of_series,
                traps.long_words,
                traps.long_spacing,
                traps.little_said,
            ),
        ),
        Preset(
            name="film",  # from a film digitizer, which knows neither detector nor exposure
            pitch_mm=0.05,
            bits_stored=12,
            store=_downwards(4095),
            windows=(_linear(0, 4095),),
            inverse=True,
            image_type=("DERIVED", "SECONDARY"),
            character_set=(),
            patient_name="Phantom^Käthe",
            traps=(
                traps.scanned,
                traps.view_in_a_word,
                traps.no_presentation_shape,
                traps.no_intent,
                traps.no_orientation,
                traps.null_dates,
                traps.little_said,
            ),
        ),
    )
}
