"""Receive images, associations and echoes beside DCMTK, Orthanc and pynetdicom, in one run.

`make bench` prints the ratios of P1 and P2. Ours is the whole `dicom-node listen`: every limit, the
row in the ledger, the digest, fsync before Success. `--folder` says on which disk all write,
by default /dev/shm, where fsync costs nothing.
"""

import argparse
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HERE / "tests" / place) for place in ("servers", "dicom_node/receiving")]

from free_ports import free_port  # noqa: E402 - from the tests
from orthanc_server import orthanc_server  # noqa: E402
from private_process import PrivateProcess, program  # noqa: E402
from pydicom.uid import generate_uid  # noqa: E402
from raw_senders import (  # noqa: E402
    ACCEPTANCE,
    LITTLE_ENDIAN,
    P_DATA,
    VERIFICATION,
    RawSender,
    associate_request,
    echo_command,
    pdu,
    pdv,
    store_command,
)
from small_images import encoded, mammogram  # noqa: E402

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
PDU_BYTES = 128 << 10
ORTHANC_BYTES = 16 << 10  # it takes no larger ones
IMAGE_BYTES = 17 << 20
UID_LENGTH = 60
REQUESTS: dict[str, tuple[bytearray, list[int]]] = {}  # of this process
STOCK = """
import sys; from pynetdicom import AE, evt
from dicom_node.receiving.contexts import contexts
ae = AE("FOURVIEWS"); ae.supported_contexts = contexts(); ae.maximum_associations = 2000
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_ECHO, lambda _: 0)])
"""


def uid() -> str:
    """Make a UID of a fixed length, which takes another's place in encoded bytes."""
    return (generate_uid() + ".1" * 32)[:UID_LENGTH].rstrip(".").ljust(UID_LENGTH, "1")


def blob(first: str, pdu_bytes: int) -> bytes:
    """Encode a whole C-STORE request, its data set in PDUs as large as may be."""
    image = mammogram(SOPInstanceUID=first, PixelData=bytes(IMAGE_BYTES))
    content = encoded(image)
    step = pdu_bytes - 6
    pieces = [content[at : at + step] for at in range(0, len(content), step)]
    data = b"".join(pdu(P_DATA, pdv(one, last=one is pieces[-1])) for one in pieces)
    return pdu(P_DATA, pdv(store_command(MAMMOGRAM, first), command=True)) + data


def get_ready(called: str) -> None:
    """Encode a request before the clock runs."""
    first = uid()
    content = bytearray(blob(first, ORTHANC_BYTES if called == "ORTHANC" else PDU_BYTES))
    place = content.find(first.encode())
    REQUESTS[called] = content, [place, content.find(first.encode(), place + 1)]


def send_images(port: int, called: str, count: int) -> tuple[float, float]:
    """Send images on one association, as fast as they are answered; say when it was."""
    content, places = REQUESTS[called]
    began = time.monotonic()
    sender = RawSender(port, 120.0)
    sender.say(associate_request([(MAMMOGRAM, LITTLE_ENDIAN)], called=called))
    assert sender.hear()[0] == ACCEPTANCE
    for _ in range(count):
        fresh = uid().encode()
        for place in places:
            content[place : place + UID_LENGTH] = fresh
        sender.plug.sendall(content)
        status = sender.status()
        assert status == 0, f"answered {status}"
    sender.release()
    sender.close()
    return began, time.monotonic()


def megabytes_a_second(port: int, called: str, associations: int, images: int) -> float:
    """Send from several processes at once."""
    ready = {"mp_context": get_context("spawn"), "initializer": get_ready, "initargs": (called,)}
    with ProcessPoolExecutor(associations, **ready) as senders:
        list(senders.map(send_nothing, range(associations)))  # everybody is there
        each = images // associations
        told = [senders.submit(send_images, port, called, each) for _ in range(associations)]
        times = [one.result() for one in told]
    took = max(end for _, end in times) - min(began for began, _ in times)
    return each * associations * IMAGE_BYTES / took / 1e6


def send_nothing(number: int) -> int:
    """Let a process begin, and the others too."""
    time.sleep(0.5)
    return number


def associations_a_second(port: int, called: str, count: int = 300) -> float:
    """Open and release associations, one after the other."""
    request = associate_request(called=called)
    began = time.monotonic()
    for _ in range(count):
        sender = RawSender(port)
        sender.say(request)
        assert sender.hear()[0] == ACCEPTANCE
        assert sender.release()
        sender.close()
    return count / (time.monotonic() - began)


def echoes_a_second(port: int, called: str, count: int = 1000) -> float:
    """Ask C-ECHO on one association."""
    sender = RawSender(port)
    sender.plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sender.say(associate_request(called=called))
    assert sender.hear()[0] == ACCEPTANCE
    question = pdu(P_DATA, pdv(echo_command(), command=True))
    began = time.monotonic()
    for _ in range(count):
        sender.say(question)
        assert sender.hear()[0] == P_DATA
    took = time.monotonic() - began
    sender.close()
    return count / took


def idle_share(port: int, called: str, pid: int, count: int, seconds: float = 10.0) -> float:
    """Say how much of a core idle associations cost."""
    idle = []
    for _ in range(count):
        idle.append(RawSender(port, 60.0))
        idle[-1].say(associate_request(called=called))
        assert idle[-1].hear()[0] == ACCEPTANCE
    before = cpu_seconds(pid)
    time.sleep(seconds)
    share = (cpu_seconds(pid) - before) / seconds
    for one in idle:
        one.close()
    return share


def cpu_seconds(pid: int) -> float:
    """Read the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answers(port: int, called: str) -> bool:
    """Say whether somebody listens."""
    try:
        sender = RawSender(port)
    except OSError:
        return False
    sender.say(associate_request([(VERIFICATION, "1.2.840.10008.1.2")], called=called))
    heard = sender.hear()[0]
    sender.close()
    return heard == ACCEPTANCE


@contextmanager
def served(command: Sequence[str], folder: Path, port: int, called: str) -> Iterator[int]:
    """Run a server for the block, and give its process number."""
    process = PrivateProcess(command, folder / "log")
    try:
        process.wait_until(lambda: answers(port, called), 60)
        yield process._process.pid  # noqa: SLF001 - whose processor time is read
    finally:
        process.end(40)
        shutil.rmtree(folder)


@contextmanager
def ours(home: Path) -> Iterator[tuple[int, int]]:
    """Run `dicom-node listen`."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    (folder / "node.toml").write_text(
        f'[node]\ndata = "{folder}/data"\nlog_level = "warning"\n[receiving]\nport = {port}\n'
        "any_caller = true\nreserve_megabytes = 0\nmax_associations = 1000\n"
    )
    command = [sys.executable, "-m", "dicom_node", "-c", str(folder / "node.toml"), "listen"]
    with served(command, folder, port, "FOURVIEWS") as pid:
        yield port, pid


@contextmanager
def storescp(home: Path) -> Iterator[tuple[int, int]]:
    """Run DCMTK's receiver, at its quickest and without fsync."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    os.environ["TCP_NODELAY"] = "1"
    command = [program("storescp"), "--fork", "+B", "-pdu", str(PDU_BYTES), "-od", str(folder)]
    with served([*command, str(port)], folder, port, "STORESCP") as pid:
        yield port, pid


@contextmanager
def stock(home: Path) -> Iterator[tuple[int, int]]:
    """Run pynetdicom as it is, with the contexts of the node."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    with served([sys.executable, "-c", STOCK, str(port)], folder, port, "FOURVIEWS") as pid:
        yield port, pid


def best(measure: Callable[[], float], times: int) -> float:
    """Measure several times, and take the best: others use this machine, too."""
    return max(measure() for _ in range(times))


def main() -> None:
    """Measure, and print ratios."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, default=Path("/dev/shm"))  # noqa: S108
    asked.add_argument("--images", type=int, default=24)
    asked.add_argument("--times", type=int, default=3)
    asked.add_argument("--idle", type=int, default=700, help="idle associations")
    given = asked.parse_args()
    rates: dict[tuple[str, int], float] = {}
    for count in (1, 4):
        for name, server, called in (("ours", ours, "FOURVIEWS"), ("dcmtk", storescp, "STORESCP")):
            with server(given.folder) as (port, _):
                rates[name, count] = best(
                    lambda p=port, c=called, n=count: megabytes_a_second(p, c, n, given.images),
                    given.times,
                )
        with orthanc_server() as orthanc:
            rates["orthanc", count] = best(
                lambda o=orthanc, n=count: megabytes_a_second(o.dicom_port, o.aet, n, given.images),
                given.times,
            )
        mine, dcmtk, other = (rates[name, count] for name in ("ours", "dcmtk", "orthanc"))
        print(
            f"P1  {count} associations: {mine:.0f} MB/s; "
            f"storescp {dcmtk:.0f}, Orthanc {other:.0f}: "
            f"{mine / dcmtk:.2f} x storescp, {mine / other:.1f} x Orthanc"
        )
    with ours(given.folder) as (port, pid):
        own = best(lambda: associations_a_second(port, "FOURVIEWS"), given.times)
        own_echo = best(lambda: echoes_a_second(port, "FOURVIEWS"), given.times)
        share = idle_share(port, "FOURVIEWS", pid, given.idle)
    with stock(given.folder) as (port, _):
        theirs = best(lambda: associations_a_second(port, "FOURVIEWS", 50), given.times)
        their_echo = best(lambda: echoes_a_second(port, "FOURVIEWS", 200), given.times)
    print(f"P2  associations a second: {own:.0f}, pynetdicom {theirs:.0f}: {own / theirs:.1f} x")
    print(f"P2  echoes a second: {own_echo:.0f}, pynetdicom {their_echo:.0f}: "
          f"{own_echo / their_echo:.1f} x")  # fmt: skip
    print(f"P2  {given.idle} idle associations: {100 * share:.1f} % of a core")


if __name__ == "__main__":
    main()
