"""The port: connections are accepted at once, and each is served by a thread of its own.

pynetdicom shakes the hands of TLS where it accepts, so that a few silent ones block everybody, and
takes five connections that wait. Here nothing is read before the connection has its thread.
"""

import errno
import socket
import socketserver
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pynetdicom import AE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import ThreadedAssociationServer

from dicom_node.receiving.connection import Connection
from dicom_node.receiving.places import Places

if TYPE_CHECKING:
    from pynetdicom.association import Association

    from dicom_node.receiving.connection import Host

WAITING_CONNECTIONS = 512
BREATH_SECONDS = 0.05


class Peer(AE):
    """The node as pynetdicom knows it, which counts its associations itself."""

    @property
    def active_associations(self) -> "list[Association]":
        """Name none: pynetdicom would go through all threads for each request."""
        return []


class Server(ThreadedAssociationServer):
    """A port that is listened on."""

    request_queue_size = WAITING_CONNECTIONS
    daemon_threads = True

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        contexts: list[PresentationContext],
        host: "Host",
        places: Places,
        *,
        shared: bool = False,
    ) -> None:
        """Take the port; `shared` lets other processes of the node take it too."""
        self._host = host
        self._places = places
        self._shared = shared
        super().__init__(ae, address, ae.ae_title, contexts)
        self._thread = threading.Thread(target=self.serve_forever, name="port", daemon=True)

    def server_bind(self) -> None:
        """Bind, and never time out where nobody comes."""
        assert self.socket is not None
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._shared:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def open(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def close(self) -> None:
        """Stop accepting, at once; who is connected stays so."""
        assert self.socket is not None
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # refuses from here on, and wakes the thread
        if self._thread.is_alive():
            socketserver.BaseServer.shutdown(self)
        self.socket.close()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept, and do nothing else."""
        assert self.socket is not None
        try:
            return self.socket.accept()
        except OSError as trouble:
            if trouble.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                time.sleep(BREATH_SECONDS)  # the connection waits, and must not be asked for
            raise

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]
        """Give the connection its thread."""
        connection = Connection(self.ae, self._host, request, client_address, self.contexts)
        self._places.enter(connection)
        try:
            connection.start()
        except RuntimeError:  # no further thread can be had
            self._places.leave(connection)
            raise

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: socketserver would print a traceback; the connection is closed."""

    def service_actions(self) -> None:
        """Do nothing twice a second: pynetdicom collects garbage here."""
