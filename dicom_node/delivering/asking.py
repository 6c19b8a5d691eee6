"""Asking whether a destination is there, in whichever way it is called."""

from dicom_node.delivering.sender import Peer, echo
from dicom_node.delivering.web import WebPeer, web_echo


def ask(peer: Peer | WebPeer) -> None:
    """Raise Busy with the reason where nobody answers."""
    if isinstance(peer, WebPeer):
        web_echo(peer)
    else:
        echo(peer)
