"""The bundles that there are, and what each one is to this node."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from dicom_node.ledger.activations import before, bundles_of
from dicom_node.models.serving import active, folders_of, home_of, shadow_folders, sound_card
from dicom_node.settings.file import Settings

if TYPE_CHECKING:
    from inference.bundle import Card

ACTIVE, SHADOW, BEFORE = "active", "shadow", "before"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A bundle, what it is to this node, and what is wrong with it."""

    name: str
    role: str  # active; shadow, which reads along; before, where a rollback leads; or nothing
    card: "Card | None"
    faults: tuple[str, ...]


def shelf(settings: Settings, engine: Callable[[], Engine]) -> Iterator[Shelved]:
    """Look at every bundle in the folder, and at those elsewhere that are of use."""
    from inference.bundle import CARD

    home = home_of(settings)
    decision = active(settings, engine)
    reads = [_name(home, one) for one in folders_of(settings, decision)]
    pins = {one.folder: one for one in bundles_of(decision)} if decision is not None else {}
    former = before(engine(), decision) if decision is not None else None
    once = [one.folder for one in bundles_of(former)] if former is not None else []
    along = [_name(home, one) for one in shadow_folders(settings)]
    there = sorted(path.parent.name for path in home.glob(f"*/{CARD}"))
    for name in dict.fromkeys([*reads, *along, *there, *once]):
        card, faults = sound_card(settings, home / name, pins.get(name))
        roles = {ACTIVE: reads, SHADOW: along, BEFORE: once}
        role = next((role for role, names in roles.items() if name in names), "")
        yield Shelved(name, role, card, tuple(faults))


def _name(home: Path, folder: Path) -> str:
    return folder.name if folder.parent == home else str(folder)
