"""A private PostgreSQL cluster, for speed without any durability."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from free_ports import free_port
from private_process import PrivateProcess, program
from psycopg import sql

# Debian keeps the servers out of the PATH, one folder a version.
_DEBIAN_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_OWNER = "postgres"


class PostgresServer:
    """A running PostgreSQL on the loopback interface that trusts everybody there."""

    def __init__(self, folder: Path) -> None:
        """Make the cluster; `start` starts it."""
        self.port = free_port()
        self._folder = folder
        self._data = folder / "data"
        self._user = _unprivileged_user()
        self._process: PrivateProcess | None = None
        self._make_cluster()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        if self._process is not None:
            return
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        command = [program("postgres", *_DEBIAN_FOLDERS), "-D", str(self._data)]
        command += ["-p", str(self.port)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        process = PrivateProcess(command, self._folder / "postgres.log", user=self._user)
        self._process = process
        process.wait_until(self._answers)

    def stop(self) -> None:
        """Take it down as an outage would; what was committed stays."""
        if self._process is not None:
            self._process.interrupt()
            self._process = None

    def create_database(self, name: str) -> str:
        """Make an empty database and return its SQLAlchemy URL."""
        with self._connection() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{_OWNER}@127.0.0.1:{self.port}/{name}"

    def _connection(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=_OWNER, dbname="postgres", autocommit=True
        )

    def _answers(self) -> bool:
        try:
            with self._connection():
                return True
        except psycopg.OperationalError:
            return False

    def _make_cluster(self) -> None:
        command = [program("initdb", *_DEBIAN_FOLDERS), "-D", str(self._data)]
        command += ["--username", _OWNER, "--auth=trust", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C"]
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        made = subprocess.run(
            command, user=self._user, cwd=self._folder, capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb ended with {made.returncode}:\n{made.stderr}")


def _unprivileged_user() -> str | None:
    """Name the user to become: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return _OWNER if _OWNER in known else "nobody"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a private PostgreSQL for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="fourviews-postgres-") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
