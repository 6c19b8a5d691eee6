"""Answers to requests for storage commitment, which destinations bring to the listener.

A destination that is asked to keep what it took answers when it can, mostly on an association of
its own. It need be no sender: for this one service it is let in by its table.
"""

import ipaddress
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext, build_context
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.ledger.commitments import record_answer
from dicom_node.ledger.ledger import Ledger
from dicom_node.logs import log
from dicom_node.settings.file import Settings

PUSH_MODEL = "1.2.840.10008.1.20.1"
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
SUCCESS, PROCESSING_FAILURE, NOT_AUTHORIZED = 0x0000, 0x0110, 0x0124

logger = log("receiving")


def commitment_context() -> PresentationContext:
    """Let a peer be the provider of the service although it opened the association."""
    context = build_context(PUSH_MODEL, SYNTAXES)
    context.scu_role, context.scp_role = False, True
    return context


@dataclass(frozen=True, slots=True)
class Committers:
    """Who may answer: calling and called AE titles, with destinations and their hosts."""

    known: Mapping[tuple[str, str], frozenset[tuple[str, str]]] = field(default_factory=dict)

    def admit(self, caller: str, called: str, address: str) -> bool:
        """Say whether a caller is a destination that is asked for storage commitment."""
        return bool(self.named(caller, called, address))

    def named(self, caller: str, called: str, address: str) -> frozenset[str]:
        """Name the destinations that a caller is: it may answer what these were asked."""
        places = self.known.get((caller, called), frozenset())
        return frozenset(name for name, host in places if _plain(address) in addresses_of(host))


def committers(settings: Settings) -> Committers:
    """Find out who is asked; one that answers from another AE title has it in its table."""
    known: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}
    for one in settings.delivering.destinations:
        if not one.commitment or one.host is None:
            continue
        callers = {one.ae_title, one.commitment_ae_title, *one.commitment_callers} - {None}
        called = one.calling_ae_title or settings.receiving.ae_title
        for caller in callers:
            key = (str(caller), called)
            known[key] = known.get(key, frozenset()) | {(one.name, one.host)}
    return Committers(known)


def addresses_of(host: str) -> set[str]:
    """Ask which addresses a host has now; none where nobody knows it."""
    try:
        return {_plain(str(found[4][0])) for found in socket.getaddrinfo(host, None)}
    except OSError:  # no address is known for it now, and nobody comes from there
        return set()


def _plain(address: str) -> str:
    """Write an address one way: a listener on :: sees those of IPv4 as ::ffff:10.1.2.3."""
    found = ipaddress.ip_address(address)
    return str(getattr(found, "ipv4_mapped", None) or found)


def answerer(
    ledger: Ledger, known: Committers
) -> tuple[evt.EventType, Callable[[Event], tuple[int, None]]]:
    """Bind what takes answers to the event that brings them."""
    return evt.EVT_N_EVENT_REPORT, lambda event: (_take(ledger, known, event), None)


def _take(ledger: Ledger, known: Committers, event: Event) -> int:
    """Write down what a destination committed, and say whether that could be done."""
    asked = event.assoc.requestor.primitive
    assert asked is not None
    caller, called = asked.calling_ae_title.strip(), asked.called_ae_title.strip()
    destinations = known.named(caller, called, event.assoc.requestor.address)
    if not destinations:
        logger.warning("commitment refused", caller=caller, why="nobody asks it for commitment")
        return NOT_AUTHORIZED
    try:
        was_asked = record_answer(ledger, event.event_information, destinations)
    except SQLAlchemyError as trouble:  # it brings the answer again, or is asked again
        logger.warning("commitment not kept", caller=caller, why=type(trouble).__name__)
        return PROCESSING_FAILURE
    if not was_asked:
        logger.warning("commitment unknown", caller=caller, why="nobody asked under this number")
    return SUCCESS if was_asked else PROCESSING_FAILURE
