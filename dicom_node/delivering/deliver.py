"""Which object still owes which destination a receipt.

One row per object and destination; one association per destination and turn. A destination that
cannot be reached is left alone for a while, by all cases, and holds up none of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from dicom_node.delivering.sender import Parcel, Peer, connected, send
from dicom_node.delivering.statuses import Meaning, meaning
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.ledger.ledger import Ledger, now
from dicom_node.ledger.outbox import (
    record_delay,
    record_receipt,
    record_refusal,
    record_road,
    record_waiver,
)
from dicom_node.ledger.questions import CAD_SR, NOTICE, Debt, Questions
from dicom_node.ledger.tellings import telling
from dicom_node.life import DELIVER, Receipt
from dicom_node.settings.delivering import Destination
from dicom_node.settings.file import Settings
from dicom_node.spool import Spool

KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"


@dataclass(frozen=True, slots=True)
class Office:
    """What deliveries need."""

    ledger: Ledger
    questions: Questions
    spool: Spool
    settings: Settings


def deliver(office: Office, case_id: int) -> None:
    """Take a case's turn: send what is owed and due."""
    case = office.questions.case(case_id)
    if case is not None and case.telling is not None:
        if not case.notice_written:
            raise NotYourTurn(f"the notice of case {case_id} is not written yet")
        _deliver_notice(office, case_id)
        return
    with office.ledger.turn(case_id, DELIVER) as turn:
        debts = office.questions.debts_of(case_id)
        _send(office, debts)
        _conclude(office, case_id)
        turn.remark = _remark(office, case_id)


def _remark(office: Office, case_id: int) -> str:
    """Say who has how much: what was waived, nobody has."""
    debts = office.questions.debts_of(case_id)
    there = [one.delivery for one in debts if one.delivery.receipt == Receipt.DELIVERED]
    if not debts:
        return "no destination of the settings wants these objects"
    names = ", ".join(sorted({row.destination for row in there}))
    return f"{len(there)} objects at {names}" if there else "nobody waits for these objects"


def _deliver_notice(office: Office, case_id: int) -> None:
    """Send what tells of a case without a result; a notice that is refused changes nothing."""
    with telling(office.ledger, case_id):
        _send(office, office.questions.debts_of(case_id))
        _wait(office, office.questions.debts_of(case_id))


def _send(office: Office, debts: Sequence[Debt]) -> None:
    """Send what is owed, one destination after the other."""
    owed = [debt for debt in debts if debt.delivery.receipt == Receipt.OWED]
    owed.sort(key=_place)
    for _, group in groupby(owed, key=_place):
        _pay(office, list(group))


def _place(debt: Debt) -> tuple[str, str]:
    """Say where an object goes; one destination may be several senders."""
    return debt.delivery.destination, debt.delivery.target


def _pay(office: Office, debts: Sequence[Debt]) -> None:
    """Send what one place is owed, unless its time has not come."""
    first = debts[0].delivery
    peer = peer_of(office.settings, first.destination, first.target)
    if peer is None:
        for debt in debts:
            sentence = "there is no such destination in the settings any more"
            record_waiver(office.ledger, debt.delivery.id, sentence)
        return
    debts = _waive_the_outdated(office, debts)
    at = now()
    road = office.questions.road(str(peer))
    if road is not None and road.failures and road.due_at > at:
        return
    due = [debt for debt in debts if debt.delivery.due_at <= at]
    if not due:
        return
    kinds = [(debt.product.sop_class_uid, debt.product.transfer_syntax_uid) for debt in due]
    try:
        with connected(peer, kinds) as association:
            record_road(office.ledger, str(peer), "", None)
            for debt in due:
                content = office.spool.read(debt.product.path, debt.product.sha256)
                kind, syntax = debt.product.sop_class_uid, debt.product.transfer_syntax_uid
                _note(office, debt, send(association, Parcel(kind, syntax, content)))
    except Busy as trouble:
        failures = road.failures if road is not None else 0
        record_road(office.ledger, str(peer), str(trouble), at + _patience(office, failures))
        for debt in due:
            if _is_too_old(office, debt):
                _give_up(office, debt, str(trouble))


def _patience(office: Office, failures: int) -> timedelta:
    """Wait longer after each failure in a row."""
    waits = office.settings.delivering.retry_seconds
    return timedelta(seconds=waits[min(failures, len(waits) - 1)])


def _note(office: Office, debt: Debt, status: int | None) -> None:
    """Write down one answer."""
    said = "no answer" if status is None else f"status {status:04X}"
    match meaning(status, is_rejection=debt.product.sop_class_uid == KEY_OBJECTS):
        case Meaning.ARRIVED:
            assert status is not None
            record_receipt(office.ledger, debt.delivery.id, status)
        case Meaning.NEVER:
            _refused(office, debt, status, f"will not take the {debt.product.kind} ({said})")
        case Meaning.LATER if _is_too_old(office, debt):
            _give_up(office, debt, said)
        case Meaning.LATER:
            due_at = now() + _patience(office, debt.delivery.attempts)
            record_delay(office.ledger, debt.delivery.id, status, said, due_at)


def _is_too_old(office: Office, debt: Debt) -> bool:
    age = now() - debt.delivery.owed_since
    return age > timedelta(hours=office.settings.delivering.give_up_hours)


def _give_up(office: Office, debt: Debt, said: str) -> None:
    hours = office.settings.delivering.give_up_hours
    _refused(office, debt, debt.delivery.status, f"given up after {hours:g} hours: {said}")


def _refused(office: Office, debt: Debt, status: int | None, sentence: str) -> None:
    """Write down that a destination does not get an object: at a workstation that is no failure."""
    if _is_workstation(office, debt):
        record_waiver(office.ledger, debt.delivery.id, sentence)
    else:
        record_refusal(office.ledger, debt.delivery.id, status, sentence)


def _is_workstation(office: Office, debt: Debt) -> bool:
    return any(
        one.role == "workstation"
        for one in office.settings.delivering.destinations
        if one.name == debt.delivery.destination
    )


def _waive_the_outdated(office: Office, debts: Sequence[Debt]) -> list[Debt]:
    """Keep from a workstation what a later round has replaced; an archive keeps every round.

    What takes a result back is replaced by nothing.
    """
    if not debts or not _is_workstation(office, debts[0]):
        return list(debts)
    kept = []
    for debt in debts:
        case = office.questions.case(debt.product.case_id)
        assert case is not None
        later = [
            one.round
            for one in office.questions.cases_of(case.study_uid)
            if one.round > case.round and _has_result(office, one.id)
        ]
        if later and debt.product.sop_class_uid != KEY_OBJECTS:
            record_waiver(office.ledger, debt.delivery.id, f"round {later[-1]} replaces it")
        else:
            kept.append(debt)
    return kept


def _has_result(office: Office, case_id: int) -> bool:
    """Say whether a case has a result that nobody took back."""
    if office.questions.recall_of(case_id) is not None:
        return False
    return any(product.kind == CAD_SR for product in office.questions.products_of(case_id))


def _conclude(office: Office, case_id: int) -> None:
    """End the turn well, later (Busy) or badly (Refused), by what is still owed."""
    debts = office.questions.debts_of(case_id)
    _wait(office, debts)
    refused = [
        debt.delivery
        for debt in debts
        if debt.delivery.receipt == Receipt.REFUSED and debt.product.kind != NOTICE
    ]
    if refused:
        raise Refused(
            "; ".join(sorted({f"{row.destination}: {row.last_error}" for row in refused}))
        )


def _wait(office: Office, debts: Sequence[Debt]) -> None:
    """Come back later (Busy) while something is owed."""
    owed = [debt.delivery for debt in debts if debt.delivery.receipt == Receipt.OWED]
    if owed:
        due_at = min(
            max(row.due_at, _road_due(office, row.destination, row.target)) for row in owed
        )
        names = ", ".join(sorted({row.destination for row in owed}))
        raise Busy(f"{len(owed)} objects still owed to {names}", due_at)


def _road_due(office: Office, destination: str, target: str) -> datetime:
    peer = peer_of(office.settings, destination, target)
    road = office.questions.road(str(peer))
    return road.due_at if road is not None and road.failures else now()


def peer_of(settings: Settings, name: str, target: str) -> Peer | None:
    """Find out whom to call for a destination; `target` is a sender's AE@host:port."""
    destination = next((one for one in settings.delivering.destinations if one.name == name), None)
    if destination is None:
        return None
    if destination.return_to_sender:
        if not target:  # it was an ordinary destination when the case was reported
            return None
        ae_title, _, place = target.rpartition("@")
        host, _, port = place.rpartition(":")
        return _peer(settings, destination, ae_title, host, int(port))
    assert destination.ae_title is not None
    assert destination.host is not None
    assert destination.port is not None
    return _peer(settings, destination, destination.ae_title, destination.host, destination.port)


def _peer(
    settings: Settings, destination: Destination, ae_title: str, host: str, port: int
) -> Peer:
    calling = destination.calling_ae_title or settings.receiving.ae_title
    return Peer(ae_title, host, port, calling, destination.timeout_seconds)
