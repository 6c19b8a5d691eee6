"""Listeners on ports of their own, in this process."""

from collections.abc import Callable, Iterator

import pytest
from free_ports import free_port
from open_listener import OpenListener
from pynetdicom import _config, dimse_messages

from dicom_node.settings.file import Settings
from dicom_node.wiring import Node


@pytest.fixture
def listening(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., OpenListener]]:
    """Start listeners; pynetdicom's settings, which they change, are as before at the end."""
    for name in ("STORE_RECV_CHUNKED_DATASET", "ENFORCE_UID_CONFORMANCE"):
        monkeypatch.setattr(_config, name, getattr(_config, name))
    former = dimse_messages.NamedTemporaryFile  # type: ignore[attr-defined]
    monkeypatch.setattr(dimse_messages, "NamedTemporaryFile", former)
    started: list[OpenListener] = []

    def start(**receiving: object) -> OpenListener:
        given = {
            "port": free_port(),
            "any_caller": True,
            "reserve_megabytes": 10,
            "idle_seconds": 5.0,
            **receiving,
        }
        started.append(OpenListener(opened(settled(receiving=given))))
        return started[-1]

    yield start
    for one in started:
        one.listener.stop()


@pytest.fixture
def listener(listening: Callable[..., OpenListener]) -> OpenListener:
    """Start a listener that lets anybody in."""
    return listening()
