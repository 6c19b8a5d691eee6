"""Who may send."""

import ipaddress

from dicom_node.settings.receiving import Receiving


def refusal(receiving: Receiving, caller: str, called: str, address: str) -> tuple[int, str] | None:
    """Return the A-ASSOCIATE-RJ reason (PS3.8 table 9-21) and a sentence, or None to let in."""
    if called != receiving.ae_title:
        return 7, f"{caller} at {address} called {called}; this node is {receiving.ae_title}"
    if receiving.any_caller:
        return None
    known = [entry for entry in receiving.callers if entry.ae_title == caller]
    if not known:
        return 3, f"{caller} at {address} is in no [[receiving.callers]] table"
    if any(not entry.addresses or _is_one_of(address, entry.addresses) for entry in known):
        return None
    return 3, f"{caller} may not come from {address}: it is not among its addresses"


def _is_one_of(address: str, allowed: tuple[str, ...]) -> bool:
    """Compare addresses by meaning; an entry may be a network such as 10.1.0.0/16."""
    came_from = ipaddress.ip_address(address)
    mapped = getattr(came_from, "ipv4_mapped", None)
    return any((mapped or came_from) in ipaddress.ip_network(entry) for entry in allowed)
