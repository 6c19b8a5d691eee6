"""How a bundle scored exams lately, device by device."""

from sqlalchemy import Engine, exists, select
from sqlalchemy.orm import Session

from dicom_node.ledger.tables import Event, ModelRun

DRIFTS, STEADY = "scores drift", "scores steady"
LOOKED_BACK = 500  # events of drift, over all devices


def last_logits(engine: Engine, digest: str, looked_back: int) -> dict[str, list[float]]:
    """Return a network's logits of the last exams, by device, the newest first."""
    with Session(engine.execution_options(reads_only=True)) as session:
        rows = session.execute(
            select(ModelRun.imaged_by, ModelRun.raw_score)
            .where(ModelRun.digest == digest)
            .order_by(ModelRun.id.desc())
            .limit(looked_back)
        ).all()
    found: dict[str, list[float]] = {}
    for device, logit in rows:
        if device and logit is not None:
            found.setdefault(device, []).append(logit)
    return found


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
