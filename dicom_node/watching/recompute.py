"""Compute a result again from its record, and say whether the same comes out.

The record names the bundle by the digest of its weights, the operating point, the code and the
settings; the images and what was found lie in the spool under digests of their own. Whoever has
the same bundle must see the same, to the last digit, and make the same objects, to the last byte.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dicom_node.analyzing.accept import judge_study, terms_of
from dicom_node.analyzing.looking import looked_at, views_of
from dicom_node.errors import NotYourTurn
from dicom_node.ledger.questions import NEVER_AGAIN
from dicom_node.ledger.tables import Case, ModelRun
from dicom_node.reporting.frame import encoded
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.turn import built_again
from dicom_node.wiring import CODE_VERSION, Node
from inference.findings import Correction, ExamFindings
from inference.mammogram import Exam
from inference.scores import corrected
from inference.transcript import pack, unpack

if TYPE_CHECKING:
    from inference.analyzer import Analyzer


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came out, compared with the record."""

    case_id: int
    readings: int  # that were compared
    objects: int
    differences: tuple[str, ...]
    remarks: tuple[str, ...]  # what is otherwise than then, and made no difference

    @property
    def equal(self) -> bool:
        """Say whether all is as it was."""
        return not self.differences


def recompute(node: Node, case: Case) -> Recomputed:
    """Read a case's images again, build its objects again, and compare; record that it was done."""
    run = node.questions.run_of(case.id)
    if run is None:
        raise NotYourTurn(f"case {case.id} has no result to recompute")
    gone = sum(image.purged_at is not None for image in node.questions.images_of(case))
    if gone:
        sentence = f"{gone} of the images that it read are no longer kept here"
        raise NotYourTurn(f"case {case.id} cannot be computed again: {sentence}")
    members = node.questions.members_of(case.id)
    differences = _readings(node, case, run, members)
    made, different = _objects(node, case, run)
    done = Recomputed(
        case.id,
        1 + len(members),
        made,
        (*differences, *different),
        tuple(_otherwise(node, run)),
    )
    what = "equal" if done.equal else "; ".join(done.differences)
    with node.ledger.writing() as session:
        about = {"readings": done.readings, "objects": made, "digest": run.digest}
        node.ledger.note(session, "recomputed", what, case=case, details=about)
    return done


def _otherwise(node: Node, run: ModelRun) -> list[str]:
    """Say what is not as it was then; it need not matter."""
    told = []
    if run.settings_digest != node.settings.digest:
        told.append("the settings are other ones")
    if run.code_version != CODE_VERSION:
        told.append(f"it was version {run.code_version} of the node")
    if run.device != node.settings.analyzing.device:
        told.append(f"it was read on {run.device}")
    return told


def _readings(
    node: Node, case: Case, run: ModelRun, members: Sequence[ModelRun]
) -> tuple[str, ...]:
    """Let the bundles read the images once more, and compare the transcripts."""
    from inference.systems.agreement import decided

    images = node.questions.images_of(case)
    terms = terms_of(node.settings, node.reads)
    study = judge_study(looked_at(node.spool, images, terms), terms)
    if study.declined is not None:
        return (f"the study would be declined now: {study.declined}",)
    exam = Exam(case.study_uid, tuple(views_of(node.spool, images, study)))
    analyzers = node.models.that_read(members or [run])
    if len(members or [run]) != len(analyzers):
        return (f"{len(members or [run])} bundles read it, and now there are {len(analyzers)}",)
    asked = [row.operating_point for row in members or [run]]
    steered = [_correction(node, row) for row in members or [run]]
    try:
        read = [one.readings(exam)[at] for one, at in zip(analyzers, asked, strict=True)]
    except KeyError as unknown:
        return (f"the bundle has no operating point {unknown} any more",)
    agreement = decided(read, steered, _correction(node, run) if members else None)
    seen = list(map(corrected, read, steered))
    if agreement.digest != run.digest:
        now, then = agreement.digest[:12], run.digest[:12]
        return (f"the bundle is another one: its weights are {now}, recorded are {then}",)
    if others := list(_other_cards(analyzers, members or [run])):
        return tuple(others)
    alone = seen if members else []
    compared = zip([run, *members], [agreement, *alone], strict=True)
    return tuple(said for row, one in compared if (said := _compared(node, row, one)))


def _other_cards(analyzers: "Sequence[Analyzer]", rows: Sequence[ModelRun]) -> Iterator[str]:
    """Say which cards make other scores of the same weights than those that were read with."""
    for one, row in zip(analyzers, rows, strict=True):
        if row.scale and one.card.scale(row.operating_point) != row.scale:
            yield f"the card of {row.bundle} is another one: it makes other scores of its weights"


def _correction(node: Node, row: ModelRun) -> Correction | None:
    """Return what was done to the scores then; the settings of today have no part in it."""
    return unpack(node.spool.read(row.findings_path, row.findings_sha256)).correction


def _compared(node: Node, row: ModelRun, seen: ExamFindings) -> str:
    recorded = node.spool.read(row.findings_path, row.findings_sha256)
    return "" if pack(seen) == recorded else f"the reading of {row.bundle} is another one"


def _objects(node: Node, case: Case, run: ModelRun) -> tuple[int, list[str]]:
    """Build the objects once more, and compare their bytes with those that were proved and sent."""
    shop = Workshop(
        node.ledger, node.questions, node.spool, node.settings, CODE_VERSION, lambda: node.cards
    )
    then = [row for row in node.questions.products_of(case.id) if row.kind not in NEVER_AGAIN]
    if not then:
        return 0, []
    now = Counter[tuple[str, str, str]]()
    for built in built_again(shop, case, run):
        digest = hashlib.sha256(encoded(built.dataset)).hexdigest()
        now[built.kind, str(built.dataset.SOPInstanceUID), digest] += 1
    recorded = Counter((row.kind, row.sop_uid, row.sha256) for row in then)
    missing = [
        f"{kind} {uid} is another one, or is not made any more" for kind, uid, _ in recorded - now
    ]
    added = [f"{kind} {uid} was not made then" for kind, uid, _ in now - recorded]
    return len(then), [*missing, *added]
