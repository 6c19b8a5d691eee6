"""Who receives in the demo: a private Orthanc where it is installed, else a small archive here."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

from pydicom import Dataset, dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event

from dicom_node.errors import Busy, Misconfigured

AE_TITLE = "DEMOPACS"
START_SECONDS = 30.0


class Archive(Protocol):
    """A PACS as far as the demo needs one."""

    name: str
    port: int

    def objects_of(self, study_uid: str) -> list[Dataset]:
        """Return every object of a study, as the PACS gives it back."""


def free_port() -> int:
    """Find a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def archive(which: str, folder: Path) -> Iterator[Archive]:
    """Start an archive, and leave nothing running."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if which == "orthanc" and program is None:
        sentence = (
            "--archive orthanc: Orthanc is not installed; install it (Debian and Ubuntu: "
            "apt-get install orthanc), or let a small archive stand in: --archive builtin"
        )
        raise Misconfigured([sentence])
    if which == "builtin" or program is None:
        with _builtin() as small:
            yield small
    else:
        with _orthanc(program, folder) as orthanc:
            yield orthanc


@dataclass
class Orthanc:
    """A private Orthanc, asked by its REST interface."""

    port: int
    http_port: int
    name: str = "Orthanc"

    def _ask(self, path: str, body: Any = None) -> bytes:  # noqa: ANN401 - JSON
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=10)
        try:
            connection.request(
                "GET" if body is None else "POST", path, None if body is None else json.dumps(body)
            )
            return connection.getresponse().read()
        finally:
            connection.close()

    def answers(self) -> bool:
        """Say whether it is up."""
        try:
            return b"DicomAet" in self._ask("/system")
        except OSError:
            return False

    def objects_of(self, study_uid: str) -> list[Dataset]:
        """Fetch every object of a study."""
        query = {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}}
        return [
            dcmread(BytesIO(self._ask(f"/instances/{found}/file")))
            for found in json.loads(self._ask("/tools/find", query))
        ]


@contextmanager
def _orthanc(program: str, folder: Path) -> Iterator[Orthanc]:
    orthanc = Orthanc(free_port(), free_port())
    storage = folder / "orthanc"
    storage.mkdir(parents=True, exist_ok=True)
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "Name": AE_TITLE,
                "DicomAet": AE_TITLE,
                "DicomPort": orthanc.port,
                "HttpPort": orthanc.http_port,
                "StorageDirectory": str(storage),
                "IndexDirectory": str(storage),
                "DicomAlwaysAllowStore": True,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "Plugins": [],
            }
        ),
        encoding="utf-8",
    )
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - the program found above
            [program, str(configuration)], stdout=log, stderr=log, env={**os.environ, "LC_ALL": "C"}
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not orthanc.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Busy(f"Orthanc did not start; its log is {folder / 'orthanc.log'}")
            time.sleep(0.1)
        yield orthanc
    finally:
        process.terminate()
        process.wait(START_SECONDS)


@dataclass
class Small:
    """An archive of a few lines: it keeps what it gets, in memory."""

    port: int
    name: str = "the built-in archive (Orthanc is not installed)"
    kept: dict[str, Dataset] = field(default_factory=dict)

    def store(self, event: Event) -> int:
        """Keep an object."""
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.kept[str(dataset.SOPInstanceUID)] = dataset
        return 0x0000

    def objects_of(self, study_uid: str) -> list[Dataset]:
        """Return what is kept of a study."""
        return [kept for kept in self.kept.values() if kept.StudyInstanceUID == study_uid]


@contextmanager
def _builtin() -> Iterator[Small]:
    small = Small(free_port())
    ae = AE(ae_title=AE_TITLE)
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.start_server(
        ("127.0.0.1", small.port), block=False, evt_handlers=[(evt.EVT_C_STORE, small.store)]
    )
    assert server is not None
    try:
        yield small
    finally:
        server.shutdown()
