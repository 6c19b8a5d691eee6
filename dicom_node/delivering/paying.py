"""What one place is owed, over a road that may be closed.

A peer that answers nothing closes the road, and so does one that has room for nothing; a peer that
breaks off in the middle is called again at once while it takes something each time. Whatever
happens, an association ends when others have waited long enough.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from dicom_node.delivering.office import (
    Office,
    content_of,
    give_up,
    is_too_old,
    note,
    waive_the_outdated,
)
from dicom_node.delivering.places import peer_of, places_at
from dicom_node.delivering.sender import Line, Parcel, Peer, connected
from dicom_node.delivering.statuses import Meaning
from dicom_node.delivering.web import WebLine, WebPeer, web_line
from dicom_node.errors import Busy
from dicom_node.ledger.ledger import now
from dicom_node.ledger.outbox import record_waiver
from dicom_node.ledger.questions import Debt
from dicom_node.ledger.roads import (
    claim_road,
    close_road,
    leave_road,
    open_road,
    waiting_elsewhere,
)

FAIR_SECONDS = 15.0  # what a peer may take of the deliverer's time while others wait


def pay(office: Office, debts: Sequence[Debt]) -> None:
    """Send what one place is owed, unless its time has not come."""
    first = debts[0].delivery
    peer = peer_of(office.settings, first.destination, first.target)
    if peer is None:
        for debt in debts:
            sentence = "there is no such destination in the settings any more"
            record_waiver(office.ledger, debt.delivery.id, sentence)
        return
    debts = waive_the_outdated(office, debts)
    road = office.questions.road(str(peer))
    is_closed = road is not None and road.failures > 0
    # While a road is closed its own time decides, not that of the single objects.
    due = [debt for debt in debts if is_closed or debt.delivery.due_at <= now()]
    if due and claim_road(office.ledger, str(peer), office.probe):
        _visit(_Visit(office, peer, due))
    elif road is not None and is_closed:
        for debt in due:
            if is_too_old(office, debt):
                give_up(office, debt, road.last_error)


@dataclass
class _Visit:
    """One place's turn with the deliverer: what waits, and what its peer said so far."""

    office: Office
    peer: Peer | WebPeer
    waiting: list[Debt]  # those that were tried least go first: one that fails holds up no other
    until: float = field(default_factory=lambda: time.monotonic() + FAIR_SECONDS)
    answered: int = 0
    no_room: int = 0

    def has_time(self) -> bool:
        """Say whether nobody else waits, or none for long."""
        if time.monotonic() < self.until:
            return True
        elsewhere = places_at(self.office.questions, self.office.settings, str(self.peer))
        return not waiting_elsewhere(self.office.questions, elsewhere)

    def note(self, debt: Debt, status: int | None) -> None:
        """Write down an answer; the first one that is of use opens the road."""
        meant = note(self.office, debt, status)
        if status is None:
            return
        if meant is Meaning.LATER:
            self.no_room += 1
        elif self.answered == self.no_room:
            _open(self.office, self.peer)
        self.answered += 1

    def see_room(self) -> None:
        """Raise Busy where the peer answers, and has room for nothing."""
        if self.no_room and self.no_room == self.answered:
            raise Busy(f"{self.peer} has no room")


def _visit(visit: _Visit) -> None:
    """Call a peer again and again while it takes something each time, and there is time."""
    office, peer = visit.office, visit.peer
    every = tuple(visit.waiting)
    visit.waiting.sort(key=lambda debt: (debt.delivery.attempts, debt.delivery.id))
    try:
        while visit.waiting and visit.has_time():
            _call(visit)
        visit.see_room()
    except Busy as trouble:
        due_at = max(now() + office.probe, trouble.due_at or now())
        close_road(office.ledger, str(peer), str(trouble), due_at)
        owed = office.questions.owed_of(every[0].delivery.case_id)
        for debt in every:
            if debt.delivery.id in owed and is_too_old(office, debt):
                give_up(office, debt, str(trouble))
    finally:
        if not visit.answered:
            leave_road(office.ledger, str(peer))


def _call(visit: _Visit) -> None:
    """Send over one association until it breaks."""
    kinds = [
        (debt.product.sop_class_uid, debt.product.transfer_syntax_uid) for debt in visit.waiting
    ]
    before = visit.answered
    with _line(visit.peer, kinds) as line:
        while visit.waiting and (visit.answered == before or visit.has_time()):
            debt = visit.waiting.pop(0)
            content = content_of(visit.office, debt)
            if content is None:
                continue
            status = _send(line, debt, content)
            if status is None and visit.answered > before:
                visit.waiting.append(debt)  # it may be a peer that takes one object a time
                return
            visit.note(debt, status)
            if status is None and not visit.answered:
                raise Busy(f"{visit.peer} does not answer")
            if status is None:
                return


def _line(
    peer: Peer | WebPeer, kinds: Sequence[tuple[str, str]]
) -> AbstractContextManager[Line | WebLine]:
    return web_line(peer) if isinstance(peer, WebPeer) else connected(peer, kinds)


def _send(line: Line | WebLine, debt: Debt, content: bytes) -> int | None:
    kind, syntax = debt.product.sop_class_uid, debt.product.transfer_syntax_uid
    return line.send(Parcel(kind, syntax, content, debt.product.sop_uid))


def _open(office: Office, peer: Peer | WebPeer) -> None:
    places = places_at(office.questions, office.settings, str(peer))
    open_road(office.ledger, str(peer), places)
