"""Whether a bundle is whole, opens, and says of its phantom what its card says that it says."""

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
    from inference.errors import BadBundle

    card, faults = sound_card(settings, folder, pin)
    if card is None or faults:
        return Tried(folder, card, "", tuple(faults))
    try:
        remark, answers = _asked(settings, folder)
    except (BadBundle, RuntimeError) as fault:  # the second is torch's
        said = str(fault).strip().partition("\n")[0]
        return Tried(folder, card, "", (f"{folder}: {said}",))
    return Tried(
        folder, card, seal_of(folder), tuple(f"{folder}: {one}" for one in answers), remark
    )


def _asked(settings: Settings, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Open a bundle and let it read its phantom: a remark, and what is wrong."""
    from inference.analyzer import open_bundle
    from inference.regression import is_same, regressed

    analyzing = settings.analyzing
    point = analyzing.operating_point or None
    analyzer = open_bundle(folder, device=analyzing.device, operating_point=point)
    kept = analyzer.card.regression
    if kept is None:
        return NO_PHANTOM, ()
    exam = phantom_exam(kept.seed, kept.pitch_mm)
    wrong = regressed(analyzer, exam)
    if not wrong:
        return f"phantom {kept.seed} gets its scores", ()
    if not is_same(kept, exam):
        return f"phantom {kept.seed} is drawn otherwise here, so its scores say nothing", ()
    return "", wrong


def phantom_exam(seed: int, pitch_mm: float) -> "Exam":
    """Make a phantom's exam, by way of its DICOM images."""
    from inference.reading import exam
    from phantom.dicom import datasets
    from phantom.study import study

    images = datasets(study(seed, pitch_mm=pitch_mm))
    return exam(str(images[0].StudyInstanceUID), images)
