"""R19, R2: eight senders at once, each with images of the size of mammograms."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import wire
from attacked import attacked
from raw_peer import Peer
from small_images import encoded, mammogram
from vitals import forget_peak, vitals

pytestmark = pytest.mark.journey

SENDERS = 8
SIZE = 17 << 20
PDU_BYTES = 128 << 10
PIXELS = os.urandom(SIZE)
IN_PDUS = b"".join(wire.in_pieces(3, PIXELS, command=False, size=PDU_BYTES - 6))


def send(port: int, images: int) -> list[int | None]:
    """Send images that differ in their headers, one after the other."""
    answers: list[int | None] = []
    with Peer(port) as peer:
        assert peer.open().kind == wire.ACCEPT
        for _ in range(images):
            image = mammogram(PixelData=b"")
            uid = str(image.SOPInstanceUID)
            header = encoded(image)[:-4] + SIZE.to_bytes(4, "little")
            command = wire.in_pieces(3, wire.store_command(wire.MAMMOGRAM, uid), command=True)
            first = wire.pdu(wire.DATA, wire.fragment(3, header, command=False, last=False))
            answer = peer.ask(*command, first, IN_PDUS)
            answers.append(answer.status if answer is not None else None)
        peer.release()
    return answers


def test_R19_R2_eight_senders_are_served_fast_and_in_little_memory(
    tmp_path: Path, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    images = at_length(2, 25)
    with attacked(tmp_path) as target:
        send(target.port, 1)
        forget_peak(target.pid)
        started = time.monotonic()
        with ThreadPoolExecutor(SENDERS) as crowd:
            answers = list(crowd.map(lambda _: send(target.port, images), range(SENDERS)))
        seconds = time.monotonic() - started
        peak = vitals(target.pid).peak_megabytes
        refused = sum(status != 0 for one in answers for status in one)
        speed = SENDERS * images * SIZE / seconds / 1e6
        figure(
            f"{SENDERS} senders x {images} images of 17 MB: {refused} refused, {speed:.0f} MB/s "
            f"with fsync, {peak:.0f} MiB at most"
        )
        assert refused == 0
        assert target.check_what_is_kept() == SENDERS * images + 1
        assert peak < 300
        assert speed > at_length(10, 100)
        target.check_well()
