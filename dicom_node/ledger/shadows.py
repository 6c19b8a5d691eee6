"""What several bundles said of the same cases, one of them at least without anybody hearing it."""

from typing import NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from dicom_node.ledger.ledger import Ledger
from dicom_node.ledger.tables import Case, ModelRun, ShadowRun


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


def keep(ledger: Ledger, run: ShadowRun) -> None:
    """Write down what a bundle said that reads along, with its line in the trail."""
    score = "not judged" if run.cancer_score is None else f"score {run.cancer_score:.3f}"
    said = run.failure or f"{score}, {len(run.findings)} findings"
    sentence = f"{run.bundle} {run.version}: {said}, {run.seconds:.1f} s"
    about = {"digest": run.digest, "operating_point": run.operating_point}
    with ledger.writing() as session:
        session.add(run)
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
