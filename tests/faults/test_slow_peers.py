"""R1: who says nothing, or not enough, is sent away in time, and keeps nobody waiting."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest
import wire
from attacked import Attacked, attacked
from raw_peer import Gone, Peer, closings, good_echo
from small_images import encoded, mammogram

pytestmark = pytest.mark.journey

REQUEST = wire.associate(wire.offered(1, wire.VERIFICATION, wire.IMPLICIT))
IMAGE = mammogram(PixelData=bytes(300_000))
STORE = wire.store_request(3, wire.MAMMOGRAM, str(IMAGE.SOPInstanceUID), encoded(IMAGE))


@pytest.fixture
def limits(at_length: Callable[[int, int], int]) -> tuple[int, int]:
    """Say how many seconds a request, and the next word of a sender, may take."""
    return at_length(5, 30), at_length(6, 60)


@pytest.fixture
def slowed(limits: tuple[int, int], tmp_path: Path) -> Iterator[Attacked]:
    """Run a listener with these limits, and all else as it is by default."""
    with attacked(
        tmp_path, associate_seconds=float(limits[0]), idle_seconds=float(limits[1])
    ) as target:
        yield target


def connected(port: int, content: bytes) -> Peer:
    """Connect and say something, without association."""
    peer = Peer(port)
    peer.say(content)
    return peer


def stalled(port: int, content: bytes) -> Peer:
    """Open an association, say something, and fall silent; its time begins now."""
    peer = Peer(port)
    assert peer.open().kind == wire.ACCEPT
    peer.say(content)
    peer.opened_at = time.monotonic()
    return peer


@contextmanager
def dripping(peers: Sequence[Peer], content: bytes, seconds: float) -> Iterator[None]:
    """Let each peer say a byte now and then."""
    over = Event()

    def drip() -> None:
        for byte in content:
            for peer in peers:
                with suppress(Gone, OSError):
                    peer.socket.setblocking(False)
                    peer.say(bytes([byte]))
            if over.wait(seconds):
                return

    thread = Thread(target=drip)
    thread.start()
    yield
    over.set()
    thread.join()


def test_R1_slow_peers_keep_nobody_waiting_and_are_sent_away(
    slowed: Attacked,
    limits: tuple[int, int],
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    request_limit, idle_limit = limits
    port = slowed.port
    with ThreadPoolExecutor(16) as crowd:
        idle = list(crowd.map(lambda _: stalled(port, b""), range(200)))
        in_data = list(crowd.map(lambda n: stalled(port, STORE[: 90_000 + 99 * n]), range(8)))
        in_data_drip = list(crowd.map(lambda _: stalled(port, STORE[:400]), range(5)))
        silent = list(crowd.map(lambda _: connected(port, b""), range(200)))
        half = list(crowd.map(lambda n: connected(port, REQUEST[: 1 + n * 9]), range(20)))
        drip = list(crowd.map(lambda _: connected(port, REQUEST[:7]), range(20)))
    everyone = [idle, in_data, in_data_drip, silent, half, drip]
    echoes: list[float] = []
    try:
        with dripping(drip, REQUEST[7:], 0.3), dripping(in_data_drip, STORE[400:900], 0.3):
            waiting = Thread(target=lambda: echoes.extend(echo_on(port, request_limit - 1)))
            waiting.start()
            with ThreadPoolExecutor(6) as crowd:
                patience = max(limits) * at_length(10, 3) + 10
                ended = list(crowd.map(lambda peers: closings(peers, patience), everyone))
            waiting.join()
    finally:
        for peer in (peer for peers in everyone for peer in peers):
            peer.socket.close()
    late = [
        max(seconds) / limit
        for seconds, limit in zip(ended, [idle_limit] * 3 + [request_limit] * 3, strict=True)
    ]
    figure(
        f"200 silent, 20 half, 25 dripping, 8 stalled, 200 idle: {len(echoes)} good echoes in "
        f"{max(echoes):.2f} s at most; each bad one closed after {max(late):.0%} of its limit "
        f"({request_limit} s, {idle_limit} s) at most"
    )
    assert max(echoes) < at_length(10, 2)
    assert max(late) < at_length(1000, 110) / 100
    slowed.check_well()


def echo_on(port: int, seconds: float) -> Iterator[float]:
    """Let good peers come one after the other."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield good_echo(port)
        time.sleep(0.05)
