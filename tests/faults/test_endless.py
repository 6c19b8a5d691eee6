"""R2: whatever is announced or never ends, the listener's memory does."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from threading import Thread

import pytest
import wire
from attacked import Attacked, attacked
from raw_peer import Gone, Peer
from small_images import encoded, mammogram
from vitals import forget_peak, vitals
from wire import fragment, pdu

pytestmark = pytest.mark.journey

MEGABYTE = 1 << 20
ALLOWED_MEGABYTES = 64
STREAM = b"\0" * MEGABYTE
PIECE = bytes(64 << 10)
IMAGE = mammogram()


@dataclass(frozen=True)
class Attack:
    """What is sent, within an association or without one."""

    associated: bool
    first: bytes
    then: bytes  # again and again
    part: int = 1  # of the size that is sent: many small things take long


COMMAND = b"".join(
    wire.in_pieces(3, wire.store_command(wire.MAMMOGRAM, str(IMAGE.SOPInstanceUID)), command=True)
)
ATTACKS = {
    "a PDU of 4 GiB": Attack(True, pdu(wire.DATA, b"", wire.LARGEST), STREAM),
    "a request of 4 GiB": Attack(False, pdu(wire.ASSOCIATE, b"", wire.LARGEST), STREAM),
    "an unknown PDU of 4 GiB": Attack(True, pdu(0x99, b"", wire.LARGEST), STREAM),
    "an abort of 4 GiB": Attack(True, pdu(wire.ABORT, b"", wire.LARGEST), STREAM),
    "a fragment of 4 GiB": Attack(
        True, COMMAND + pdu(wire.DATA, fragment(3, b"", command=False, length=wire.LARGEST)), STREAM
    ),
    "a data set without end": Attack(
        True, COMMAND, pdu(wire.DATA, fragment(3, PIECE, command=False, last=False))
    ),
    "a command without end": Attack(
        True, b"", pdu(wire.DATA, fragment(3, PIECE, command=True, last=False))
    ),
    "a command of empty fragments": Attack(
        True, b"", pdu(wire.DATA, fragment(3, b"", command=True, last=False)) * 9000, 50
    ),
    "a request of many items": Attack(
        False, pdu(wire.ASSOCIATE, bytes(68), 120 << 10), wire.item(0x20, bytes(500)) * 9
    ),
}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("endless")) as listener:
        image = mammogram(PixelData=bytes(17 * MEGABYTE))
        for _ in range(2):
            with Peer(listener.port) as peer:  # what one good image takes is taken now
                peer.open()
                assert peer.store(str(image.SOPInstanceUID), encoded(image)) == 0
        yield listener


def grown(target: Attacked, attack: Callable[[], object]) -> float:
    """Say by how many megabytes the listener grows meanwhile."""
    before = vitals(target.pid).megabytes
    forget_peak(target.pid)
    attack()
    return vitals(target.pid).peak_megabytes - before


def flood(port: int, attack: Attack, size: int) -> int:
    """Send as much as is taken; return how much that was."""
    sent = 0
    with Peer(port) as peer:
        peer.socket.settimeout(20)
        if attack.associated:
            assert peer.open().kind == wire.ACCEPT
        with suppress(Gone, TimeoutError):
            peer.say(attack.first)
            for content in repeat(attack.then):
                peer.say(content)
                sent += len(content)
                if sent * attack.part >= size:
                    break
    return sent


def test_R2_what_never_ends_takes_no_memory(
    target: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    size = at_length(48, 256) * MEGABYTE
    most = {
        name: grown(target, lambda attack=attack: flood(target.port, attack, size))  # type: ignore[misc]
        for name, attack in ATTACKS.items()
    }
    worst = max(most, key=lambda name: most[name])
    figure(
        f"{len(most)} endless things of {size >> 20} MB: +{most[worst]:.0f} MiB at most ({worst})"
    )
    assert most[worst] < ALLOWED_MEGABYTES
    target.check_well()


def test_R2_a_flood_of_nothing_is_cut_off(target: Attacked, figure: Callable[[str], None]) -> None:
    """A sender of empty fragments is never slow and never too large; it is seen by their number."""
    floods = {
        "commands": Attack(
            True, b"", pdu(wire.DATA, fragment(3, b"", command=True, last=False)) * 100
        ),
        "data sets": Attack(
            True, COMMAND, pdu(wire.DATA, fragment(3, b"", command=False, last=False)) * 100
        ),
        "data sets in one PDU": Attack(
            True, COMMAND, pdu(wire.DATA, fragment(3, b"", command=False, last=False) * 100)
        ),
    }
    taken = [flood(target.port, one, 256 * MEGABYTE) for one in floods.values()]

    def said() -> int:
        return sum("empty fragments" in one for one in target.sentences("association cut off"))

    # Who came and went is written a moment later.
    target.running.wait_until(lambda: said() >= len(taken), "all floods cut off")
    figure(f"{len(taken)} floods of empty fragments: cut off within {max(taken) >> 10} KiB")
    assert max(taken) < 32 * MEGABYTE  # most of it lies in buffers
    target.check_well()


def pipelined(port: int, count: int, size: int, answers: list[int]) -> None:
    """Send images without waiting for the answers, which are read aside."""
    image = mammogram(PixelData=bytes(size))
    content = encoded(image)
    with Peer(port) as peer:
        assert peer.open().kind == wire.ACCEPT

        def read() -> None:
            with suppress(Gone, TimeoutError):
                answers.extend(peer.hear(120).status for _ in range(count))

        reader = Thread(target=read)
        reader.start()
        uid = str(image.SOPInstanceUID)
        for number in range(count):
            peer.say(wire.store_request(3, wire.MAMMOGRAM, uid, content, number % 65535))
        reader.join()


def test_R2_who_does_not_wait_for_answers_waits_in_the_network(
    target: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    count, answers = at_length(60, 600), list[int]()
    most = grown(target, lambda: pipelined(target.port, count, MEGABYTE, answers))
    figure(f"{count} MB pipelined: all answered, +{most:.0f} MiB")
    assert answers == [0] * count
    assert most < ALLOWED_MEGABYTES


def never_reads(port: int, megabytes: int) -> None:
    """Ask for answers, and read none of them."""
    with Peer(port) as peer:
        peer.socket.settimeout(10)
        assert peer.open().kind == wire.ACCEPT
        with suppress(Gone, TimeoutError):
            for _ in range(megabytes * 8):
                peer.say(wire.echo_request() * (MEGABYTE // 8 // 100))


def test_R2_who_never_reads_answers_is_cut_off(
    target: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    most = grown(target, lambda: never_reads(target.port, at_length(1, 16)))
    figure(f"answers that nobody reads: +{most:.0f} MiB")
    assert most < ALLOWED_MEGABYTES
    target.check_well()


def test_R2_many_beginnings_take_no_memory(target: Attacked, figure: Callable[[str], None]) -> None:
    """Let each of very many say as much as one may before it has to make sense."""
    request = pdu(wire.ASSOCIATE, bytes(68) + wire.item(0x20, bytes(60_000)), 128 << 10)
    command = pdu(wire.DATA, fragment(3, bytes(60_000), command=True, last=False))

    def begin(number: int) -> Peer:
        peer = Peer(target.port)
        if number % 2:
            assert peer.open().kind == wire.ACCEPT
        peer.say(command if number % 2 else request)
        return peer

    def all_begin() -> None:
        with ThreadPoolExecutor(16) as crowd:
            peers = list(crowd.map(begin, range(200)))
        for peer in peers:
            peer.socket.close()

    most = grown(target, all_begin)
    figure(f"200 requests and commands of 60 kB that do not end: +{most:.0f} MiB")
    assert most < ALLOWED_MEGABYTES
    target.check_well()
