"""Ports that nobody listens on."""

import secrets
import socket

# Below the range from which Linux takes the ports of outgoing connections: a port found here is
# not taken by a passing client between the question and the server's start.
_FIRST_PORT, _LAST_PORT = 15000, 32000
_ATTEMPTS = 100


def free_port(*neighbors: int) -> int:
    """Find one port of the loopback interface that can be bound now, and those so far behind it."""
    last = _LAST_PORT - max(neighbors, default=0)  # they, too, are to be below that range
    for _ in range(_ATTEMPTS):
        port = _FIRST_PORT + secrets.randbelow(last - _FIRST_PORT)
        if all(_is_free(port + far) for far in (0, *neighbors)):
            return port
    raise RuntimeError(f"no free port found between {_FIRST_PORT} and {last}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Find several different free ports."""
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return list(ports)
