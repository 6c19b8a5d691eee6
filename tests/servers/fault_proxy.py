"""The spoiled wire of the package, on a port that nobody else listens on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from free_ports import free_port

from dicom_node.simulating import wire


@dataclass
class FaultProxy(wire.FaultProxy):
    """It knows its port before it starts, so that settings can name it."""

    port: int = field(default_factory=free_port)


@contextmanager
def fault_proxy(to_port: int) -> Iterator[FaultProxy]:
    """Run one for the length of the block."""
    proxy = FaultProxy(to_port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.heal()
        proxy.stop()
