"""R20: a listener that works for long holds no more at its end than at its beginning."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise

import pytest
import wire
from attacked import Attacked
from raw_peer import Gone, Peer
from small_images import encoded, mammogram
from vitals import Vitals

pytestmark = pytest.mark.journey

ROUNDS = (6, 4)
# What is cached grows until the caches are full, in some rounds; what leaks grows in every one.
# A short form is over before they are, and has more rounds for it.
MEGABYTES_A_ROUND = (3, 1)


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
    visits, rounds = at_length(80, 1400), at_length(*ROUNDS)
    taken, held = 0, list[Vitals]()
    for number in range(1 + rounds):
        with ThreadPoolExecutor(8) as crowd:
            coming = range(number * visits, (number + 1) * visits)
            taken += sum(crowd.map(lambda guest: visit(listener.port, guest), coming))
        held.append(listener.check_well())
    grown = [now.megabytes - before.megabytes for before, now in pairwise(held)]
    figure(
        f"{rounds} rounds of {visits} associations after a first one, {taken} images: "
        f"memory {', '.join(f'{one:+.1f}' for one in grown)} MiB, "
        f"threads {held[-1].threads - held[0].threads:+d}, "
        f"descriptors {held[-1].files - held[0].files:+d}"
    )
    assert min(grown) < at_length(*MEGABYTES_A_ROUND)
    assert len(listener.rows()) >= taken
    listener.check_what_is_kept()
