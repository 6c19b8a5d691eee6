"""Whether those whom the settings name can reach the node's port at all.

Out of the box the node listens on this machine alone. A modality that is named and cannot connect
would otherwise be found out at the modality, with everything green here.
"""

import ipaddress
from collections.abc import Iterator

from dicom_node.errors import Misconfigured
from dicom_node.receiving.commitment import addresses_of
from dicom_node.settings.file import Settings
from dicom_node.settings.secrets import is_loopback
from dicom_node.wiring import Node

WARNING = "warning: "
_THIS_MACHINE = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))


def who_connects(node: Node) -> str:
    """Say from where one may connect; a fault where somebody is named who cannot."""
    settings = node.settings
    address = settings.receiving.address
    if not is_loopback(address):
        return f"the node listens on {address}"
    only = f"receiving.address is {address}, this machine alone"
    if shut_out := [*_senders_elsewhere(settings), *_answers_from_elsewhere(settings)]:
        sentence = (
            f"{only}: {'; '.join(shut_out)}; write the address that they call into "
            'receiving.address, or "0.0.0.0" for every network, and restart the node'
        )
        raise Misconfigured([sentence])
    anywhere = ["anybody"] if settings.receiving.any_caller else []
    anywhere += [one.ae_title for one in settings.receiving.callers if not one.addresses]
    if anywhere:
        who = ", ".join(anywhere)
        return f"{WARNING}{only}: {who} may send from anywhere, and can from here alone"
    return only


def _senders_elsewhere(settings: Settings) -> Iterator[str]:
    """Find callers with an address from which nobody gets to a port of this machine alone."""
    for caller in settings.receiving.callers:
        beyond = [one for one in caller.addresses if not _holds_this_machine(one)]
        if beyond:
            yield f"{caller.ae_title} cannot connect from {', '.join(beyond)}"


def _answers_from_elsewhere(settings: Settings) -> Iterator[str]:
    """Find destinations that are asked for commitment and answer on a connection of their own."""
    for one in settings.delivering.destinations:
        if one.commitment and one.host is not None and not _is_here(one.host):
            yield f"{one.name} cannot bring its answers about commitment from {one.host}"


def _holds_this_machine(network: str) -> bool:
    wanted = ipaddress.ip_network(network)
    return wanted.is_loopback or any(one in wanted for one in _THIS_MACHINE)


def _is_here(host: str) -> bool:
    return is_loopback(host) or any(map(is_loopback, addresses_of(host)))
