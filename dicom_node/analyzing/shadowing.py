"""Bundles that read along: after the result, on record, and never in a report."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.analyzing.analyze import Desk
from dicom_node.errors import told
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.shadows import keep
from dicom_node.ledger.tables import ShadowRun
from dicom_node.logs import log
from inference.findings import ExamFindings
from inference.mammogram import Exam

if TYPE_CHECKING:
    from inference.analyzer import Analyzer

logger = log("shadow")


def read_along(desk: Desk, case_id: int, exam: Exam, shadows: "Sequence[Analyzer]") -> None:
    """Let each bundle read an exam whose result stands; whatever becomes of it harms nobody."""
    for analyzer in shadows:
        run = _read(case_id, exam, analyzer)
        try:
            keep(desk.ledger, run)
        except SQLAlchemyError as trouble:
            logger.warning("not kept", case=case_id, why=type(trouble).__name__)


def _read(case_id: int, exam: Exam, analyzer: "Analyzer") -> ShadowRun:
    """Read an exam; that it could not be read is an answer too."""
    started, seen, failure = time.perf_counter(), None, ""
    try:
        seen = analyzer.analyze(exam)
    except Exception as fault:  # noqa: BLE001 - what is tried out may do anything
        failure = told(fault)
    card = analyzer.card
    return ShadowRun(
        case_id=case_id,
        bundle=card.name,
        version=card.version,
        digest=analyzer.digest,
        operating_point=analyzer.operating_point,
        seconds=round(time.perf_counter() - started, 3),
        cancer_score=seen.card_score if seen is not None else None,
        findings=_findings(seen) if seen is not None else [],
        failure=failure,
        made_at=by_the_clock(),
    )


def _findings(seen: ExamFindings) -> list[dict[str, Any]]:
    return [
        {
            "view": f"{view.side}{view.projection}",
            "kind": str(found.kind),
            "box": [found.box.left, found.box.top, found.box.right, found.box.bottom],
            "score": found.score,
            "cancer_score": found.cancer_score,
        }
        for view in seen.views
        for found in view.findings
    ]
