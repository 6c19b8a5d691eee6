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
    pins = {one.folder: one for one in bundles_of(decision)} if decision is not None else {}
    roles = {_name(home, folder): role for folder, role in of_use(settings, engine).items()}
    there = sorted(path.parent.name for path in home.glob(f"*/{CARD}"))
    here = [name for name, role in roles.items() if role != BEFORE]
    for name in dict.fromkeys([*here, *there, *roles]):
        card, faults = sound_card(settings, home / name, pins.get(name))
        yield Shelved(name, roles.get(name, ""), card, tuple(faults))


def of_use(settings: Settings, engine: Callable[[], Engine]) -> dict[Path, str]:
    """Say where the bundles lie that are of use to this node, and what each one is to it."""
    decision = active(settings, engine)
    former = before(engine(), decision) if decision is not None else None
    once = folders_of(settings, former) if former is not None else ()
    roles = dict[Path, str]()
    reads, along = folders_of(settings, decision), shadow_folders(settings)
    for role, folders in ((ACTIVE, reads), (SHADOW, along), (BEFORE, once)):
        for folder in folders:
            roles.setdefault(folder, role)
    return roles


def _name(home: Path, folder: Path) -> str:
    return folder.name if folder.parent == home else str(folder)
