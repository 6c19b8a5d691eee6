"""Destinations and nodes that owe them something, for one test each."""

from collections.abc import Callable, Iterator

import pytest
from destinations import Destination, Posted

from dicom_node.settings.file import Settings
from dicom_node.wiring import Node


@pytest.fixture
def destination() -> Iterator[Callable[..., Destination]]:
    """Start destinations, and stop them at the end."""
    started: list[Destination] = []

    def start(ae_title: str = "PACS", *, running: bool = True, **how: object) -> Destination:
        started.append(Destination(ae_title, **how))  # type: ignore[arg-type]
        if running:
            started[-1].start()
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def posted(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> Callable[..., Posted]:
    """Make a node with destinations; waiting times are told by keyword."""

    def make(*tables: dict[str, object], **patience: object) -> Posted:
        patience = {"retry_seconds": [0.2, 0.4], "probe_seconds": 0.3, **patience}
        return Posted(opened(settled(delivering={"destinations": tables, **patience})))

    return make
