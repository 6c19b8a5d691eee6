"""A listener in this process, and what it wrote down."""

from pathlib import Path

from dicom_node.ledger.arrivals import known_image
from dicom_node.receiving.commitment import committers
from dicom_node.receiving.listener import Listener
from dicom_node.wiring import Node


def place_of(node: Node, sop_uid: str) -> Path:
    """Return where a node keeps the file of an image."""
    known = known_image(node.ledger, sop_uid)
    assert known is not None
    return node.spool.path(known[0])


class OpenListener:
    """A listener, and what it wrote down."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.port = node.settings.receiving.port
        self.listener = Listener(
            node.settings.receiving, node.ledger, node.spool, committers=committers(node.settings)
        )
        self.listener.start()

    def sentences(self, what: str) -> list[str]:
        """Return the sentences of one kind of event."""
        events = self.node.questions.last_events(1000)
        return [event.sentence for event in events if event.what == what]

    def kept(self, sop_uid: str) -> bytes:
        """Return the file that is kept of an image."""
        return self.place(sop_uid).read_bytes()

    def place(self, sop_uid: str) -> Path:
        """Return where the file of an image lies."""
        return place_of(self.node, sop_uid)

    def incoming(self) -> list[str]:
        """List what lies half received."""
        return [path.name for path in self.node.spool.incoming.iterdir()]
