"""Who may send."""

from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification

from dicom_node.settings.receiving import Receiving

DICOM_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
LEAST_PDU_BYTES = 64
APPLICATION_UNKNOWN, CALLER_UNKNOWN, CALLED_UNKNOWN = 2, 3, 7


def refusal(receiving: Receiving, caller: str, called: str, address: str) -> tuple[int, str] | None:
    """Return the A-ASSOCIATE-RJ reason (PS3.8 table 9-21) and a sentence, or None to let in."""
    if called != receiving.ae_title:
        return (
            CALLED_UNKNOWN,
            f"{caller} at {address} called {called}; this node is {receiving.ae_title}",
        )
    if receiving.any_caller:
        return None
    if not any(entry.ae_title == caller for entry in receiving.callers):
        return CALLER_UNKNOWN, f"{caller} at {address} is in no [[receiving.callers]] table"
    if receiving.caller_at(caller, address) is not None:
        return None
    return CALLER_UNKNOWN, f"{caller} may not come from {address}: it is not among its addresses"


def misfit(request: A_ASSOCIATE) -> str | None:
    """Say what makes a request for an association one that cannot be answered (PS3.8 9.3.2)."""
    numbers = [one.context_id for one in request.presentation_context_definition_list]
    if not numbers:
        return "a request without presentation contexts"
    if len(set(numbers)) < len(numbers) or any(not (one or 0) % 2 for one in numbers):
        return "a request whose presentation contexts are numbered wrongly"
    for item in request.user_information:
        if isinstance(item, MaximumLengthNotification):
            most = item.maximum_length_received
            return f"it takes PDUs of {most} bytes at most" if 0 < most < LEAST_PDU_BYTES else None
    return "a request that does not say how long a PDU may be"
