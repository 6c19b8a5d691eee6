"""Listeners on ports of their own, in this process."""

from collections.abc import Callable, Iterator

import pytest
from free_ports import free_port
from open_listener import OpenListener
from pynetdicom import _config

from dicom_node.settings.file import Settings
from dicom_node.wiring import Node


@pytest.fixture
def listening(
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., OpenListener]]:
    """Start listeners; what they change of pynetdicom is as before at the end."""
    monkeypatch.setattr(_config, "LOG_HANDLER_LEVEL", _config.LOG_HANDLER_LEVEL)
    started: list[OpenListener] = []

    def start(**receiving: object) -> OpenListener:
        given = {
            "port": free_port(),
            "any_caller": True,
            "reserve_megabytes": 10,
            "idle_seconds": 30.0,
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
