"""Whether a bundle is whole, opens, and says of its phantom what its card says that it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.ledger.activations import Bundle
from dicom_node.models.serving import sound_card
from dicom_node.settings.file import Settings

if TYPE_CHECKING:
    from inference.bundle import Card
    from inference.mammogram import Exam

NO_PHANTOM = "its card names no phantom, so nobody knows what it has to say"


@dataclass(frozen=True, slots=True)
class Tried:
    """A bundle that was tried, and what was found."""

    folder: Path
    card: "Card | None"
    seal: str
    faults: tuple[str, ...]
    remark: str = ""

    @property
    def sentence(self) -> str:
        """Say what was found."""
        if self.faults or self.card is None:
            return "; ".join(self.faults)
        said = f"{self.card.name} {self.card.version}, weights {self.card.weights_sha256[:12]}"
        return f"{said} as in its card; {self.remark}"


def tried(settings: Settings, folder: Path, pin: Bundle | None = None) -> Tried:
    """Verify a bundle's digests, open it, and let it read its phantom."""
    from inference.bundle import seal_of

    card, faults = sound_card(settings, folder, pin)
    if card is None or faults:
        return Tried(folder, card, "", tuple(faults))
    told = f"phantom {card.regression.seed} gets its scores" if card.regression else NO_PHANTOM
    return Tried(folder, card, seal_of(folder), tuple(_wrong(settings, folder)), told)


def _wrong(settings: Settings, folder: Path) -> Iterator[str]:
    """Say what an opened bundle does otherwise than its card has it, or why it does not open."""
    from inference.analyzer import open_bundle
    from inference.errors import BadBundle
    from inference.regression import regressed

    analyzing = settings.analyzing
    point = analyzing.operating_point or None
    try:
        analyzer = open_bundle(folder, device=analyzing.device, operating_point=point)
        kept = analyzer.card.regression
        if kept is not None:
            exam = phantom_exam(kept.seed, kept.pitch_mm)
            yield from (f"{folder}: {fault}" for fault in regressed(analyzer, exam))
    except (BadBundle, RuntimeError) as fault:  # the second is torch's
        said = str(fault).strip().partition("\n")[0]
        yield f"{folder}: {said}"


def phantom_exam(seed: int, pitch_mm: float) -> "Exam":
    """Make a phantom's exam, by way of its DICOM images."""
    from inference.reading import exam
    from phantom.dicom import datasets
    from phantom.study import study

    images = datasets(study(seed, pitch_mm=pitch_mm))
    return exam(str(images[0].StudyInstanceUID), images)
