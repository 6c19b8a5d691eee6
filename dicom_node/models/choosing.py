"""Activate other bundles, or those that read before; what is not sound changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.errors import Misconfigured, NotYourTurn
from dicom_node.ledger import activations
from dicom_node.ledger.activations import Bundle, Bundles, bundles_of, named
from dicom_node.ledger.ledger import Ledger
from dicom_node.models.serving import Serving, active, home_of, misfits
from dicom_node.models.trying import tried
from dicom_node.settings.file import Settings

NOTHING_CHANGED = "nothing was changed: whoever read before reads on"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which bundles read now, in place of which, and what was found as they were tried."""

    bundles: Bundles
    replaced: Bundles
    remarks: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """Say what has changed."""
        if self.bundles == self.replaced:
            return f"{named(self.bundles)} reads already"
        return f"{named(self.bundles)} reads from the next study on; before: {named(self.replaced)}"


def folder_named(settings: Settings, word: str) -> Path:
    """Find a bundle by its folder's name, or by a path."""
    from inference.bundle import CARD

    home = home_of(settings)
    by_path = Path(word).expanduser()
    if (home / word / CARD).exists() or not (by_path / CARD).exists():
        return home / word
    path = by_path.resolve()
    return home / path.name if path.parent == home.resolve() else path


def activate(settings: Settings, ledger: Ledger, words: Sequence[str], by: str) -> Chosen:
    """Let other bundles read, once each was tried."""
    folders = [folder_named(settings, word) for word in words]
    twice = sorted({one.name for one in folders if folders.count(one) > 1})
    if twice:
        raise Misconfigured([f"a bundle agrees with others, not with itself: {', '.join(twice)}"])
    home = home_of(settings)
    names = [str(one if one.parent != home else one.name) for one in folders]
    bundles, remarks = _sound(settings, ledger, folders, names)
    standing = _standing(settings, ledger)
    if bundles != standing or active(settings, lambda: ledger.engine) is None:
        activations.activate(ledger, bundles, standing, by)
    return Chosen(bundles, standing, remarks)


def roll_back(settings: Settings, ledger: Ledger, by: str) -> Chosen:
    """Let those read again that read before, if they still are what they were."""
    now = active(settings, lambda: ledger.engine)
    former = activations.before(ledger.engine, now) if now is not None else None
    if now is None or former is None:
        raise NotYourTurn("nothing was active before that could be put back")
    pins = bundles_of(former)
    folders = [home_of(settings) / one.folder for one in pins]
    bundles, remarks = _sound(settings, ledger, folders, [one.folder for one in pins], pins)
    activations.roll_back(ledger, now, by)
    return Chosen(bundles, bundles_of(now), remarks)


def _sound(
    settings: Settings,
    ledger: Ledger,
    folders: Sequence[Path],
    names: Sequence[str],
    pins: Bundles = (),
) -> tuple[Bundles, tuple[str, ...]]:
    """Try bundles, and name them as they are; what is wrong with one is put on record."""
    results = [
        tried(settings, folder, pin)
        for folder, pin in zip(folders, pins or [None] * len(folders), strict=True)
    ]
    cards = [one.card for one in results if one.card is not None]
    faults = [fault for one in results for fault in one.faults]
    faults = faults or list(misfits(settings, cards))
    if faults:
        ledger.record("model refused", "; ".join(faults), bundles=list(names))
        raise Misconfigured([*faults, NOTHING_CHANGED])
    bundles = tuple(
        Bundle(name, card.version, card.weights_sha256, one.seal)
        for name, card, one in zip(names, cards, results, strict=True)
    )
    return bundles, tuple(one.sentence for one in results)


def _standing(settings: Settings, ledger: Ledger) -> Bundles:
    """Name those that read now; of the settings' none where they cannot be read."""
    from inference.bundle import seal_of

    serving = Serving(settings, lambda: ledger, active(settings, lambda: ledger.engine))
    if serving.pinned:
        return serving.pinned
    try:
        cards = serving.cards
    except Misconfigured:
        return ()
    words = settings.analyzing.bundle
    names = (words,) if isinstance(words, str) else words
    return tuple(
        Bundle(name, card.version, card.weights_sha256, seal_of(folder))
        for name, card, folder in zip(names, cards, serving.folders, strict=True)
    )
