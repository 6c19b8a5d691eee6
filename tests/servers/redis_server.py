"""A private Redis that remembers nothing."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from free_ports import free_port
from private_process import PrivateProcess, program


class RedisServer:
    """A running Redis on the loopback interface."""

    def __init__(self, folder: Path) -> None:
        """Choose a port; `start` starts it."""
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: PrivateProcess | None = None

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        if self._process is not None:
            return
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self._folder),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
        }
        command = [program("redis-server")]
        for name, value in options.items():
            command += [f"--{name}", value]
        process = PrivateProcess(command, self._folder / "redis.log")
        self._process = process
        process.wait_until(self._answers)

    def stop(self) -> None:
        """Take it down; all that was in it is lost."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def flush(self) -> None:
        """Forget every queue and every key."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a private Redis for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="fourviews-redis-") as folder:
        server = RedisServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
