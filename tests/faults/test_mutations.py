"""R3: thousands of requests, commands and images, each damaged somewhere by chance."""

import random
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
import wire
from attacked import Attacked
from damaged_bytes import damaged
from raw_peer import STORAGE, Gone, Peer
from small_images import encoded, mammogram

pytestmark = pytest.mark.journey

SEED = 20260101


def requests(number: int) -> tuple[bytes, bytes]:
    """Return what is right but for one part."""
    chance = random.Random(SEED + number)  # noqa: S311 - the same again, on purpose
    image = mammogram()
    uid, content = str(image.SOPInstanceUID), encoded(image)
    request = wire.associate(*STORAGE, calling=b"MUTANT")
    command = wire.store_command(wire.MAMMOGRAM, uid)
    part = number % 5
    if part == 0:
        request = damaged(request, chance)
    elif part == 1:
        command = damaged(command, chance)
    elif part == 2:
        content = damaged(content, chance)
    elif part == 3:
        content = damaged(content[:600], chance) + content[600:]
    size = chance.choice((100, 16000))
    said = b"".join(wire.in_pieces(3, command, command=True, size=size))
    said += b"".join(wire.in_pieces(3, content, command=False, size=size))
    return request, damaged(said, chance) if part == 4 else said


def was_taken(port: int, number: int) -> bool:
    """Say what is right but for one part; tell whether an image was taken."""
    request, said = requests(number)
    with Peer(port) as peer, suppress(Gone, TimeoutError):
        peer.say(request)
        peer.socket.settimeout(60)
        if number % 5 == 0:
            peer.socket.shutdown(socket.SHUT_WR)
        elif peer.hear().kind == wire.ACCEPT:
            peer.say(said, wire.pdu(wire.RELEASE, bytes(4)))
            while (answer := peer.hear()).kind not in {wire.ABORT, wire.RELEASED}:
                if answer.kind == wire.DATA:
                    return answer.status == 0
    return False


def test_R3_damaged_by_chance_nothing_breaks_and_nothing_broken_is_kept(
    listener: Attacked, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    count = at_length(200, 10_000)
    with ThreadPoolExecutor(24) as crowd:
        taken = sum(crowd.map(partial(was_taken, listener.port), range(count)))
    listener.check_well()
    kept = listener.check_what_is_kept()
    figure(
        f"{count} mutations with seed {SEED}: 0 crashes, 0 held; {taken} harmless ones taken, "
        f"{kept} kept, each of them whole"
    )
    assert kept >= taken
    assert len(listener.incoming()) == 0
