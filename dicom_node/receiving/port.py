"""Whether the port is free, and what is said where it is not."""

import socket
import threading

from dicom_node.errors import Busy
from dicom_node.settings.receiving import Receiving

PATIENCE_SECONDS = 10.0  # for an earlier run's listener, which ends a moment after its household


def try_port(receiving: Receiving) -> None:
    """Take the port and give it back, or say why it cannot be had."""
    family = socket.AF_INET6 if ":" in receiving.address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((receiving.address, receiving.port))
        except OSError as trouble:
            raise cannot_listen(receiving, trouble) from trouble


def wait_for_port(receiving: Receiving, stop: threading.Event) -> None:
    """Wait a little for the port; whoever has it for longer keeps it."""
    waited = 0.0
    while not stop.is_set():
        try:
            try_port(receiving)
        except Busy:
            if waited >= PATIENCE_SECONDS:
                raise
            waited += 0.5
            stop.wait(0.5)
        else:
            return


def cannot_listen(receiving: Receiving, trouble: OSError) -> Busy:
    """Say which port cannot be had, and why."""
    where = f"{receiving.address}:{receiving.port}"
    sentence = f"receiving.address and port: {where} cannot be listened on: {trouble.strerror}"
    return Busy(sentence)
