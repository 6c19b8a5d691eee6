"""Which object still owes which destination a receipt.

One row per object and destination. A destination that cannot be reached is left alone for a while,
by all cases, and holds up none of the others; one that is slow lets the others go first.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import groupby

from dicom_node.delivering.commitment import ask_what_is_due
from dicom_node.delivering.office import Office
from dicom_node.delivering.paying import pay
from dicom_node.delivering.places import places_at, road_of
from dicom_node.errors import Busy, Lost, NotYourTurn, Refused
from dicom_node.ledger.ledger import now
from dicom_node.ledger.questions import NOTICES, Debt
from dicom_node.ledger.roads import Place, waiting_elsewhere
from dicom_node.ledger.tellings import telling
from dicom_node.life import DELIVER, PARKED, Receipt

CALLED_JUST_NOW = timedelta(seconds=2)
SLOW_SECONDS = 2.0  # who takes longer lets those go first who wait for somebody else


def deliver(office: Office, case_id: int) -> None:
    """Take a case's turn: send what is owed and due; then ask for what should be committed by now.

    Those that waited behind a slow peer go before the next ring.
    """
    slow = set[str]()
    try:
        _deliver(office, case_id, slow)
    finally:
        ask_what_is_due(office)
        if slow:
            _let_others_go(office, slow)


def _let_others_go(office: Office, slow: set[str]) -> None:
    """Deliver what waits for others than the slow ones; what those are owed waits for its turn."""
    places = [
        place for road in slow for place in places_at(office.questions, office.settings, road)
    ]
    for case_id in waiting_elsewhere(office.questions, places):
        others = set[str]()
        with suppress(Busy, NotYourTurn, Refused):  # written down where they were raised
            _deliver(office, case_id, others, leave_out=slow)
        if others:  # they were slow, too: the next ring goes on
            return


def _deliver(
    office: Office, case_id: int, slow: set[str], leave_out: set[str] | None = None
) -> None:
    case = office.questions.case(case_id)
    if case is not None and case.telling is not None:
        if not case.notice_written:
            raise NotYourTurn(f"the notice of case {case_id} is not written yet")
        with telling(office.ledger, case_id):
            _send(office, case_id, slow, leave_out or set())
            _wait(office, office.questions.debts_of(case_id))
        return
    with office.ledger.turn(case_id, DELIVER) as turn:
        _send(office, case_id, slow, leave_out or set())
        _conclude(office, case_id)
        turn.remark = _remark(office, case_id)


def _remark(office: Office, case_id: int) -> str:
    """Say who has how much: what was waived, nobody has."""
    debts = office.questions.debts_of(case_id)
    there = [one.delivery for one in debts if one.delivery.receipt == Receipt.DELIVERED]
    if not debts:
        return "no destination of the settings wants these objects"
    names = ", ".join(sorted({row.destination for row in there}))
    return f"{objects(len(there))} at {names}" if there else "nobody waits for these objects"


def _send(office: Office, case_id: int, slow: set[str], leave_out: set[str]) -> None:
    """Send what is owed, one place after the other; those that answer go before those in doubt."""
    debts = office.questions.debts_of(case_id)
    owed = [debt for debt in debts if debt.delivery.receipt == Receipt.OWED]
    owed.sort(key=_place)
    groups = [(place, list(group)) for place, group in groupby(owed, key=_place)]
    for place, group in sorted(groups, key=lambda one: _doubt(office, one[0])):
        road = road_of(office.settings, *place) or ""
        if road in leave_out:
            continue
        started = time.monotonic()
        pay(office, group)
        office.pace[road] = time.monotonic() - started
        if office.pace[road] > SLOW_SECONDS:
            slow.add(road)


def _place(debt: Debt) -> Place:
    """Say where an object goes; one destination may be several senders."""
    return debt.delivery.destination, debt.delivery.target


def _doubt(office: Office, place: Place) -> tuple[int, float]:
    """Say how surely and how soon a place is served: by its failures, and its time of late."""
    name = road_of(office.settings, *place) or ""
    road = office.questions.road(name)
    return road.failures if road is not None else 0, office.pace.get(name, 0.0)


def _conclude(office: Office, case_id: int) -> None:
    """End the turn well, later (Busy) or badly (Refused, Lost), by what is still owed."""
    debts = office.questions.debts_of(case_id)
    _wait(office, debts)
    parked = [
        debt.delivery
        for debt in debts
        if debt.delivery.receipt in PARKED and debt.product.kind not in NOTICES
    ]
    if parked:
        is_lost = all(row.receipt == Receipt.LOST for row in parked)
        said = "; ".join(sorted({f"{row.destination}: {row.last_error}" for row in parked}))
        raise Lost(said) if is_lost else Refused(said)


def _wait(office: Office, debts: Sequence[Debt]) -> None:
    """Come back later (Busy) while something is owed."""
    owed = [debt.delivery for debt in debts if debt.delivery.receipt == Receipt.OWED]
    if owed:
        due_at = min(
            max(row.due_at, _road_due(office, row.destination, row.target)) for row in owed
        )
        names = ", ".join(sorted({row.destination for row in owed}))
        raise Busy(f"{objects(len(owed))} still owed to {names}", due_at)


def _road_due(office: Office, destination: str, target: str) -> datetime:
    """Say when to look again: rarely, where the road is closed; who opens it wakes everybody."""
    road = office.questions.road(road_of(office.settings, destination, target) or "")
    if road is None or road.due_at <= now():
        return now()
    if not road.failures:  # somebody else calls just now
        return min(road.due_at, now() + CALLED_JUST_NOW)
    return max(road.due_at, now() + office.patience(road.failures - 1))


def objects(count: int) -> str:
    """Count objects in words."""
    return "1 object" if count == 1 else f"{count} objects"
