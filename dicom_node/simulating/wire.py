"""A wire that can be spoiled: a TCP proxy between the node and a real server.

What runs through it is passed on as it is, TLS included, and looked at nowhere.
"""

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

BLOCK = 16 << 10


@dataclass
class FaultProxy:
    """What is wrong with the wire now; all of it may change at any moment."""

    to_port: int
    port: int = 0
    opened: list[float] = field(default_factory=list)  # when somebody connected, monotonic

    refuses: bool = False  # accepts, and resets at once
    black_hole: bool = False  # accepts, and lets nothing through in either direction
    delay_seconds: float = 0.0  # on each block
    bytes_per_second: float = 0.0  # 0: as fast as can be
    cuts_after: int = -1  # so many bytes toward the server, then both ends are closed
    resets_after: int = -1  # the same, with a reset
    half_closes_after: int = -1  # so many bytes from the server, then no more from it
    swallows_answers: bool = False  # the server hears everything; the node hears nothing
    drips: bool = False  # one byte a second from the server

    to_host: str = "127.0.0.1"
    address: str = "127.0.0.1"

    _listening: socket.socket | None = None
    _wires: list[socket.socket] = field(default_factory=list)

    def start(self) -> None:
        """Listen."""
        self._listening = socket.create_server((self.address, self.port), backlog=100)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        """Be unplugged: nobody listens, and who was connected is cut off."""
        if self._listening is not None:
            with suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._listening = None
        self.cut()

    def heal(self) -> None:
        """Let nothing be wrong any more; what hung until now is cut."""
        self.refuses = self.black_hole = self.swallows_answers = self.drips = False
        self.delay_seconds = self.bytes_per_second = 0.0
        self.cuts_after = self.resets_after = self.half_closes_after = -1
        self.cut()

    def cut(self) -> None:
        """Cut every open connection."""
        wires, self._wires = self._wires, []
        for wire in wires:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            self.opened.append(time.monotonic())
            if self.refuses:
                _reset(near)
                continue
            try:
                far = socket.create_connection((self.to_host, self.to_port), timeout=5)
            except OSError:
                _reset(near)
                continue
            far.settimeout(None)
            self._wires += [near, far]
            for source, sink, outward in ((near, far, True), (far, near, False)):
                threading.Thread(
                    target=self._carry,
                    args=(source, sink),
                    kwargs={"outward": outward},
                    daemon=True,
                ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, *, outward: bool) -> None:
        carried = 0
        with suppress(OSError):
            while block := source.recv(1 if self.drips and not outward else BLOCK):
                self._hold_up(source, len(block), outward=outward)
                carried += len(block)
                if self._ends(source, sink, carried, outward=outward):
                    break
                if outward or not self.swallows_answers:
                    sink.sendall(block)
        for wire in (source, sink):
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
            if wire in self._wires:
                self._wires.remove(wire)

    def _ends(
        self, source: socket.socket, sink: socket.socket, carried: int, *, outward: bool
    ) -> bool:
        """Say whether the wire breaks here; half of it may, while the other half goes on."""
        if outward and 0 <= self.resets_after < carried:
            _reset(source)
            return True
        if not outward and 0 <= self.half_closes_after < carried:
            sink.shutdown(socket.SHUT_WR)
            while source in self._wires and source.recv(BLOCK):
                pass
            return True
        return outward and 0 <= self.cuts_after < carried

    def _hold_up(self, source: socket.socket, size: int, *, outward: bool) -> None:
        while self.black_hole and source in self._wires:
            time.sleep(0.05)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        if self.bytes_per_second:
            time.sleep(size / self.bytes_per_second)
        if self.drips and not outward:
            time.sleep(1.0)


def _reset(wire: socket.socket) -> None:
    """Close with a reset instead of a farewell."""
    with suppress(OSError):
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
