"""Whether a bundle is whole, opens, and says of its phantom what its card says that it says.

Where nobody can tell, that is neither a fault nor a proof: it is a doubt, and whoever activates the
bundle has to say that they know.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_node.ledger.activations import Bundle
from dicom_node.models.serving import sound_card
from dicom_node.settings.file import Settings

if TYPE_CHECKING:
    from inference.analyzer import Analyzer
    from inference.bundle import Card, Regression
    from inference.mammogram import Exam

SEED, PITCH_MM = 7, 0.2  # the phantom for a bundle whose card names none
NOTHING_KEPT = (
    "its card holds no scores of a phantom, so there is nothing to compare with: it reads one, and "
    "nobody knows whether it reads as it did where it was made"
)
TO_ACTIVATE = "once you know why, activate it all the same with --unproven"


@dataclass(frozen=True, slots=True)
class Tried:
    """A bundle that was tried, and what was found."""

    folder: Path
    card: "Card | None"
    seal: str
    faults: tuple[str, ...]
    remark: str = ""
    doubt: str = ""  # why nobody can tell whether it says what its card says

    @property
    def sentence(self) -> str:
        """Say what was found."""
        if self.faults or self.card is None:
            return "; ".join(self.faults)
        said = f"{self.card.name} {self.card.version}, weights {self.card.weights_sha256[:12]}"
        return f"{said} as in its card; {self.doubt or self.remark}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a bundle's reading of a phantom comes to."""

    remark: str = ""
    doubt: str = ""
    faults: tuple[str, ...] = ()


def tried(settings: Settings, folder: Path, pin: Bundle | None = None) -> Tried:
    """Verify a bundle's digests, open it, and let it read a phantom."""
    from inference.bundle import seal_of

    card, faults = sound_card(settings, folder, pin)
    if card is None or faults:
        return Tried(folder, card, "", tuple(faults))
    try:
        answer = _asked(settings, folder)
    except Exception as fault:  # noqa: BLE001 - a bundle from anywhere may do anything as it reads
        said = str(fault).strip().partition("\n")[0] or type(fault).__name__
        return Tried(folder, card, "", (f"{folder}: {said}",))
    faults = [f"{folder}: {one}" for one in answer.faults]
    return Tried(folder, card, seal_of(folder), tuple(faults), answer.remark, answer.doubt)


def _asked(settings: Settings, folder: Path) -> Answer:
    """Open a bundle and let it read the phantom of its card, or, where that has none, another."""
    from inference.analyzer import open_bundle

    analyzing = settings.analyzing
    point = analyzing.operating_point or None
    analyzer = open_bundle(folder, device=analyzing.device, operating_point=point)
    kept = analyzer.card.regression
    if kept is None:
        analyzer.analyze(phantom_exam(SEED, PITCH_MM))
        return Answer(doubt=NOTHING_KEPT)
    return _compared(analyzer, kept, phantom_exam(kept.seed, kept.pitch_mm))


def _compared(analyzer: "Analyzer", kept: "Regression", exam: "Exam") -> Answer:
    """Compare what a bundle says of its phantom with what its card says."""
    from inference.regression import is_same, regressed

    wrong, same = regressed(analyzer, exam), is_same(kept, exam)
    if not wrong:
        though = "" if same else ", though it is drawn otherwise here"
        return Answer(f"phantom {kept.seed} gets its scores{though}")
    if same:
        return Answer(faults=wrong)
    return Answer(
        doubt=f"phantom {kept.seed} is drawn otherwise here and gets other scores, so nobody can "
        f"tell whether it reads as it did where it was made: {'; '.join(wrong)}"
    )


def phantom_exam(seed: int, pitch_mm: float) -> "Exam":
    """Make a phantom's exam, by way of its DICOM images."""
    from inference.reading import exam
    from phantom.dicom import datasets
    from phantom.study import study

    images = datasets(study(seed, pitch_mm=pitch_mm))
    return exam(str(images[0].StudyInstanceUID), images)
