"""The whole story of a study, and where everything stands, as plain values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dicom_node.delivering.places import road_of
from dicom_node.facts import class_name
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.commitments import OPEN
from dicom_node.ledger.ledger import now
from dicom_node.ledger.questions import REJECTION, Questions
from dicom_node.ledger.tables import Case, Delivery, Event, ModelRun, Recall, Verdict
from dicom_node.life import HELD, Priority, Receipt, State
from dicom_node.settings.file import Settings
from dicom_node.watching.latency import legs_told

REFUSALS = 5  # shown by `status`
CASE_NUMBER_DIGITS = 12  # longer words without a dot are no case numbers


def cases_named(questions: Questions, name: str) -> Sequence[Case]:
    """Find cases by a case number or a Study Instance UID."""
    if name.isdecimal() and len(name) <= CASE_NUMBER_DIGITS:
        case = questions.case(int(name))
        return [case] if case is not None else []
    return questions.cases_of(name)


def moment(at: datetime | None) -> str:
    """Write a time for people: local, to the second."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def due(at: datetime) -> str:
    """Write when something is due, for people: the ledger waits in a time of its own."""
    return moment(by_the_clock() + (at - now()))


def line(event: Event) -> str:
    """Write an event as one line."""
    moved = f"{event.from_state} -> {event.to_state}" if event.from_state else event.to_state or ""
    parts = (moved or event.what, event.sentence, _told(event.details) if not moved else "")
    return "  ".join(part for part in parts if part)


def _told(details: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in details.items() if value not in ("", None))


def story(questions: Questions, case: Case, settings: Settings) -> dict[str, Any]:
    """Tell all that the ledger knows of a case."""
    verdicts = questions.verdicts_of(case.id)
    run = questions.run_of(case.id)
    recall = questions.recall_of(case.id)
    return {
        "case": case.id,
        "study_uid": case.study_uid,
        "round": case.round,
        "state": case.state,
        "priority": Priority(case.priority).name.lower(),
        "reason": case.reason,
        "recalled": _recalled(recall),
        "held_by": case.holder,
        "images": [
            {
                "sop_uid": image.sop_uid,
                "view": image.view,
                "what": image.view or class_name(image.sop_class_uid),
                "from": f"{image.caller} at {image.address}",
                "received_at": moment(image.received_at),
                "bytes": image.size_bytes,
                "verdict": _verdict(verdicts.get(image.id)),
                "code": _code(verdicts.get(image.id)),
            }
            for image in questions.images_of(case)
        ],
        "reading": None
        if run is None
        else {
            **_reading(run),
            "code_version": run.code_version,
            "settings_digest": run.settings_digest,
            "uncertainty": run.uncertainty,
            "members": [_reading(member) for member in questions.members_of(case.id)],
        },
        "objects": [
            {
                "kind": product.kind,
                "sop_uid": product.sop_uid,
                "bytes": product.size_bytes,
                "recalled": recall is not None and product.kind != REJECTION,  # which stays good
            }
            for product in questions.products_of(case.id)
        ],
        "deliveries": [
            {
                "destination": debt.delivery.destination,
                "kind": debt.product.kind,
                "receipt": debt.delivery.receipt,
                "attempts": debt.delivery.attempts,
                "last_error": debt.delivery.last_error,
                "delivered_at": moment(debt.delivery.delivered_at),
                "commitment": debt.delivery.commitment,
                "waits": _waits(questions, settings, debt.delivery),
            }
            for debt in questions.debts_of(case.id)
        ],
        "events": [
            {"at": moment(event.at), "actor": event.actor, "event": line(event)}
            for event in questions.events(case_id=case.id)
        ],
    }


def _waits(questions: Questions, settings: Settings, row: Delivery) -> str:
    """Say why a destination has not got an object, or has not promised to keep it, and until when.

    While its road is closed, that road's time decides, not that of the object.
    """
    if row.receipt == Receipt.OWED:
        road = questions.road(road_of(settings, row.destination, row.target) or "")
        if road is not None and road.failures:
            return f"{road.last_error}; next try {due(road.due_at)}"
        why, at = row.last_error or "its turn has not come yet", row.due_at
    elif row.commitment in OPEN and row.commit_due_at is not None:
        why, at = row.last_error or "no promise to keep it yet", row.commit_due_at
    else:
        return ""
    return f"{why}; next try {due(at)}" if at > now() else f"{why}; is due"


def _recalled(row: Recall | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "at": moment(row.recalled_at),
        "by": row.recalled_by,
        "code": row.code,
        "why": row.reason,
    }


def _reading(run: ModelRun) -> dict[str, Any]:
    return {
        "system": run.system,
        "bundle": f"{run.bundle} {run.version}",
        "digest": run.digest,
        "operating_point": run.operating_point,
        "raw_score": run.raw_score,
        "card_score": run.card_score,
        "scale": run.scale,
        "cancer_score": run.cancer_score,
        "findings": run.findings_count,
        "seconds": run.seconds,
    }


def _verdict(row: Verdict | None) -> str:
    if row is None:
        return "not judged yet"
    return f"{row.code}: {row.sentence}" if row.code else "accepted"


def _code(row: Verdict | None) -> str:
    return row.code if row is not None else ""


def standing(questions: Questions, limit: int) -> dict[str, Any]:
    """Tell where everything stands now."""
    counts = questions.count_by_state()
    newest = questions.cases(limit=limit)
    readers = questions.readers_of([case.id for case in newest])
    left_out = questions.left_out_of([case.id for case in newest])
    recalls = questions.recalls_among([case.id for case in newest])
    broken = questions.trail_broken()
    return {
        "cases": {state.value: counts[state] for state in State if state in counts},
        "last_image_at": moment(questions.last_image_at()),
        "owed": questions.owed_by_destination(),
        "unreachable": {
            road.destination: f"{road.last_error}; next try {due(road.due_at)}"
            for road in questions.roads_down()
        },
        "parked": {
            name: {"objects": count, "why": why}
            for name, (count, why) in questions.parked_by_destination().items()
        },
        "lost": {
            name: {"objects": count, "why": why}
            for name, (count, why) in questions.lost_by_destination().items()
        },
        "not_committed": {
            name: {"objects": count, "why": why}
            for name, (count, why) in questions.not_committed_by_destination().items()
        },
        "working": [
            {"case": case.id, "state": case.state, "held_by": case.holder}
            for case in questions.cases(sorted(HELD))
        ],
        "held": [
            {"case": case.id, "study_uid": case.study_uid, "reason": case.reason}
            for case in questions.held()
        ],
        "legs": legs_told(questions.engine),
        "trail_broken": f"{moment(broken.at)}: {broken.sentence}" if broken else "",
        "refused": [
            {"at": moment(event.at), "what": event.what, "why": event.sentence}
            for event in questions.last_refusals(REFUSALS)
        ],
        "newest": [
            {
                "case": case.id,
                "study_uid": case.study_uid,
                "round": case.round,
                "state": case.state,
                "since": moment(case.moved_at),
                "read_by": ", ".join(readers.get(case.id, [])),
                "left_out": ", ".join(left_out.get(case.id, [])),
                "reason": case.reason,
                "recalled": recalls[case.id].reason if case.id in recalls else "",
            }
            for case in newest
        ],
    }
