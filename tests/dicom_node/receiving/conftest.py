"""Listeners on ports of their own, in this process."""

from collections.abc import Callable, Iterator

import pytest
from free_ports import free_port
from pynetdicom import _config, dimse_messages

from dicom_node.receiving.listener import Listener
from dicom_node.settings import Settings
from dicom_node.wiring import Node


class Open:
    """A listener, and what it wrote down."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.port = node.settings.receiving.port
        self.listener = Listener(node.settings.receiving, node.ledger, node.spool)
        self.listener.start()

    def sentences(self, what: str) -> list[str]:
        """Return the sentences of one kind of event."""
        events = self.node.questions.last_events(1000)
        return [event.sentence for event in events if event.what == what]

    def kept(self, sop_uid: str) -> bytes:
        """Return the file that is kept of an image."""
        return self.node.spool.path(self.node.spool.image_name(sop_uid)).read_bytes()

    def incoming(self) -> list[str]:
        """List what lies half received."""
        return [path.name for path in self.node.spool.incoming.iterdir()]


@pytest.fixture
def listening(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Open]]:
    """Start listeners; pynetdicom's settings, which they change, are as before at the end."""
    for name in ("STORE_RECV_CHUNKED_DATASET", "ENFORCE_UID_CONFORMANCE"):
        monkeypatch.setattr(_config, name, getattr(_config, name))
    former = dimse_messages.NamedTemporaryFile  # type: ignore[attr-defined]
    monkeypatch.setattr(dimse_messages, "NamedTemporaryFile", former)
    started: list[Open] = []

    def start(**receiving: object) -> Open:
        given = {
            "port": free_port(),
            "any_caller": True,
            "reserve_megabytes": 10,
            "idle_seconds": 5.0,
            **receiving,
        }
        started.append(Open(opened(settled(receiving=given))))
        return started[-1]

    yield start
    for one in started:
        one.listener.stop()


@pytest.fixture
def listener(listening: Callable[..., Open]) -> Open:
    """Start a listener that lets anybody in."""
    return listening()
