"""A proxy before a server, which a test lets fail: a black hole, a cut, a slow line."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from free_ports import free_port

Way = Literal["open", "black hole", "refused"]
BLOCK = 1 << 16


class TcpProxy:
    """Passes everything on while its way is open.

    As a black hole it accepts and reads whatever comes, answers nothing, and never hangs up:
    neither on those who were connected before nor on those who connect now.
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.target_port = target_port
        self.way: Way = "open"
        self.delay_seconds = 0.0
        self.connections = 0
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._server: socket.socket | None = None
        self._stopped = False
        self._listen()

    def set(self, way: Way, *, cut: bool = False) -> None:
        """Change the way; `cut` hangs up on those who are connected."""
        self.way = way
        if way == "refused":
            self._unlisten()
            cut = True
        elif self._server is None:
            self._listen()
        if cut:
            self.cut()

    def cut(self) -> None:
        """Hang up on everybody."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for one in pairs:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def stop(self) -> None:
        """End it."""
        self._stopped = True
        self._unlisten()
        self.cut()

    def _listen(self) -> None:
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", self.port))
        server.listen(128)
        self._server = server
        threading.Thread(target=self._accept, args=(server,), daemon=True).start()

    def _unlisten(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._keep(client)
        while self.way == "black hole" and not self._stopped:
            client.settimeout(0.1)
            try:
                if not client.recv(BLOCK):
                    client.close()
                    return
            except TimeoutError:
                continue
            except OSError:
                return
            self._swallow(client)
            return
        client.settimeout(None)
        try:
            server = socket.create_connection(("127.0.0.1", self.target_port), 5)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        self._keep(server)
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _keep(self, one: socket.socket) -> None:
        with self._lock:
            self._pairs.append(one)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while block := one.recv(BLOCK):
                if self.way == "black hole":
                    self._swallow(one)
                    return
                if self.delay_seconds:
                    time.sleep(self.delay_seconds)
                other.sendall(block)
        if self.way != "black hole":
            for end in (one, other):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _swallow(self, one: socket.socket) -> None:
        """Read on without a word, for ever: what was swallowed once is never answered."""
        with suppress(OSError):
            one.settimeout(None)
            while one.recv(BLOCK):
                pass
        one.close()


@contextmanager
def tcp_proxy(target_port: int) -> Iterator[TcpProxy]:
    """Run one for the length of the block."""
    proxy = TcpProxy(target_port)
    try:
        yield proxy
    finally:
        proxy.stop()
