"""The bundles that read: those that were activated last, else those that the settings name.

A process holds what it opened until another decision can be served whole: what is damaged, or is
not what was activated, is refused, and whoever read goes on reading.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from dicom_node.analyzing import deciding
from dicom_node.errors import Busy, Misconfigured
from dicom_node.ledger.activations import Bundle, Bundles, bundles_of, newest
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import NAME_LENGTH, Activation, ModelRun
from dicom_node.logs import log
from dicom_node.settings.file import Settings
from dicom_node.shipped import shipped

if TYPE_CHECKING:
    from inference.analyzer import Analyzer
    from inference.bundle import Card

AGAIN_SECONDS = 30.0  # before what could not be served is tried once more

logger = log("models")


def home_of(settings: Settings) -> Path:
    """Return the folder that holds the bundles."""
    home = settings.analyzing.bundles
    return home.expanduser() if home else shipped("bundles")


def active(settings: Settings, engine: Callable[[], Engine]) -> Activation | None:
    """Return the decision that counts; None where nobody ever activated a bundle.

    A ledger that is not there yet, or not up to date, holds no decision.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return None
    try:
        return newest(engine())
    except (OperationalError, ProgrammingError) as trouble:
        try:
            if not inspect(engine()).has_table(Activation.__tablename__):
                return None
        except SQLAlchemyError:
            pass
        raise Busy("the ledger cannot be asked which bundle is active") from trouble


def folders_of(settings: Settings, decision: Activation | None) -> tuple[Path, ...]:
    """Return where the bundles lie that a decision names, or without one the settings."""
    if decision is None:
        return settings.bundle_folders
    return tuple(home_of(settings) / one.folder for one in bundles_of(decision))


def shadow_folders(settings: Settings) -> tuple[Path, ...]:
    """Return where the bundles lie that only read along."""
    return tuple(home_of(settings) / name for name in settings.analyzing.shadow)


@dataclass(frozen=True)
class Serving:
    """Bundles that read together, opened when they are first asked for."""

    settings: Settings
    ledger: Callable[[], Ledger]
    decision: Activation | None

    @property
    def pinned(self) -> Bundles:
        """Return what the bundles have to be; empty where the settings name them."""
        return bundles_of(self.decision) if self.decision is not None else ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Return where the bundles lie, in the order in which they are named."""
        return folders_of(self.settings, self.decision)

    @property
    def waits(self) -> str:
        """Say that the settings name others than those that were activated, where they do."""
        if self.decision is None or set(self.settings.bundle_folders) == set(self.folders):
            return ""
        named = ", ".join(one.name for one in self.settings.bundle_folders)
        return (
            f"analyzing.bundle names {named}, but {self.decision.activated_by} activated "
            f"{', '.join(one.folder for one in self.pinned)}, and that counts"
        )

    @cached_property
    def cards(self) -> "tuple[Card, ...]":
        """Read the bundles' cards, their weights verified; no torch is needed."""
        cards, faults = [], list[str]()
        pins: Sequence[Bundle | None] = self.pinned or [None] * len(self.folders)
        for folder, pin in zip(self.folders, pins, strict=True):
            card, wrong = sound_card(self.settings, folder, pin)
            faults += wrong
            if card is not None:
                cards.append(card)
        faults = faults or list(misfits(self.settings, cards))
        if faults:
            raise Misconfigured(faults)
        return tuple(cards)

    @cached_property
    def reads(self) -> frozenset[str]:
        """Say which kinds of image are read: those that every bundle takes."""
        return frozenset.intersection(*(frozenset(card.reads) for card in self.cards))

    @cached_property
    def analyzers(self) -> "tuple[Analyzer, ...]":
        """Open the bundles; this is where torch comes in."""
        if self.pinned:
            self.verify()
        if self.settings.analyzing.calibrations:
            for said in deciding.idle(self.settings.analyzing, self.cards):
                logger.warning("a calibration is not as it may be meant", why=said)
        return tuple(
            opened(self.settings, self.ledger(), folder, partial(self._correction, place))
            for place, folder in enumerate(self.folders)
        )

    def _correction(self, place: int) -> dict[str, Any] | None:
        """Return what this site makes of a bundle's scores."""
        analyzing = self.settings.analyzing
        its, ours = deciding.corrections(analyzing, self.cards, analyzing.operating_point)
        correction = ours or its[place]
        return asdict(correction) if correction else None

    @property
    def is_open(self) -> bool:
        """Say whether the bundles were opened."""
        return "analyzers" in self.__dict__

    def verify(self) -> None:
        """See that the bundles are what they have to be; `Misconfigured` says what is not."""
        _ = self.cards

    def open(self) -> None:
        """Open the bundles now."""
        _ = self.analyzers


class Models:
    """What a process reads with; `look` switches to what was activated since."""

    def __init__(
        self, settings: Settings, engine: Callable[[], Engine], ledger: Callable[[], Ledger]
    ) -> None:
        self.settings, self.engine, self.ledger = settings, engine, ledger
        self._serving: Serving | None = None
        self._refused: int | None = None  # a decision that cannot be served here ...
        self._again_at = 0.0  # ... until somebody mends that

    @property
    def serving(self) -> Serving:
        """Return the bundles that read in this process."""
        if self._serving is None:
            decision = active(self.settings, self.engine)
            self._serving = Serving(self.settings, self.ledger, decision)
        return self._serving

    @cached_property
    def _along(self) -> "tuple[tuple[Path, Analyzer], ...]":
        """Open those that read along; whoever cannot is left out, and that is on record."""
        return tuple(self._shadows())

    @property
    def shadows(self) -> "tuple[Analyzer, ...]":
        """Return those that read along, without any that reads by now."""
        reading = self.serving.folders
        return tuple(one for folder, one in self._along if folder not in reading)

    def _shadows(self) -> "Iterator[tuple[Path, Analyzer]]":
        from inference.errors import BadBundle

        for folder in shadow_folders(self.settings):
            try:
                yield folder, opened(self.settings, self.ledger(), folder, along=True)
            except (BadBundle, RuntimeError) as fault:
                logger.error("cannot read along", bundle=folder.name, why=str(fault))

    def that_read(self, readings: Sequence[ModelRun]) -> "tuple[Analyzer, ...]":
        """Open those that made these readings; those that read now, where one is not here any more.

        Of several cards for the same weights it is the one whose scores are of the reading's scale.
        """
        from inference.bundle import CARD, load_card
        from inference.errors import BadBundle

        reading = self.serving.cards
        if len(reading) == len(readings) and all(map(_made, reading, readings)):
            return self.serving.analyzers
        here: list[tuple[Path, Card]] = []
        for path in sorted(home_of(self.settings).glob(f"*/{CARD}")):
            with suppress(BadBundle):
                here.append((path.parent, load_card(path.parent)))
        found = [next((at for at, card in here if _made(card, one)), None) for one in readings]
        folders = [folder for folder in found if folder is not None]
        if len(folders) < len(found):
            return self.serving.analyzers
        return tuple(opened(self.settings, self.ledger(), one, along=True) for one in folders)

    def look(self) -> None:
        """Switch to what was activated since, whole; if it cannot be served, stay as it was."""
        before = self.serving
        try:
            decision = active(self.settings, self.engine)
        except (Busy, SQLAlchemyError):  # whoever takes a case next hears of it
            return
        if decision is None or decision.id == _number(before):
            return
        if decision.id == self._refused and time.monotonic() < self._again_at:
            return
        try:
            self._serving = self._ready(decision, before)
        except (Misconfigured, RuntimeError, OSError, ValueError) as fault:
            self._refuse(decision, str(fault).strip().partition("\n")[0])
        else:
            logger.info("switched", to=[card.name for card in self._serving.cards])

    def _refuse(self, decision: Activation, why: str) -> None:
        """Put on record, once, that whoever read reads on."""
        if decision.id != self._refused:
            names = " + ".join(one.folder for one in bundles_of(decision))
            logger.error("activated, and cannot be served: the old bundle reads on", why=why)
            self.ledger().record("model refused", f"{names}: {why}", activation=decision.id)
        self._refused, self._again_at = decision.id, time.monotonic() + AGAIN_SECONDS

    def _ready(self, decision: Activation, before: Serving) -> Serving:
        """Open what was activated as far as the former ones were."""
        from inference.errors import BadBundle

        new = Serving(self.settings, self.ledger, decision)
        try:
            new.verify()
            if before.is_open:
                new.open()
        except BadBundle as fault:
            raise Misconfigured(str(fault).splitlines()) from fault
        return new


def _made(card: "Card", run: ModelRun) -> bool:
    """Say whether a card's scores are those of a reading; one of old names its weights alone."""
    if card.weights_sha256 != run.digest or run.operating_point not in card.operating_points:
        return False
    return run.scale in ("", card.scale(run.operating_point))


def opened(
    settings: Settings,
    ledger: Ledger,
    folder: Path,
    correction: Callable[[], object] = lambda: None,
    *,
    along: bool = False,
) -> "Analyzer":
    """Open a bundle as the settings want it, and put that on record.

    Who only reads along does so at an operating point of its own, where it lacks the settings'.
    """
    from inference.analyzer import open_bundle
    from inference.bundle import load_card
    from inference.errors import BadBundle

    analyzing = settings.analyzing
    if analyzing.threads:
        import torch

        torch.set_num_threads(analyzing.threads)
    point = analyzing.operating_point or None
    try:
        if along and point not in load_card(folder).operating_points:
            point = None
        one = open_bundle(folder, device=analyzing.device, operating_point=point)
    except BadBundle as fault:
        ledger.record("model refused", str(fault), bundle=folder.name)
        raise
    card = one.card
    about: dict[str, Any] = {
        "digest": one.digest,
        "version": card.version,
        "system": card.system,
        "point": one.operating_point,
        "correction": correction(),
    }
    about |= {"reports": "no"} if along else {}
    ledger.record("model loaded", card.name, **about)
    return one


def sound_card(
    settings: Settings, folder: Path, pin: Bundle | None = None
) -> "tuple[Card | None, list[str]]":
    """Read a bundle's card, and say everything that is wrong with it, its weights or its points."""
    from inference.bundle import CARD, load_card
    from inference.errors import BadBundle

    try:
        card = load_card(folder)
    except BadBundle as fault:
        faults = str(fault).splitlines()
        if not (folder / CARD).exists():
            there = sorted(path.parent.name for path in folder.parent.glob(f"*/{CARD}"))
            faults[-1] += f"; bundles in {folder.parent}: {', '.join(there) or 'none'}"
        return None, faults
    return card, list(_faults(settings, folder, card, pin))


def _faults(settings: Settings, folder: Path, card: "Card", pin: Bundle | None) -> Iterator[str]:
    from inference.bundle import seal_of, verified_weights
    from inference.errors import BadBundle

    points = {settings.analyzing.operating_point}
    points |= {one.operating_point for one in settings.delivering.destinations}
    points |= {one.operating_point for one in settings.analyzing.points}
    asked: list[Callable[[], object]] = [
        *(partial(card.finding_score, point or None) for point in sorted(points)),
        partial(verified_weights, folder, card),
    ]
    for ask in asked:
        try:
            ask()
        except BadBundle as fault:
            yield from str(fault).splitlines()
    if pin is not None and seal_of(folder) != pin.card:
        yield (
            f"{folder} is not the bundle that was activated: its card is {seal_of(folder)[:12]} "
            f"with the weights {card.weights_sha256[:12]}, activated was {pin.card[:12]} with "
            f"{pin.weights[:12]}; put that one back, or run `dicom-node models activate "
            f"{pin.folder}` if you mean this one"
        )


def misfits(settings: Settings, cards: "Sequence[Card]") -> Iterator[str]:
    """Say why bundles cannot read together, or not as the settings want it."""
    analyzing = settings.analyzing
    yield from deciding.faults(analyzing, cards)
    for point in sorted({"", *(one.operating_point for one in analyzing.points)}):
        yield from _too_long(cards, point or analyzing.operating_point)


def _too_long(cards: "Sequence[Card]", operating_point: str) -> Iterator[str]:
    """See that the bundles' versions and operating points fit where an object names them."""
    points = [operating_point or card.default_operating_point for card in cards]
    told = {
        "versions": "+".join(card.version for card in cards),
        "operating points": points[0] if len(set(points)) == 1 else "+".join(points),
    }
    for what, words in told.items():
        if len(words) > NAME_LENGTH:
            yield (
                f"analyzing.bundle: the {what} of the bundles are {words} together, which is too "
                f"long for a report: it takes {NAME_LENGTH} characters"
            )


def _number(serving: Serving) -> int | None:
    return serving.decision.id if serving.decision is not None else None
