"""R20: a listener that works for long holds no more at its end than at its beginning."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import wire
from attacked import Attacked
from raw_peer import Gone, Peer
from small_images import encoded, mammogram
from vitals import vitals

pytestmark = pytest.mark.journey

MEGABYTES = 8.0  # the rows of a ledger that grows are cached, a little


def visit(port: int, number: int) -> int:
    """Come in one of eight ways; return how many images were taken."""
    with Peer(port) as peer:
        way = number % 8
        if way == 0:
            peer.reset()
            return 0
        if way == 1:
            peer.say(b"\x01\x00\x00\x00\x40\x00half a request")
            return 0
        assert peer.open(calling=f"SENDER{number % 5}".encode()).kind == wire.ACCEPT
        assert peer.echo(number % 65535) == 0
        image = mammogram()
        uid, content = str(image.SOPInstanceUID), encoded(image)
        request = wire.store_request(3, wire.MAMMOGRAM, uid, content)
        if way == 2:
            peer.say(request[: len(request) // 2])
            peer.reset()
            return 0
        if way == 3:
            peer.say(request, wire.pdu(wire.ABORT, bytes(4)))
            with suppress(Gone):
                peer.hear()
            return 0
        if way == 4:
            peer.say(request[:-5], b"\xff" * 20)
            return 0
        assert peer.store(uid, content) == 0
        assert peer.store(uid, content) == 0  # a duplicate
        if way == 5:
            peer.reset()
        else:
            peer.release()
        return 1


def test_R20_long_work_leaves_nothing_behind(
    listener: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    warming, visits = at_length(80, 800), at_length(320, 8000)

    def come(first: int, count: int) -> int:
        with ThreadPoolExecutor(8) as crowd:
            return sum(crowd.map(lambda n: visit(listener.port, n), range(first, first + count)))

    taken = come(0, warming)
    listener.check_well()
    warm = vitals(listener.pid)
    taken += come(warming, visits)
    now = listener.check_well()
    grown = now.megabytes - warm.megabytes
    figure(
        f"{visits} associations, {taken} images: memory {grown:+.1f} MiB, "
        f"threads {now.threads - warm.threads:+d}, descriptors {now.files - warm.files:+d}"
    )
    assert grown < MEGABYTES
    assert len(listener.rows()) >= taken
    listener.check_what_is_kept()
