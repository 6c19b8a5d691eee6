"""Bundles that read along: after the result, on record, and never in a report."""

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.analyzing.analyze import Desk, device_of, exam_again
from dicom_node.errors import Busy, told
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.shadows import claim_late, keep
from dicom_node.ledger.tables import ShadowRun
from dicom_node.logs import log
from inference.findings import ExamFindings
from inference.mammogram import Exam

if TYPE_CHECKING:
    from inference.analyzer import Analyzer

logger = log("shadow")


def read_along(desk: Desk, case_id: int, exam: Exam) -> None:
    """Let each bundle read an exam whose result stands; whatever becomes of it harms nobody.

    What is not kept, since the worker is killed or the ledger away, is read late.
    """
    for analyzer in desk.along():
        _keep(desk, _read(case_id, lambda: exam, analyzer))


def read_late(desk: Desk, case_id: int) -> bool:
    """Read what was lost of a case, its result untouched; False: there is nothing."""
    claimed = {row.digest for row in claim_late(desk.ledger, case_id, desk.until)}
    case = desk.questions.case(case_id)
    if not claimed or case is None:
        return False
    exam = cache(lambda: exam_again(desk, case))
    for analyzer in desk.along():  # where one is not here any more, it is given up in time
        if analyzer.digest in claimed:
            _keep(desk, _read(case_id, exam, analyzer))
    return True


def _keep(desk: Desk, run: ShadowRun) -> None:
    try:
        keep(desk.ledger, run)
    except SQLAlchemyError as trouble:
        logger.warning("not kept", case=run.case_id, why=type(trouble).__name__)


def _read(case_id: int, exam: Callable[[], Exam], analyzer: "Analyzer") -> ShadowRun:
    """Read an exam; that it could not be read is an answer too."""
    started, seen, failure = time.perf_counter(), None, ""
    try:
        seen = analyzer.analyze(exam())
    except (Busy, SQLAlchemyError):  # time mends it: it is read later
        raise
    except Exception as fault:  # noqa: BLE001 - what is tried out may do anything
        failure = told(fault)
    return ShadowRun(
        case_id=case_id,
        **device_of(analyzer)._asdict(),
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
