"""Which bundles read is decided by whoever activates them; each decision is a row and an event."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import NAME_LENGTH, Activation

FROM_SETTINGS = "the settings"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as it was activated: whoever finds another one under its name serves it not."""

    folder: str  # its name among the bundles, or its whole path
    version: str
    weights: str  # SHA-256
    card: str  # the card's seal


Bundles = tuple[Bundle, ...]


def bundles_of(row: Activation) -> Bundles:
    """Return what a decision named."""
    return tuple(Bundle(**one) for one in row.bundles)


def newest(engine: Engine) -> Activation | None:
    """Return the decision that counts; None where the settings say who reads."""
    with Session(engine.execution_options(reads_only=True), expire_on_commit=False) as session:
        return _newest(session)


def history(engine: Engine, limit: int) -> Sequence[Activation]:
    """Return the decisions, newest first."""
    with Session(engine.execution_options(reads_only=True), expire_on_commit=False) as session:
        return session.scalars(select(Activation).order_by(Activation.id.desc()).limit(limit)).all()


def before(engine: Engine, row: Activation) -> Activation | None:
    """Return what was active before a decision."""
    with Session(engine.execution_options(reads_only=True), expire_on_commit=False) as session:
        return None if row.before_id is None else session.get(Activation, row.before_id)


def activate(
    ledger: Ledger, bundles: Bundles, standing: Bundles, by: str, unproven: Sequence[str] = ()
) -> None:
    """Let other bundles read from now on; `standing`: those of the settings, if they are sound.

    `unproven`: those of which nobody can tell whether they say what their cards say.
    """
    with ledger.writing() as session:
        last = _newest(session)
        if last is None and standing:
            last = _added(session, standing, FROM_SETTINGS, None)
        _added(session, bundles, by, last.id if last is not None else None)
        replaced = bundles_of(last) if last is not None else ()
        about = _about(bundles, replaced, by, unproven)
        said = _sentence(bundles, replaced, by, unproven)
        ledger.note(session, "model activated", said, details=about)


def roll_back(ledger: Ledger, row: Activation, by: str, unproven: Sequence[str] = ()) -> None:
    """Take a decision back, unless another one was made meanwhile."""
    with ledger.writing() as session:
        last = _newest(session)
        if last is None or last.id != row.id:
            raise NotYourTurn("somebody activated another bundle meanwhile: look again")
        former = session.get(Activation, last.before_id) if last.before_id is not None else None
        if former is None:
            raise NotYourTurn("nothing was active before that could be put back")
        _added(session, bundles_of(former), by, former.before_id)
        bundles, replaced = bundles_of(former), bundles_of(last)
        about = _about(bundles, replaced, by, unproven)
        said = _sentence(bundles, replaced, by, unproven)
        ledger.note(session, "model rolled back", said, details=about)


def _newest(session: Session) -> Activation | None:
    return session.scalars(select(Activation).order_by(Activation.id.desc()).limit(1)).first()


def _added(session: Session, bundles: Bundles, by: str, before_id: int | None) -> Activation:
    row = Activation(
        at=by_the_clock(),
        activated_by=by[:NAME_LENGTH],
        bundles=[asdict(one) for one in bundles],
        before_id=before_id,
    )
    session.add(row)
    session.flush()
    return row


def _sentence(bundles: Bundles, replaced: Bundles, by: str, unproven: Sequence[str]) -> str:
    said = f"{named(bundles)}, in place of {named(replaced) or 'what cannot be read'}, by {by}"
    return f"{said}; not proven by a phantom: {', '.join(unproven)}" if unproven else said


def _about(bundles: Bundles, replaced: Bundles, by: str, unproven: Sequence[str]) -> dict[str, Any]:
    about: dict[str, Any] = {
        "bundles": [one.folder for one in bundles],
        "digests": [one.weights for one in bundles],
        "cards": [one.card for one in bundles],
        "old_bundles": [one.folder for one in replaced],
        "old_digests": [one.weights for one in replaced],
        "old_cards": [one.card for one in replaced],
        "by": by,
    }
    return about | ({"unproven": list(unproven)} if unproven else {})


def named(bundles: Sequence[Bundle]) -> str:
    """Name bundles for people: folder, version and the beginning of the weights' digest."""
    return " + ".join(f"{one.folder} {one.version} ({one.weights[:12]})" for one in bundles)
