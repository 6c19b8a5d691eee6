"""Activate other bundles, or those that read before; what is not sound changes nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from dicom_node.analyzing import deciding
from dicom_node.errors import Misconfigured, NotYourTurn
from dicom_node.ledger import activations
from dicom_node.ledger.activations import Bundle, Bundles, bundles_of, named
from dicom_node.ledger.ledger import Ledger
from dicom_node.models.serving import Serving, active, home_of, misfits
from dicom_node.models.shelf import of_use
from dicom_node.models.trying import TO_ACTIVATE, Tried, tried
from dicom_node.settings.file import Settings

NOTHING_CHANGED = "nothing was changed: whoever read before reads on"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which bundles read now, in place of which, and what was found as they were tried."""

    bundles: Bundles
    replaced: Bundles
    results: tuple[Tried, ...]
    warnings: tuple[str, ...] = ()  # what the settings hold for them, and does nothing

    @property
    def sentence(self) -> str:
        """Say what has changed."""
        if self.bundles == self.replaced:
            return f"{named(self.bundles)} reads already"
        return f"{named(self.bundles)} reads from the next study on; before: {named(self.replaced)}"


def folder_named(settings: Settings, word: str, engine: Callable[[], Engine]) -> Path:
    """Find a bundle by its folder's name, or by a path."""
    from inference.bundle import CARD

    home = home_of(settings)
    if (home / word / CARD).exists():
        return home / word
    by_path = Path(word).expanduser()
    if (by_path / CARD).exists():
        path = by_path.resolve()
        return home / path.name if path.parent == home.resolve() else path
    namesake = next((one for one in of_use(settings, engine) if one.name == word), None)
    if namesake is not None and namesake.parent != home:
        sentence = f"{word} does not lie in {home}: name it by its path, {namesake}"
        raise Misconfigured([sentence])
    return home / word


def activate(
    settings: Settings, ledger: Ledger, words: Sequence[str], by: str, *, unproven: bool = False
) -> Chosen:
    """Let other bundles read, once each was tried; `unproven`: also where there is a doubt."""
    folders = [folder_named(settings, word, lambda: ledger.engine) for word in words]
    twice = sorted({one.name for one in folders if folders.count(one) > 1})
    if twice:
        raise Misconfigured([f"a bundle agrees with others, not with itself: {', '.join(twice)}"])
    home = home_of(settings)
    names = [str(one if one.parent != home else one.name) for one in folders]
    results = [tried(settings, folder) for folder in folders]
    bundles = _sound(settings, ledger, results, names, unproven=unproven)
    standing = _standing(settings, ledger)
    if bundles != standing or active(settings, lambda: ledger.engine) is None:
        activations.activate(ledger, bundles, standing, by, _doubted(results, names))
    return Chosen(bundles, standing, tuple(results), _idle(settings, results))


def roll_back(settings: Settings, ledger: Ledger, by: str) -> Chosen:
    """Let those read again that read before, if they still are what they were.

    A doubt does not keep them from it: whoever rolls back is in need, and it is on record.
    """
    now = active(settings, lambda: ledger.engine)
    former = activations.before(ledger.engine, now) if now is not None else None
    if now is None or former is None:
        raise NotYourTurn("nothing was active before that could be put back")
    pins = bundles_of(former)
    folders = [home_of(settings) / one.folder for one in pins]
    names = [one.folder for one in pins]
    results = [tried(settings, folder, pin) for folder, pin in zip(folders, pins, strict=True)]
    bundles = _sound(settings, ledger, results, names, unproven=True)
    activations.roll_back(ledger, now, by, _doubted(results, names))
    return Chosen(bundles, bundles_of(now), tuple(results), _idle(settings, results))


def _sound(
    settings: Settings,
    ledger: Ledger,
    results: Sequence[Tried],
    names: Sequence[str],
    *,
    unproven: bool,
) -> Bundles:
    """Name bundles that were tried as they are; what is wrong with one is put on record."""
    cards = [one.card for one in results if one.card is not None]
    faults = [fault for one in results for fault in one.faults]
    faults = faults or list(misfits(settings, cards))
    if not unproven:
        faults += [f"{one.folder}: {one.doubt}; {TO_ACTIVATE}" for one in results if one.doubt]
    if faults:
        ledger.record("model refused", "; ".join(faults), bundles=list(names))
        raise Misconfigured([*faults, NOTHING_CHANGED])
    return tuple(
        Bundle(name, card.version, card.weights_sha256, one.seal)
        for name, card, one in zip(names, cards, results, strict=True)
    )


def _idle(settings: Settings, results: Sequence[Tried]) -> tuple[str, ...]:
    cards = [one.card for one in results if one.card is not None]
    return tuple(deciding.idle(settings.analyzing, cards))


def _doubted(results: Sequence[Tried], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name, one in zip(names, results, strict=True) if one.doubt)


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
