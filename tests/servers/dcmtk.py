"""DCMTK's own programs: an independent DICOM peer."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from private_process import PrivateProcess, program
from pydicom import dcmread

# storescu proposes a compressed transfer syntax only where it is told to.
_PROPOSE = {
    "1.2.840.10008.1.2": "-xi",
    "1.2.840.10008.1.2.1": "-xe",
    "1.2.840.10008.1.2.2": "-xb",
    "1.2.840.10008.1.2.1.99": "-xd",
    "1.2.840.10008.1.2.4.50": "-xy",
    "1.2.840.10008.1.2.4.51": "-xx",
    "1.2.840.10008.1.2.4.70": "-xs",
    "1.2.840.10008.1.2.4.80": "-xt",
    "1.2.840.10008.1.2.4.81": "-xu",
    "1.2.840.10008.1.2.4.90": "-xv",
    "1.2.840.10008.1.2.4.91": "-xw",
    "1.2.840.10008.1.2.5": "-xr",
}


def storescu(
    files: Sequence[Path],
    port: int,
    *,
    called: str = "FOURVIEWS",
    calling: str = "STORESCU",
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Send files in the transfer syntax of the first one, all in one association.

    `-R` proposes only what is needed, so that SOP classes younger than DCMTK's list go too.
    """
    syntax = str(dcmread(files[0], stop_before_pixels=True).file_meta.TransferSyntaxUID)
    told = ["-R", _PROPOSE[syntax], "-aec", called, "-aet", calling, *options]
    return _run("storescu", *told, "127.0.0.1", str(port), *map(str, files))


@contextmanager
def storescp(folder: Path, port: int, *options: str) -> Iterator[None]:
    """Run an archive that keeps what it gets in a folder."""
    command = [program("storescp"), "-aet", "STORESCP", "-od", str(folder), "+B", *options]
    process = PrivateProcess([*command, str(port)], folder.parent / f"{folder.name}.log")
    try:
        process.wait_until(lambda: _is_open(port))
        yield
    finally:
        process.kill()


def _is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


def getscu(
    study_uid: str, folder: Path, port: int, *, called: str, calling: str = "GETSCU"
) -> subprocess.CompletedProcess[str]:
    """Fetch every object of a study into a folder, as it is stored."""
    asked = ["-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study_uid}"]
    told = ["-aec", called, "-aet", calling, *asked, "-od", str(folder), "+B"]
    return _run("getscu", *told, "127.0.0.1", str(port))


def echoscu(
    port: int, *, called: str = "FOURVIEWS", calling: str = "ECHOSCU"
) -> subprocess.CompletedProcess[str]:
    """Ask a peer whether it is there."""
    return _run("echoscu", "-aec", called, "-aet", calling, "127.0.0.1", str(port))


def dcmcjpeg(source: Path, target: Path, *options: str) -> None:
    """Compress a file as JPEG; lossless, first-order prediction, unless told otherwise."""
    _must("dcmcjpeg", *options, str(source), str(target))


def dcmcjpls(source: Path, target: Path, *options: str) -> None:
    """Compress a file as JPEG-LS; lossless unless told otherwise."""
    _must("dcmcjpls", *options, str(source), str(target))


def dcmcrle(source: Path, target: Path) -> None:
    """Compress a file as RLE."""
    _must("dcmcrle", str(source), str(target))


def dcmdump(path: Path, *options: str) -> str:
    """Print a file as text."""
    return _must("dcmdump", *options, str(path))


def dsrdump(path: Path, *options: str) -> str:
    """Print a structured report as text."""
    return _must("dsrdump", *options, str(path))


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )


def _must(name: str, *arguments: str) -> str:
    ended = _run(name, *arguments)
    if ended.returncode != 0:
        raise RuntimeError(f"{name} ended with {ended.returncode}:\n{ended.stdout}{ended.stderr}")
    return ended.stdout
