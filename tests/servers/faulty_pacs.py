"""A PACS with switchable faults: it keeps what it gets, and misbehaves as it is told.

It is pynetdicom's SCP with handlers; what breaks below DICOM is the business of `fault_proxy`.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from free_ports import free_port
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

FAULTS = (
    "rejects",
    "statuses",
    "status",
    "loses_answers",
    "aborts",
    "closes_after_each",
    "stalls_seconds",
    "wrong_number",
    "wrong_uid",
    "mute_at_release",
    "floods",
)
ENOUGH_BYTES = 256 << 20


@dataclass
class FaultyPacs:
    """What it holds, when it was called, and what is wrong with it now."""

    ae_title: str = "FAULTY"
    port: int = field(default_factory=free_port)
    kept: dict[str, bytes] = field(default_factory=dict)  # data set by SOP Instance UID
    twice: list[str] = field(default_factory=list)  # what came again with other bytes
    called: list[float] = field(default_factory=list)  # when somebody connected, monotonic
    stored: list[tuple[float, str]] = field(default_factory=list)  # when what was acknowledged

    # --- what is wrong; all of it may change at any moment ---
    rejects: tuple[int, int, int] | None = None  # result, source, reason
    statuses: dict[int, int] = field(default_factory=dict)  # of the nth object, from 1
    status: Callable[[str], int] | None = None  # of an object by its UID
    loses_answers: bool = False  # keeps the object, and breaks the line instead of an answer
    aborts: bool = False  # in the middle of an object's transfer, keeping nothing
    closes_after_each: bool = False
    stalls_seconds: float = 0.0  # before each answer
    wrong_number: bool = False  # answers another request than the one that was sent
    wrong_uid: bool = False  # answers for another object
    takes_nothing: bool = False  # accepts associations, and no context; from its start on
    mute_at_release: bool = False
    floods: bytes = b""  # says this again and again instead of an answer
    flooded: int = 0  # so many bytes of it, until somebody cut it off or it had enough
    largest_pdu: int = 16382  # that it takes; from its start on

    # --- what it serves besides ---
    serves: dict[str, dict[str, bool]] = field(default_factory=dict)  # with roles
    answers: list[Any] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    _server: ThreadedAssociationServer | None = None
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def table(self) -> dict[str, object]:
        """Stand in the settings; whoever means not to answer tells a time that is soon over."""
        place = {"host": "127.0.0.1", "port": self.port, "timeout_seconds": 30.0}
        return {"name": self.ae_title.lower(), "ae_title": self.ae_title, **place}

    def heal(self) -> None:
        """Let nothing be wrong any more."""
        fresh = FaultyPacs(port=self.port)
        for name in FAULTS:
            setattr(self, name, getattr(fresh, name))

    def start(self) -> None:
        """Listen, with what it kept so far."""
        ae = AE(ae_title=self.ae_title)
        every = [build_context(Verification), *AllStoragePresentationContexts]
        ae.supported_contexts = [build_context("2.25.1")] if self.takes_nothing else every
        ae.maximum_associations = 100
        ae.maximum_pdu_size = self.largest_pdu
        for service, roles in self.serves.items():
            ae.add_supported_context(service, **roles)
        handlers = [
            (evt.EVT_CONN_OPEN, self._called),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_DIMSE_SENT, self._sent),
            (evt.EVT_PDU_RECV, self._received),
            (evt.EVT_PDU_SENT, self._said),
        ]
        handlers += self.answers
        server = ae.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=self.tls
        )
        assert isinstance(server, ThreadedAssociationServer)
        self._server = server

    def stop(self) -> None:
        """Be down: nobody listens on the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _called(self, _: Event) -> None:
        self.called.append(time.monotonic())

    def _requested(self, event: Event) -> None:
        if self.rejects is not None:
            event.assoc.acse.send_reject(*self.rejects)
            event.assoc.kill()

    def _received(self, event: Event) -> None:
        kind = type(event.pdu).__name__
        while self.mute_at_release and kind == "A_RELEASE_RQ":
            time.sleep(0.02)
        if self.aborts and kind == "P_DATA_TF":
            _cut(event)

    def _store(self, event: Event) -> int:
        request = event.request
        uid = str(request.AffectedSOPInstanceUID)
        with self._lock:
            self._count += 1
            status = self.statuses.get(self._count, 0x0000)
        if self.status is not None:
            status = self.status(uid)
        if self.stalls_seconds:
            _wait(self, self.stalls_seconds)
        if status == 0x0000 or status & 0xF000 == 0xB000:
            content = request.DataSet.getvalue()
            if self.kept.setdefault(uid, content) != content:
                self.twice.append(uid)
        if self.floods:
            self._flood(event)
        if self.loses_answers:
            _cut(event)
        else:
            self.stored.append((time.monotonic(), uid))
        return status

    def _flood(self, event: Event) -> None:
        wire = event.assoc.dul.socket.socket
        with suppress(OSError):
            while self.floods and self.flooded < ENOUGH_BYTES:
                wire.sendall(self.floods)
                self.flooded += len(self.floods)

    def _sent(self, event: Event) -> None:
        """Spoil what is about to go out: pynetdicom tells of a message before it sends it."""
        command = event.message.command_set
        if self.wrong_number:
            command.MessageIDBeingRespondedTo = (command.MessageIDBeingRespondedTo + 7) % 60000
        if self.wrong_uid and "AffectedSOPInstanceUID" in command:
            command.AffectedSOPInstanceUID = "2.25.1"

    def _said(self, event: Event) -> None:
        if self.closes_after_each and type(event.pdu).__name__ == "P_DATA_TF":
            _cut(event)


def _wait(pacs: FaultyPacs, seconds: float) -> None:
    until = time.monotonic() + seconds
    while pacs.stalls_seconds and time.monotonic() < until:
        time.sleep(0.02)


def _cut(event: Event) -> None:
    """Close the connection without a word."""
    cable = event.assoc.dul.socket
    wire = cable.socket if cable is not None else None
    if wire is not None:
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_pacs(ae_title: str = "FAULTY", **how: object) -> Iterator[FaultyPacs]:
    """Run one for the length of the block."""
    pacs = FaultyPacs(ae_title, **how)  # type: ignore[arg-type]
    pacs.start()
    try:
        yield pacs
    finally:
        pacs.heal()
        pacs.stop()
