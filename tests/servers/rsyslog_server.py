"""A private rsyslog that collects over TLS, and asks who sends."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from free_ports import free_port
from private_process import PrivateProcess, program

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="256k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/collector.pem"
  defaultNetstreamDriverKeyFile="{folder}/collector.key")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
  streamDriver.authMode="x509/certvalid")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="collect") {{ action(type="omfile" file="{folder}/collected" template="raw") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="collect")
"""


class RsyslogServer:
    """A collector on the loopback interface; `start` and `stop` it at will."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.collected = folder / "collected"
        self._process: PrivateProcess | None = None
        (folder / "rsyslog.conf").write_text(CONFIGURATION.format(folder=folder, port=self.port))
        make_certificates(folder)

    def start(self) -> None:
        """Run it, and wait until it listens."""
        command = [program("rsyslogd", Path("/usr/sbin")), "-n", "-f"]
        command += [str(self.folder / "rsyslog.conf"), "-i", str(self.folder / "pid")]
        self._process = PrivateProcess(command, self.folder / "rsyslog.log")
        self._process.wait_until(self._listens)

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """Take it away."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def lines(self) -> list[str]:
        """Return what it collected."""
        return self.collected.read_text(encoding="utf-8").splitlines()


def make_certificates(folder: Path) -> None:
    """Make an authority, the collector's and the node's certificate, and a stranger's."""
    for authority in ("ca", "foreign"):
        _openssl(folder, f"req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN={authority} "
                 f"-keyout {authority}.key -out {authority}.pem")  # fmt: skip
    for name, authority in (("collector", "ca"), ("node", "ca"), ("stranger", "foreign")):
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        _openssl(folder, f"req -nodes -newkey rsa:2048 -subj /CN={name} -keyout {name}.key "
                 f"-out {name}.csr")  # fmt: skip
        _openssl(folder, f"x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key "
                 f"-CAcreateserial -days 2 -extfile names -out {name}.pem")  # fmt: skip


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(
        [program("openssl"), *arguments.split()], cwd=folder, check=True, capture_output=True
    )


@contextmanager
def rsyslog_server(folder: Path) -> Iterator[RsyslogServer]:
    """Make a collector for the length of the block; nothing runs yet."""
    server = RsyslogServer(folder)
    try:
        yield server
    finally:
        server.stop()
