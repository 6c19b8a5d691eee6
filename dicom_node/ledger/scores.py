"""How a bundle scored exams lately, device by device."""

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Engine, exists, func, select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Event, ModelRun

DRIFTS, STEADY = "scores drift", "scores steady"
DEVICES = 500  # so many at most are looked at
LOOKED_BACK = 500  # events of drift, over all devices


def last_logits(
    engine: Engine, digest: str, exams: int, device: str = ""
) -> dict[str, list[float]]:
    """Return a network's logits of each device's last exams, the newest first; or of one device's.

    Each device is asked for by itself: a rare one's exams lie far behind those of the others.
    """
    with Session(engine.execution_options(reads_only=True)) as session:
        devices = [device] if device else list(islice(_devices(session, digest), DEVICES))
        return {one: _logits(session, digest, one, exams) for one in devices}


def _logits(session: Session, digest: str, device: str, exams: int) -> list[float]:
    last = session.scalars(
        select(ModelRun.raw_score)
        .where(
            ModelRun.digest == digest,
            ModelRun.imaged_by == device,
            ModelRun.raw_score.is_not(None),
        )
        .order_by(ModelRun.id.desc())
        .limit(exams)
    )
    return [logit for logit in last if logit is not None]


def _devices(session: Session, digest: str) -> Iterator[str]:
    """Step from one device to the next through the index, and not through all their exams."""
    device: str | None = ""  # what a node of old read names none
    while device is not None:
        following = (ModelRun.digest == digest, ModelRun.imaged_by > device)
        device = session.scalar(select(func.min(ModelRun.imaged_by)).where(*following))
        if device is not None:
            yield device


def was_seen_before(engine: Engine, device: str, case_id: int) -> bool:
    """Say whether another case of a device was ever read."""
    with Session(engine.execution_options(reads_only=True)) as session:
        others = exists().where(ModelRun.imaged_by == device, ModelRun.case_id != case_id)
        return bool(session.scalar(select(others)))


def was_drifting(engine: Engine, device: str, digest: str) -> bool:
    """Say whether the trail's last word on a device and a bundle is that its scores drift."""
    with Session(engine.execution_options(reads_only=True)) as session:
        lines = session.scalars(
            select(Event)
            .where(Event.what.in_((DRIFTS, STEADY)))
            .order_by(Event.id.desc())
            .limit(LOOKED_BACK)
        )
        about = {"device": device, "digest": digest}
        ours = (one for one in lines if about.items() <= one.details.items())
        last = next(ours, None)
    return last is not None and last.what == DRIFTS
