"""Whatever a destination answers, the deliverer ends each call in its time, and goes on."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from damaged_bytes import damaged
from faulty_pacs import FaultyPacs, faulty_pacs
from small_images import file_of, mammogram

from dicom_node.delivering.sender import Parcel, Peer, connected
from dicom_node.errors import Busy

pytestmark = [
    pytest.mark.journey,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, of what it is made to read
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

AT_ONCE = 6
SYNTAX = "1.2.840.10008.1.2.1"
BLOCK = 64 << 10


def carry(source: socket.socket, sink: socket.socket, dice: random.Random | None) -> None:
    """Pass on what is said, one piece of it spoilt where there are dice."""
    which = dice.randrange(3) if dice is not None else -1
    with suppress(OSError):
        while words := source.recv(BLOCK):
            sink.sendall(damaged(words, dice) if dice is not None and which == 0 else words)
            which -= 1
    for wire in (source, sink):
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def spoiler() -> Iterator[tuple[FaultyPacs, Callable[[int], int]]]:
    """Run a PACS, and lend ways to it that spoil what it answers: a port for each seed."""
    with faulty_pacs() as pacs:

        def serve(listening: socket.socket, seed: int) -> None:
            with listening, suppress(OSError):
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", pacs.port), 60)
                with near, far:
                    back = threading.Thread(target=carry, args=(near, far, None), daemon=True)
                    back.start()
                    carry(far, near, random.Random(seed))  # noqa: S311 - dice, no secret
                    back.join()

        def way(seed: int) -> int:
            listening = socket.create_server(("127.0.0.1", 0))
            threading.Thread(target=serve, args=(listening, seed), daemon=True).start()
            return int(listening.getsockname()[1])

        yield pacs, way


@pytest.mark.timeout(900)
def test_R3_whatever_a_destination_answers_nothing_crashes_and_nothing_is_held(
    spoiler: tuple[FaultyPacs, Callable[[int], int]],
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    pacs, way = spoiler
    count = at_length(12, 300)

    def called(port: int, seconds: float = 1.0) -> bool:
        """Send an object, and say whether the peer is believed to have it."""
        image = mammogram()
        kind = str(image.SOPClassUID)
        peer = Peer("FAULTY", "127.0.0.1", port, "FOURVIEWS", seconds)
        with suppress(Busy), connected(peer, [(kind, SYNTAX)]) as line:
            if line.send(Parcel(kind, SYNTAX, file_of(image))) == 0x0000:
                assert str(image.SOPInstanceUID) in pacs.kept
                return True
        return False

    with ThreadPoolExecutor(AT_ONCE) as callers:
        believed = sum(callers.map(called, map(way, range(count))))
    held = [one for one in threading.enumerate() if one.name.startswith("RequestorThread")]
    for one in held:
        one.join(60)
    left = sum(one.is_alive() for one in held)
    assert left == 0
    assert believed < count
    assert called(pacs.port, 60.0), "who answers as he should is served as ever"
    figure(f"{count} calls with spoilt answers: 0 crashes, {left} threads held")
