"""The simulated PACS of the package, on a port that nobody else listens on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from free_ports import free_port

from dicom_node.simulating import pacs


@dataclass
class FaultyPacs(pacs.FaultyPacs):
    """It knows its port before it starts, so that settings can name it."""

    port: int = field(default_factory=free_port)


@contextmanager
def faulty_pacs(ae_title: str = "FAULTY", **how: object) -> Iterator[FaultyPacs]:
    """Run one for the length of the block."""
    one = FaultyPacs(ae_title, **how)  # type: ignore[arg-type]
    one.start()
    try:
        yield one
    finally:
        one.heal()
        one.stop()
