"""OHIF's pages as npm brings them, and the PACS behind the same address."""

import http.client
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from orthanc_server import OrthancServer

VIEWERS = Path(__file__).parents[1] / "viewers"
PAGES = VIEWERS / "node_modules" / "@ohif" / "app" / "dist"
CONFIGURATION = VIEWERS / "app-config.js"
OF_THE_PACS = ("/dicom-web", "/wado")
# Only a page that is shut off from other origins may share memory with its workers.
SHUT_OFF = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
OF_ONE_CONNECTION = {"connection", "transfer-encoding", "content-length", "accept-encoding"}


def installed(path: Path) -> Path:
    """Return what npm has installed, or skip the test with the sentence that says how to get it."""
    if not path.exists():
        pytest.skip(f"{path.relative_to(VIEWERS)} is not installed; `make viewers` installs it")
    return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pacs: OrthancServer

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(OF_THE_PACS):
            self._ask_the_pacs(None)
        elif path == "/app-config.js":
            self._answer_file(CONFIGURATION)
        else:
            page = (PAGES / path.lstrip("/")).resolve()
            # OHIF's own addresses, such as /viewer, are all the one page.
            exists = page.is_file() and PAGES.resolve() in page.parents
            self._answer_file(page if exists else PAGES / "index.html")

    def do_POST(self) -> None:
        self._ask_the_pacs(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def log_message(self, *_: object) -> None:
        """Keep quiet: a test's output is for its results."""

    def _ask_the_pacs(self, body: bytes | None) -> None:
        kept = {k: v for k, v in self.headers.items() if k.lower() not in OF_ONE_CONNECTION}
        asked = http.client.HTTPConnection(self.pacs.host, self.pacs.http_port, timeout=120)
        try:
            asked.request(self.command, self.path, body, kept)
            answer = asked.getresponse()
            content = answer.read()
        finally:
            asked.close()
        told = {k: v for k, v in answer.getheaders() if k.lower() not in OF_ONE_CONNECTION}
        self._answer(answer.status, told, content)

    def _answer_file(self, path: Path) -> None:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        self._answer(http.HTTPStatus.OK, {"Content-Type": kind, **SHUT_OFF}, path.read_bytes())

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def ohif_server(pacs: OrthancServer) -> Iterator[str]:
    """Serve OHIF for a PACS for the length of the block, and say at which address."""
    installed(PAGES)
    handler = type("Handler", (_Handler,), {"pacs": pacs})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
