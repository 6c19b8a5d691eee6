"""Whatever a connection does or leaves, it ends in time, in words, and keeps nobody out."""

import os
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from open_listener import OpenListener
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation
from raw_senders import (
    ABORT,
    ACCEPTANCE,
    LITTLE_ENDIAN,
    P_DATA,
    REJECTION,
    VERIFICATION,
    RawSender,
    associate_request,
    echo_command,
    pdu,
    pdv,
    store_command,
)
from senders import send, until
from small_images import encoded, mammogram

from dicom_node.receiving import fragments
from dicom_node.receiving import sparing as sparing_module
from dicom_node.receiving.places import Places
from dicom_node.receiving.server import Server
from dicom_node.receiving.sparing import WINDOW_SECONDS, Sparing
from dicom_node.receiving.wire import Stop

MAMMOGRAM = str(DigitalMammographyXRayImageStorageForPresentation)
KINDS = [(MAMMOGRAM, LITTLE_ENDIAN)]
ECHO = [(VERIFICATION, "1.2.840.10008.1.2")]


# However busy the machine is: without the limit that is tested, nobody is closed before this.
LONG_AFTER = 20.0


def seconds_until_closed(sender: RawSender) -> float:
    """Count from the connection on: the listener's time begins after it, never before."""
    while sender.hear()[0]:
        pass
    return time.monotonic() - sender.opened_at


@pytest.mark.parametrize("said", [b"", b"\x01", b"\x01\x00\x00\x00", associate_request()[:-10]])
def test_who_asks_for_no_association_is_closed_in_time(
    listening: Callable[..., OpenListener], said: bytes
) -> None:
    listener = listening(associate_seconds=0.5)
    sender = RawSender(listener.port)
    sender.say(said)
    assert 0.5 <= seconds_until_closed(sender) < LONG_AFTER
    sender.close()
    until(lambda: listener.sentences("association refused"))
    (told,) = listener.sentences("association refused")
    assert told == "a connection from 127.0.0.1: no association within 0.5 s"


def test_who_drips_is_closed_as_early_as_who_is_silent(
    listening: Callable[..., OpenListener],
) -> None:
    listener = listening(associate_seconds=0.6)
    sender = RawSender(listener.port)
    stop = threading.Event()

    def drip() -> None:
        for byte in associate_request():  # they last ten seconds
            if not stop.wait(0.05):
                sender.say(bytes([byte]))

    dripping = threading.Thread(target=drip)
    dripping.start()
    assert 0.6 <= seconds_until_closed(sender) < LONG_AFTER
    stop.set()
    dripping.join()
    sender.close()
    until(lambda: listener.sentences("association refused"))
    (told,) = listener.sentences("association refused")
    assert told == "a connection from 127.0.0.1: no association within 0.6 s"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "speaks HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "speaks TLS, and this node does not"),
        (b"SSH-2.0-x\r\n", "speaks SSH"),
        (b"\xff\xff\xff\xff\xff\xff", "does not speak DICOM"),
    ],
)
def test_who_speaks_something_else_is_closed_at_once(
    listener: OpenListener, said: bytes, told: str
) -> None:
    for _ in range(15):
        sender = RawSender(listener.port)
        sender.say(said)
        assert sender.hear()[0] == 0
        sender.close()
    until(lambda: len(listener.sentences("association refused")) == 10)
    sentences = set(listener.sentences("association refused"))
    assert sentences == {f"a connection from 127.0.0.1: {told}"}
    assert send(listener.port, mammogram()) == [0x0000]


@pytest.mark.parametrize(
    "request_",
    [
        associate_request()[:6] + b"\xff" * 100,
        associate_request().replace(b"\x50\x00", b"\x50\x00\xff\xff")[:-2],
        associate_request()[:74],
        pdu(0x01, associate_request()[6:], length=1 << 31),
        pdu(P_DATA, bytes(20)),
        associate_request(ECHO * 3).replace(b"\x20\x00\x00.\x03", b"\x20\x00\x00.\x01"),
        associate_request(calling="XBELL").replace(b"XBELL", b"\x07BELL"),
    ],
    ids=["ones", "lengths that lie", "cut off", "2 GiB", "data first", "numbers twice", "bell"],
)
def test_a_malformed_request_is_cut_off(listener: OpenListener, request_: bytes) -> None:
    sender = RawSender(listener.port)
    sender.say(request_)
    sender.plug.shutdown(socket.SHUT_WR)
    assert sender.hear()[0] in {ABORT, 0}
    sender.close()
    assert send(listener.port, mammogram()) == [0x0000]


def test_an_application_that_is_not_dicom_is_rejected(listener: OpenListener) -> None:
    sender = RawSender(listener.port)
    sender.say(associate_request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.9"))
    assert sender.hear() == (REJECTION, bytes([0, 1, 1, 2]))
    sender.close()


def test_who_sends_half_a_pdu_is_closed_in_time(listening: Callable[..., OpenListener]) -> None:
    listener = listening(idle_seconds=1.5)
    sender = RawSender(listener.port)
    assert sender.associate(KINDS) == ACCEPTANCE
    command = store_command(MAMMOGRAM, mammogram().SOPInstanceUID)
    sender.say(
        pdu(P_DATA, pdv(command, command=True)),
        pdu(P_DATA, pdv(bytes(100), last=False), length=5000),
    )
    until(listener.incoming)
    assert 1.5 <= seconds_until_closed(sender) < LONG_AFTER
    sender.close()
    until(lambda: listener.sentences("association cut off"))
    assert listener.sentences("association cut off") == ["nothing came for 1.5 s"]
    assert listener.incoming() == []


def test_who_keeps_a_place_with_next_to_nothing_is_cut_off(
    listening: Callable[..., OpenListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "SLOWEST_BYTES_PER_SECOND", 100_000)
    listener = listening(idle_seconds=1.5)
    sender = RawSender(listener.port)
    assert sender.associate(KINDS) == ACCEPTANCE
    command = store_command(MAMMOGRAM, mammogram().SOPInstanceUID)
    sender.say(pdu(P_DATA, pdv(command, command=True)))

    def drip() -> list[str]:
        sender.say(pdu(P_DATA, pdv(b"", last=False)))
        return listener.sentences("association cut off")

    until(drip)
    (told,) = listener.sentences("association cut off")
    assert "bytes of a message came in" in told
    assert listener.incoming() == []
    sender.close()


def test_who_never_reads_is_cut_off(
    listening: Callable[..., OpenListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    accept = Server.get_request

    def with_little_room(server: Server) -> tuple[socket.socket, tuple[str, int]]:
        plug, address = accept(server)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return plug, address

    monkeypatch.setattr(Server, "get_request", with_little_room)
    listener = listening(idle_seconds=0.5)
    sender = RawSender(listener.port)
    sender.plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert sender.associate(ECHO) == ACCEPTANCE
    sender.say(pdu(P_DATA, pdv(echo_command(), command=True)) * 20_000)
    until(lambda: listener.sentences("association cut off"))
    (told,) = listener.sentences("association cut off")
    assert told == "the sender does not read what it is answered"
    sender.close()


def test_silent_connections_keep_nobody_out(listening: Callable[..., OpenListener]) -> None:
    listener = listening(associate_seconds=120.0)  # for so long they would keep others out
    silent = [RawSender(listener.port) for _ in range(300)]
    until(lambda: len(listener.listener._places) == 300)
    began = time.monotonic()
    assert send(listener.port, mammogram()) == [0x0000]
    assert time.monotonic() - began < 60
    for one in silent:
        one.close()
    until(lambda: len(listener.listener._places) == 0)
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("sender ")])


class Guest:
    def __init__(self, address: str) -> None:
        self.address = address
        self.pushed_out = ""

    def push_out(self, why: str) -> None:
        self.pushed_out = why


def test_the_oldest_of_the_most_crowded_address_makes_room() -> None:
    places = Places(4, half_open=3)
    calm, crowd = Guest("10.0.0.1"), [Guest("10.0.0.2") for _ in range(3)]
    for one in (calm, *crowd):
        places.enter(one)
    assert [bool(one.pushed_out) for one in (calm, *crowd)] == [False, True, False, False]
    assert len(places) == 3


def test_one_address_leaves_a_quarter_of_the_places_to_others() -> None:
    places = Places(4)
    full = "3 senders are connected from this address already"
    assert [places.sit(Guest("10.0.0.2")) for _ in range(4)] == [None, None, None, full]
    assert places.sit(Guest("10.0.0.1")) is None
    assert places.sit(Guest("10.0.0.1")) == "4 senders are connected already"


@pytest.fixture
def minute_passes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let a minute be over that nobody waits for."""
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + WINDOW_SECONDS)
    return lambda: monkeypatch.setattr(sparing_module, "time", later)


def test_a_flood_of_one_sentence_is_counted_and_not_said(
    minute_passes: Callable[[], None],
) -> None:
    sparing = Sparing(most=2)
    assert [sparing.may_say("no") for _ in range(5)] == ["no", "no", None, None, None]
    assert sparing.may_say("another") == "another"
    minute_passes()
    assert sparing.may_say("no") == "no; and 3 times more before"


def test_who_invents_a_name_each_time_is_counted_too_and_hides_nobody_else(
    minute_passes: Callable[[], None],
) -> None:
    sparing = Sparing(most_of_one=3)
    said = [sparing.may_say(f"MG{number} is unknown", "10.0.0.9") for number in range(5)]
    assert said == ["MG0 is unknown", "MG1 is unknown", "MG2 is unknown", None, None]
    assert sparing.may_say("MG1 is unknown", "10.0.0.1") == "MG1 is unknown"
    minute_passes()
    told = sparing.may_say("MG9 is unknown", "10.0.0.9")
    assert told == "MG9 is unknown; 2 other lines of 10.0.0.9 were left out"


def test_the_image_in_flight_is_answered_before_the_node_stops(listener: OpenListener) -> None:
    image = mammogram()
    sender, idle = RawSender(listener.port), RawSender(listener.port)
    assert sender.associate(KINDS) == idle.associate(KINDS) == ACCEPTANCE
    data = encoded(image)
    command = store_command(MAMMOGRAM, image.SOPInstanceUID)
    sender.say(pdu(P_DATA, pdv(command, command=True)), pdu(P_DATA, pdv(data[:100], last=False)))
    until(listener.incoming)
    stopping = threading.Thread(target=listener.listener.stop)
    stopping.start()
    assert idle.hear()[0] == ABORT
    idle.close()
    with pytest.raises(ConnectionError):
        RawSender(listener.port)
    sender.say(pdu(P_DATA, pdv(data[100:])))
    assert sender.status() == 0x0000
    assert sender.hear()[0] == ABORT
    sender.close()
    stopping.join(60)
    assert not stopping.is_alive()
    assert listener.sentences("association cut off") == ["the node stops"] * 2
    assert listener.incoming() == []


def test_what_wakes_the_sleepers_is_closed_with_the_last_of_them() -> None:
    one = Stop()
    wakes = one.wakes
    os.fstat(wakes)
    del one
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(wakes)
