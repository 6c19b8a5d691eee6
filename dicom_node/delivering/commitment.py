"""Asking a destination to keep what it took: storage commitment, as the user of the service.

The answer may come on the association of the question, which is held open for a moment, or later
on one that the destination opens to the node's listener.
"""

import threading

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.events import Event
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.delivering.office import Office
from dicom_node.delivering.places import places_at, who_commits
from dicom_node.delivering.sender import FAREWELL_SECONDS, Line, Peer, connected
from dicom_node.errors import Busy
from dicom_node.ledger.commitments import (
    Request,
    ask_no_more,
    not_asked,
    places_due,
    record_answer,
    request,
)
from dicom_node.ledger.ledger import now
from dicom_node.ledger.roads import Place, claim_road, close_road, open_road

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
COMMITMENT = (PUSH_MODEL, "1.2.840.10008.1.2")
REQUEST_COMMITMENT = 1  # the action (PS3.4, table J.3-1)
SUCCESS, PROCESSING_FAILURE = 0x0000, 0x0110
ANSWER_SECONDS = 1.0  # on the association of the question


def ask_what_is_due(office: Office) -> None:
    """Ask every destination for what it should have committed by now."""
    for place, _ in places_due(office.questions):
        peer = who_commits(office.settings, place)
        if peer is None:
            ask_no_more(office.ledger, place)
        elif claim_road(office.ledger, str(peer), office.probe):
            _ask(office, place, peer)


def see_commitment(peer: Peer) -> None:
    """See that a peer takes storage commitment, and raise Busy where it does not."""
    with connected(peer, [COMMITMENT]) as line:
        if not _is_offered(line):
            raise Busy(f"{peer} does not take storage commitment")


def _is_offered(line: Line) -> bool:
    accepted = line.association.accepted_contexts if line.association is not None else []
    return PUSH_MODEL in {one.abstract_syntax for one in accepted}


def _ask(office: Office, place: Place, peer: Peer) -> None:
    told = office.settings.delivering
    asked = request(office.ledger, place, told.commitment_seconds, told.commitment_hours)
    if asked is None:
        return
    answered = threading.Event()

    def answer(event: Event) -> tuple[int, None]:
        try:
            known = record_answer(office.ledger, event.event_information, {place[0]})
        except SQLAlchemyError:  # it is asked again
            return PROCESSING_FAILURE, None
        answered.set()
        return SUCCESS if known else PROCESSING_FAILURE, None

    try:
        with connected(peer, [COMMITMENT], (evt.EVT_N_EVENT_REPORT, answer)) as line:
            objection = _put(line, asked)
            if objection is None:
                places = places_at(office.questions, office.settings, str(peer))
                open_road(office.ledger, str(peer), places)
                answered.wait(ANSWER_SECONDS)
    except Busy as trouble:
        due_at = now() + office.probe
        close_road(office.ledger, str(peer), str(trouble), due_at)
        not_asked(office.ledger, asked, str(trouble), due_at)
    else:
        if objection is not None:  # no fault of the road: objects may go there all the same
            not_asked(office.ledger, asked, objection)


def _put(line: Line, asked: Request) -> str | None:
    """Make the request, and say why where it was not taken."""
    peer, association = line.peer, line.association
    if association is None or not _is_offered(line):
        return f"{peer} does not take storage commitment"
    try:
        with line.caller.within(peer.timeout_seconds + FAREWELL_SECONDS):
            answer, _ = association.send_n_action(
                _information(asked), REQUEST_COMMITMENT, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
    except RuntimeError:  # the peer has gone since it was asked for just now
        answer = Dataset()
    if "Status" not in answer:
        return f"{peer} does not answer a request for storage commitment"
    if answer.Status != SUCCESS:
        return f"{peer} takes no request for storage commitment (status {answer.Status:04X})"
    return None


def _information(asked: Request) -> Dataset:
    told = Dataset()
    told.TransactionUID = asked.transaction_uid
    told.ReferencedSOPSequence = []
    for sop_class, sop_uid in asked.objects:
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = sop_class, sop_uid
        told.ReferencedSOPSequence.append(one)
    return told
