"""Receive images, associations and echoes beside DCMTK, Orthanc and pynetdicom, in one run.

`make bench` prints the ratios of P1 and P2; docs/performance.md says how to read them. Ours is the
whole `dicom-node listen`: every limit, the row in the ledger, the digest, fsync before Success.
`--folder` says on which disk all of them write, by default /dev/shm, where fsync costs nothing.
"""

import argparse
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
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
REAPED_SECONDS = 0.3  # after which a server knows what its children took
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
    work = partial(send_images, port, called)
    return at_once(work, associations, images, partial(get_ready, called))


def at_once(
    work: Callable[[int], tuple[float, float]],
    workers: int,
    images: int,
    get_ready: Callable[[], None] | None = None,
) -> float:
    """Share images among processes that begin together, and say how many MB went in a second."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=get_ready) as others:
        list(others.map(send_nothing, range(workers)))  # everybody is there
        each = images // workers
        told = [others.submit(work, each) for _ in range(workers)]
        times = [one.result() for one in told]
    took = max(end for _, end in times) - min(began for began, _ in times)
    return each * workers * IMAGE_BYTES / took / 1e6


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
    for number in range(count):  # no address has all the places
        idle.append(RawSender(port, 60.0, f"127.0.0.{1 + number % 2}"))
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
    return sum(processor(pid))


def processor(pid: int) -> tuple[float, float]:
    """Read the seconds of a process and of its children that ended: its own, and the kernel's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, kernel, of_children, kernel_of_children = map(int, fields[11:15])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + of_children) / tick, (kernel + kernel_of_children) / tick


def write_images(folder: Path, count: int) -> tuple[float, float]:
    """Bring images to the disk and do nothing else; say when it was."""
    content = bytes(IMAGE_BYTES)
    began = time.monotonic()
    for _ in range(count):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    return began, time.monotonic()


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


@dataclass
class Running:
    """A server that is measured."""

    port: int
    called: str
    pid: int
    rates: list[float] = field(default_factory=list)
    spent: tuple[float, float] = (0.0, 0.0)  # ms of processor an image, of its own and the kernel's

    def receive(self, associations: int, images: int) -> None:
        """Measure once."""
        before = processor(self.pid)
        self.rates.append(megabytes_a_second(self.port, self.called, associations, images))
        time.sleep(REAPED_SECONDS)
        after = processor(self.pid)
        own, kernel = (1000 * (b - a) / images for a, b in zip(before, after, strict=True))
        self.spent = min((own, kernel), self.spent, key=lambda two: sum(two) or float("inf"))


@contextmanager
def served(command: Sequence[str], folder: Path, port: int, called: str) -> Iterator[Running]:
    """Run a server for the block."""
    process = PrivateProcess(command, folder / "log")
    try:
        process.wait_until(lambda: answers(port, called), 60)
        yield Running(port, called, process.pid)
    finally:
        process.end(40)
        shutil.rmtree(folder)


@contextmanager
def ours(home: Path) -> Iterator[Running]:
    """Run `dicom-node listen`."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    (folder / "node.toml").write_text(
        f'[node]\ndata = "{folder}/data"\nlog_level = "warning"\n[receiving]\nport = {port}\n'
        "any_caller = true\nreserve_megabytes = 0\nmax_associations = 1000\n"
    )
    command = [sys.executable, "-m", "dicom_node", "-c", str(folder / "node.toml"), "listen"]
    with served(command, folder, port, "FOURVIEWS") as running:
        yield running


@contextmanager
def storescp(home: Path) -> Iterator[Running]:
    """Run DCMTK's receiver, at its quickest and without fsync."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    os.environ["TCP_NODELAY"] = "1"
    command = [program("storescp"), "--fork", "+B", "-pdu", str(PDU_BYTES), "-od", str(folder)]
    with served([*command, str(port)], folder, port, "STORESCP") as running:
        yield running


@contextmanager
def stock(home: Path) -> Iterator[Running]:
    """Run pynetdicom as it is, with the contexts of the node."""
    folder, port = Path(tempfile.mkdtemp(dir=home)), free_port()
    with served([sys.executable, "-c", STOCK, str(port)], folder, port, "FOURVIEWS") as running:
        yield running


@contextmanager
def orthanc(home: Path) -> Iterator[Running]:
    """Run Orthanc as it is shipped, on the same disk as the others."""
    tempfile.tempdir = str(home)
    with orthanc_server() as server:
        assert server._process is not None  # noqa: SLF001 - whose processor time is read
        yield Running(server.dicom_port, server.aet, server._process.pid)  # noqa: SLF001


def best(measure: Callable[[], float], times: int) -> float:
    """Measure several times, and take the best: others use this machine, too."""
    return max(measure() for _ in range(times))


def compare_images(home: Path, count: int, images: int, times: int) -> None:
    """Let the servers take turns, so that what else this machine does harms all of them alike."""
    disk: list[float] = []
    with ours(home) as mine, storescp(home) as dcmtk, orthanc(home) as other:
        servers = {"ours": mine, "storescp": dcmtk, "Orthanc": other}
        for _ in range(times):
            for one in servers.values():
                one.receive(count, images)
            disk.append(at_once(partial(write_images, home), count, images))
    rate, *peers = (max(one.rates) for one in servers.values())
    told = ", ".join(f"{name} {max(one.rates):.0f}" for name, one in servers.items())
    print(f"P1  {count} associations, MB/s: {told}; writing and fsync alone {max(disk):.0f}")
    print(
        f"P1  {count} associations: {rate / peers[0]:.2f} x storescp, "
        f"{rate / peers[1]:.1f} x Orthanc, {rate / max(disk):.2f} x writing and fsync alone"
    )
    spent = (f"{name} {one.spent[0]:.1f} + {one.spent[1]:.1f}" for name, one in servers.items())
    print(f"P1  {count} associations, processor ms an image, own + kernel's: {', '.join(spent)}")


def compare_talk(home: Path, idle: int, times: int) -> None:
    """Compare associations and echoes."""
    with ours(home) as mine, stock(home) as theirs:
        for what, measure, counts in (
            ("associations", associations_a_second, (300, 50)),
            ("echoes", echoes_a_second, (1000, 200)),
        ):
            own, other = (
                best(partial(measure, one.port, one.called, count), times)
                for one, count in zip((mine, theirs), counts, strict=True)
            )
            print(f"P2  {what} a second: {own:.0f}, pynetdicom {other:.0f}: {own / other:.1f} x")
        share = idle_share(mine.port, mine.called, mine.pid, idle)
    print(f"P2  {idle} idle associations: {100 * share:.1f} % of a core")


def main() -> None:
    """Measure, and print ratios."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--folder", type=Path, default=Path("/dev/shm"))  # noqa: S108
    asked.add_argument("--images", type=int, default=24)
    asked.add_argument("--times", type=int, default=3)
    asked.add_argument("--idle", type=int, default=1000, help="idle associations")
    given = asked.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for count in (1, 4):
        compare_images(given.folder, count, given.images, given.times)
    compare_talk(given.folder, given.idle, given.times)


if __name__ == "__main__":
    main()
