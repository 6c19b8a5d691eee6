"""What several bundles said of the same cases, one of them at least without anybody hearing it."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.ledger import STRIKES, Ledger, now
from dicom_node.ledger.tables import Case, ModelRun, ShadowRun

NOT_YET = "not read yet"


class Device(NamedTuple):
    """A bundle that reads along, as the ledger names it."""

    bundle: str
    version: str
    digest: str
    operating_point: str


class Said(NamedTuple):
    """What a bundle said of a case, as far as it is compared."""

    score: float | None
    findings: int
    seconds: float


class Pair(NamedTuple):
    """What two bundles said of one case."""

    case_id: int
    one: Said
    other: Said


def to_read(case_id: int, device: Device, until: datetime) -> ShadowRun:
    """Owe a reading; whoever reads first has time until then, and after that another may."""
    return ShadowRun(
        case_id=case_id,
        **device._asdict(),
        seconds=0.0,
        cancer_score=None,
        findings=[],
        failure=NOT_YET,
        made_at=by_the_clock(),
        due_at=until,
        attempts=1,
    )


def late(engine: Engine) -> int | None:
    """Name the case whose reading was lost longest ago, if there is one."""
    waits = select(ShadowRun.case_id).where(ShadowRun.due_at <= now()).order_by(ShadowRun.due_at)
    with Session(engine.execution_options(reads_only=True)) as session:
        return session.scalars(waits.limit(1)).first()


def claim_late(ledger: Ledger, case_id: int, until: datetime) -> list[ShadowRun]:
    """Take what is still to be read of a case; what lost its worker so often is given up."""
    due = (ShadowRun.case_id == case_id, ShadowRun.due_at <= now())
    claimed = []
    with ledger.writing() as session:
        case = session.get(Case, case_id)
        for row in session.scalars(select(ShadowRun).where(*due).with_for_update()).all():
            if row.attempts < STRIKES:
                row.attempts += 1
                row.due_at = until
                claimed.append(row)
                continue
            row.failure, row.due_at = f"not read in {STRIKES} attempts", None
            sentence = f"{row.bundle} {row.version}: {row.failure}"
            ledger.note(session, "read in shadow", sentence, case=case)
    return claimed


def keep(ledger: Ledger, run: ShadowRun) -> None:
    """Write down what a bundle said that reads along, with its line in the trail; once alone.

    A process that stood still may come with its answer after another one did.
    """
    waits = (
        ShadowRun.case_id == run.case_id,
        ShadowRun.digest == run.digest,
        ShadowRun.due_at.is_not(None),
    )
    score = "not judged" if run.cancer_score is None else f"score {run.cancer_score:.3f}"
    said = run.failure or f"{score}, {len(run.findings)} findings"
    sentence = f"{run.bundle} {run.version}: {said}, {run.seconds:.1f} s"
    about = {"digest": run.digest, "operating_point": run.operating_point}
    with ledger.writing() as session:
        row = session.scalars(select(ShadowRun).where(*waits).with_for_update()).first()
        if row is None:
            return
        row.operating_point, row.seconds = run.operating_point, run.seconds
        row.cancer_score, row.findings = run.cancer_score, run.findings
        row.failure, row.made_at, row.due_at = run.failure, run.made_at, None
        case = session.get(Case, run.case_id)
        ledger.note(session, "read in shadow", sentence, case=case, details=about)


def read_by_both(engine: Engine, one: str, other: str) -> list[Pair]:
    """Return the cases that two bundles read, by the digests of their weights."""
    with Session(engine.execution_options(reads_only=True)) as session:
        ours, theirs = (_said_by(session, digest) for digest in (one, other))
    return [
        Pair(case_id, ours[case_id], theirs[case_id]) for case_id in sorted({*ours} & {*theirs})
    ]


def _said_by(session: Session, digest: str) -> dict[int, Said]:
    """Return what a bundle said of each case, in shadow or not; the last word of each counts."""
    along = session.execute(
        select(ShadowRun.case_id, ShadowRun.cancer_score, ShadowRun.findings, ShadowRun.seconds)
        .where(ShadowRun.digest == digest, ShadowRun.failure == "")
        .order_by(ShadowRun.id)
    )
    found = {case_id: Said(score, len(marks), took) for case_id, score, marks, took in along}
    told = session.execute(
        select(
            ModelRun.case_id,
            func.coalesce(ModelRun.card_score, ModelRun.cancer_score),
            ModelRun.findings_count,
            ModelRun.seconds,
        ).where(ModelRun.digest == digest)
    )
    return found | {case_id: Said(score, count, took) for case_id, score, count, took in told}
