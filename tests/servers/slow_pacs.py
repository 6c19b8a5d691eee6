"""A PACS whose answers a test decides: slow, refusing, out of resources, or fine."""

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from free_ports import free_port
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event


@dataclass
class SlowPacs:
    """What it was sent, in order, and how it answers."""

    port: int
    ae_title: str = "SLOWPACS"
    seconds: float = 0.0
    status: int = 0x0000
    received: list[str] = field(default_factory=list)
    contents: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # digests
    lock: threading.Lock = field(default_factory=threading.Lock)

    def store(self, event: Event) -> int:
        """Note an object down after a while, and answer."""
        time.sleep(self.seconds)
        asked = event.request
        assert asked is not None
        sop_uid, content = str(asked.AffectedSOPInstanceUID), asked.DataSet.getvalue()  # type: ignore[union-attr]
        with self.lock:
            self.contents[sop_uid].add(hashlib.sha256(content).hexdigest())
        if self.status == 0x0000:
            with self.lock:
                self.received.append(sop_uid)
        return self.status


@contextmanager
def slow_pacs(**how: object) -> Iterator[SlowPacs]:
    """Run one for the length of the block."""
    pacs = SlowPacs(free_port(), **how)  # type: ignore[arg-type]
    ae = AE(ae_title=pacs.ae_title)
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(
        ("127.0.0.1", pacs.port), block=False, evt_handlers=[(evt.EVT_C_STORE, pacs.store)]
    )
    assert server is not None
    try:
        yield pacs
    finally:
        server.shutdown()
