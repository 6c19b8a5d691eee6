"""A proxy that speaks TLS with whoever shows a certificate, and plain with a server behind it."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BLOCK = 16 << 10
SECONDS = 60.0  # for whatever a test may wait for


@contextmanager
def tls_terminator(
    port: int, to_port: int, papers: tuple[Path, Path] | None, authority: Path
) -> Iterator[None]:
    """Run one for the length of the block; without papers it speaks no TLS."""
    context = None
    if papers is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*papers)
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", port), backlog=100) as listening:
        told = (listening, to_port, context)
        threading.Thread(target=_accept, args=told, daemon=True).start()
        yield
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, to_port: int, context: ssl.SSLContext | None) -> None:
    with suppress(OSError):
        while True:
            wire, _ = listening.accept()
            threading.Thread(target=_serve, args=(wire, to_port, context), daemon=True).start()


def _serve(near: socket.socket, to_port: int, context: ssl.SSLContext | None) -> None:
    near.settimeout(SECONDS)
    with suppress(OSError), near:
        if context is not None:
            near = context.wrap_socket(near, server_side=True)
        with near, socket.create_connection(("127.0.0.1", to_port), SECONDS) as far:
            threading.Thread(target=_carry, args=(far, near), daemon=True).start()
            _carry(near, far)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            sink.sendall(block)
    for wire in (source, sink):
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)
