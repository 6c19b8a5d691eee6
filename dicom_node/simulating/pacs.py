"""A PACS with switchable faults: it keeps what it gets, and misbehaves as it is told.

It is pynetdicom's SCP with handlers; what breaks below DICOM is the business of `wire`. It is for
trying a node, and never the archive of anything.
"""

import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
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
WARNING = 0xB000  # and what follows it: the object was taken all the same
_UID = re.compile(r"[0-9.]{1,64}")


@dataclass
class FaultyPacs:
    """What it holds, when it was called, and what is wrong with it now."""

    ae_title: str = "FAULTY"
    port: int = 0
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

    faulty_times: int | None = None  # after so many nothing is wrong any more; None: never

    # --- where it stands, and what becomes of what comes ---
    address: str = "127.0.0.1"
    digests_only: bool = False  # of images there may be more than there is memory
    into: Path | None = None  # the folder where files are written
    tells: Callable[[str], None] = lambda _: None  # what happened, without a word of the patient's

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
        fresh = FaultyPacs()
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
            ae.add_supported_context(service, None, roles.get("scu_role"), roles.get("scp_role"))
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._called),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_DIMSE_SENT, self._sent),
            (evt.EVT_PDU_RECV, self._received),
            (evt.EVT_PDU_SENT, self._said),
        ]
        handlers += self.answers
        server = ae.start_server(
            (self.address, self.port), block=False, evt_handlers=handlers, ssl_context=self.tls
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
            self._one_more()
        if self.rejects is not None:
            self.tells("an association: rejected")
            event.assoc.acse.send_reject(*self.rejects)
            event.assoc.kill()

    def _received(self, event: Event) -> None:
        kind = type(event.pdu).__name__
        while self.mute_at_release and kind == "A_RELEASE_RQ":
            time.sleep(0.02)
        if self.aborts and kind == "P_DATA_TF":
            self._one_more()
        if self.aborts and kind == "P_DATA_TF":
            self.tells("an object: cut off on its way")
            _cut(event)

    def _store(self, event: Event) -> int:
        request: Any = event.request
        uid = str(request.AffectedSOPInstanceUID)
        status = self.statuses.get(self._one_more(), 0x0000)
        if self.status is not None:
            status = self.status(uid)
        if self.stalls_seconds:
            _wait(self, self.stalls_seconds)
        if status == 0x0000 or status & 0xF000 == WARNING:
            self._keep(event, uid)
        if self.floods:
            self._flood(event)
        if self.loses_answers:
            self.tells(f"{_shown(uid)}: kept, and not answered")
            _cut(event)
        else:
            self.stored.append((time.monotonic(), uid))
            self.tells(f"{_shown(uid)}: {status:04X}")
        return status

    def _keep(self, event: Event, uid: str) -> None:
        request: Any = event.request  # C-STORE, which pynetdicom's types do not know here
        content = request.DataSet.getvalue()
        if self.digests_only:
            content = hashlib.sha256(content).digest()
        if uid in self.kept:
            same = self.kept[uid] == content
            self.tells(f"{_shown(uid)}: came again, {'the same' if same else 'with other bytes'}")
            self.twice += [] if same else [uid]
            return
        self.kept[uid] = content
        if self.into is not None and _UID.fullmatch(uid):  # what is no UID may be a way out of it
            (self.into / f"{uid}.dcm").write_bytes(event.encoded_dataset())

    def _one_more(self) -> int:
        """Count what meets the faults, and let nothing be wrong once it was enough."""
        with self._lock:
            enough = self.faulty_times is not None and self._count >= self.faulty_times
            self._count += 1
            count = self._count
        if enough:
            self.faulty_times = None
            self.heal()
            self.tells("nothing is wrong any more")
        return count

    def _flood(self, event: Event) -> None:
        cable: Any = event.assoc.dul.socket
        wire = cable.socket
        with suppress(OSError):
            while self.floods and self.flooded < ENOUGH_BYTES:
                left = memoryview(self.floods)
                while left:  # counted as it goes: the other end may hang up before all of it
                    sent = wire.send(left)
                    self.flooded += sent
                    left = left[sent:]

    def _sent(self, event: Event) -> None:
        """Spoil what is about to go out: pynetdicom tells of a message before it sends it."""
        command: Any = event.message.command_set
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


def _shown(uid: str) -> str:
    return uid if _UID.fullmatch(uid) else "an object without a UID"


def _cut(event: Event) -> None:
    """Close the connection without a word."""
    cable = event.assoc.dul.socket
    wire = cable.socket if cable is not None else None
    if wire is not None:
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
