"""A private Orthanc: the PACS of the tests."""

import base64
import http.client
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_ports
from private_process import PrivateProcess, program
from pydicom import Dataset, dcmread

Modalities = Mapping[str, tuple[str, str, int]]

DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True, slots=True)
class Guarded:
    """How an Orthanc is locked: its papers, whom it believes, and the token it wants over HTTP."""

    papers: tuple[Path, Path]
    authority: Path
    token: str


class OrthancServer:
    """A running Orthanc, asked by its REST interface."""

    def __init__(
        self,
        folder: Path,
        aet: str,
        modalities: Modalities,
        plugins: Sequence[Path] = (),
        password: str = "",
        guarded: Guarded | None = None,
    ) -> None:
        """Choose ports and write the configuration; with a password, of the user `node`."""
        told = base64.b64encode(f"node:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {told}"} if password else {}
        self.aet = aet
        self.host = "127.0.0.1"
        self.dicom_port, self.http_port = free_ports(2)
        self._folder = folder
        self._process: PrivateProcess | None = None
        self._configuration = folder / "orthanc.json"
        self._configuration.write_text(
            json.dumps(
                {
                    "Name": aet,
                    "DicomAet": aet,
                    "DicomPort": self.dicom_port,
                    "HttpPort": self.http_port,
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "DicomModalities": {name: list(peer) for name, peer in modalities.items()},
                    "DicomCheckCalledAet": True,
                    "DicomAlwaysAllowStore": True,
                    "DicomAlwaysAllowEcho": True,
                    "DicomAlwaysAllowGet": True,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": bool(password),
                    "RegisteredUsers": {"node": password} if password else {},
                    "OverwriteInstances": False,
                    "StableAge": 1,
                    "Plugins": [str(plugin) for plugin in plugins],
                    "DicomWeb": {
                        "Root": "/dicom-web/",
                        "WadoRoot": "/wado",
                        "StudiesMetadata": "Full",
                        "SeriesMetadata": "Full",
                    },
                    **(self._locked(guarded) if guarded is not None else {}),
                }
            )
        )

    @property
    def running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def start(self) -> None:
        """Start it on what it has stored so far, and wait until it answers."""
        if self._process is not None:
            return
        process = PrivateProcess(
            [program("Orthanc"), str(self._configuration)], self._folder / "orthanc.log"
        )
        self._process = process
        process.wait_until(self._answers)

    def stop(self) -> None:
        """Take it down as an outage would; what it stored stays."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def abandon(self) -> None:
        """Kill it: what it stored goes away with it, and nobody waits for its last words."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def studies(self) -> list[str]:
        """List the Study Instance UIDs that it keeps."""
        return [
            study["MainDicomTags"]["StudyInstanceUID"] for study in self._json("/studies?expand")
        ]

    def instances(self, study_uid: str) -> list[str]:
        """List Orthanc's own ids of the instances of a study."""
        return list(
            self._post(
                "/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}}
            )
        )

    def file(self, instance_id: str) -> bytes:
        """Get the stored file of one instance, byte for byte."""
        return self._request("GET", f"/instances/{instance_id}/file")

    def fetch(self, instance_id: str) -> Dataset:
        """Get one instance as a data set."""
        return dcmread(BytesIO(self.file(instance_id)))

    def datasets(self, study_uid: str) -> list[Dataset]:
        """Get every instance of a study."""
        return [self.fetch(instance_id) for instance_id in self.instances(study_uid)]

    def know(self, name: str, aet: str, port: int, host: str = "127.0.0.1") -> None:
        """Make a DICOM peer known under a name, as an administrator would."""
        peer = {"AET": aet, "Host": host, "Port": port}
        self._request("PUT", f"/modalities/{name}", json.dumps(peer).encode())

    def send(self, study_uid: str, name: str) -> None:
        """Send all instances of a study to a known peer, and wait until they arrived."""
        self._post(f"/modalities/{name}/store", self.instances(study_uid))

    def upload(self, content: bytes) -> str:
        """Store one DICOM file without DICOM, and return Orthanc's id of it."""
        return str(json.loads(self._request("POST", "/instances", content))["ID"])

    def clear(self) -> None:
        """Delete everything that it keeps."""
        for patient_id in self._json("/patients"):
            self._request("DELETE", f"/patients/{patient_id}")

    def _locked(self, guarded: Guarded) -> dict[str, object]:
        """Let in over DICOM's TLS alone, with a certificate, and over HTTP with the token.

        HTTPS is for a proxy in front: Debian's build falls over at the first handshake.
        """
        certificate, key = guarded.papers
        door = self._folder / "door.lua"
        self._headers = {"Authorization": f"Bearer {guarded.token}"}
        door.write_text(
            "function IncomingHttpRequestFilter(method, uri, ip, user, headers)\n"
            f'  return headers["authorization"] == "Bearer {guarded.token}"\nend\n'
        )
        return {
            "LuaScripts": [str(door)],
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(certificate),
            "DicomTlsPrivateKey": str(key),
            "DicomTlsTrustedCertificates": str(guarded.authority),
            "DicomTlsRemoteCertificateRequired": True,
        }

    def _answers(self) -> bool:
        try:
            self._request("GET", "/system")
        except OSError:
            return False
        return True

    def _json(self, path: str) -> Any:  # noqa: ANN401 - JSON is what it is
        return json.loads(self._request("GET", path))

    def _post(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON is what it is
        return json.loads(self._request("POST", path, json.dumps(body).encode()))

    def _request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=60)
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"Orthanc answers {answer.status} to {method} {path}: {content!r}")
        return content


@contextmanager
def orthanc_server(
    aet: str = "ORTHANC",
    modalities: Modalities | None = None,
    plugins: Sequence[Path] = (),
    password: str = "",
    guarded: Guarded | None = None,
) -> Iterator[OrthancServer]:
    """Run a private Orthanc for the length of the block."""
    for plugin in plugins:
        if not plugin.exists():
            pytest.skip(f"{plugin} is not installed; `make system` as root installs it")
    with tempfile.TemporaryDirectory(prefix="fourviews-orthanc-") as folder:
        server = OrthancServer(Path(folder), aet, modalities or {}, plugins, password, guarded)
        try:
            server.start()
            yield server
        finally:
            server.abandon()
