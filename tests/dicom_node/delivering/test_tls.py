"""A destination over TLS: its name and its authority are checked, and the node shows itself."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from authority import Authority, Papers
from destinations import Posted
from faulty_pacs import FaultyPacs
from pydantic import SecretStr

from dicom_node.delivering.asking import ask
from dicom_node.delivering.cable import unplug
from dicom_node.delivering.places import peer_of
from dicom_node.delivering.sender import Peer, echo
from dicom_node.delivering.web import WebPeer
from dicom_node.errors import Busy
from dicom_node.life import State
from dicom_node.settings.delivering import ClientTLS

OPENS = "of a test"
PATIENCE_SECONDS = 30.0


@pytest.fixture
def guarded(papers: Papers, request: pytest.FixtureRequest) -> Callable[..., FaultyPacs]:
    """Start PACS that are called over TLS by who has a certificate of the authority."""

    def start(
        paper: str = "here", newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    ) -> FaultyPacs:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*papers.of(paper))
        context.load_verify_locations(papers.of("ours")[0])
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = newest
        pacs = FaultyPacs("GUARDED", tls=context)
        pacs.start()
        request.addfinalizer(pacs.stop)
        return pacs

    return start


def test_objects_go_out_over_tls(
    guarded: Callable[..., FaultyPacs], posted: Callable[..., Posted], papers: Papers
) -> None:
    pacs = guarded()
    office = posted({**pacs.table, "tls": papers.table()})
    case_id = office.case(objects=3)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(pacs.kept) == 3
    peer = peer_of(office.node.settings, "guarded", "")
    assert peer is not None
    echo(peer)


@pytest.mark.parametrize(
    ("server", "tls", "wanted"),
    [
        ({}, {"authority": "foreign"}, "over TLS: none of the authorities .* vouches for its"),
        ({"paper": "elsewhere"}, {}, "over TLS: its certificate is for another name"),
        ({"paper": "expired"}, {}, "over TLS: its certificate has expired"),
        ({"newest": ssl.TLSVersion.TLSv1_1}, {}, "over TLS: it speaks no version of TLS, or"),
        ({}, {"own": ""}, "accepts the connection over TLS, and ends it at the association"),
        ({}, None, "accepts the connection, and ends it at .* does it want TLS?"),
    ],
    ids=["foreign authority", "another name", "expired", "too old", "no own certificate", "plain"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_nothing_goes_to_whom_one_should_not_trust(
    guarded: Callable[..., FaultyPacs],
    posted: Callable[..., Posted],
    papers: Papers,
    server: dict[str, object],
    tls: dict[str, str] | None,
    wanted: str,
) -> None:
    pacs = guarded(**server)
    wish = {} if tls is None else {"tls": papers.table(**tls)}
    office = posted({**pacs.table, **wish})
    case_id = office.case()
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert pacs.kept == {}
    (road,) = office.node.questions.roads_down()
    assert re.search(wanted, road.last_error)


def drip(listening: socket.socket) -> None:
    """Begin an answer to a handshake, and go on with a byte from time to time."""
    with suppress(OSError):
        wire, _ = listening.accept()
        with wire:
            wire.sendall(b"\x16\x03\x03\x3f\xff")
            while True:
                time.sleep(0.1)
                wire.sendall(b"\x02")


@pytest.mark.parametrize("over", ["DICOM", "HTTP"])
@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_who_takes_the_connection_and_shakes_no_hands_is_left_soon_and_told_apart(
    papers: Papers,
    over: str,
    drips: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    tls = ClientTLS.model_validate(papers.table())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if drips:
            threading.Thread(target=drip, args=(listening,), daemon=True).start()
        port = listening.getsockname()[1]
        none = SecretStr("")
        peer = (
            Peer("MUTE", "127.0.0.1", port, "FOURVIEWS", 0.5, tls)
            if over == "DICOM"
            else WebPeer(f"https://127.0.0.1:{port}", 0.5, "", none, none, tls)
        )
        started = time.monotonic()
        with pytest.raises(Busy, match=r"cannot be reached.*: no answer within 0\.5 s"):
            ask(peer)
        assert time.monotonic() - started < PATIENCE_SECONDS


def test_a_connection_that_is_ended_from_without_stays_encrypted(papers: Papers) -> None:
    near, far = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*papers.of("here"))

    def shake_hands() -> None:
        with server.wrap_socket(far, server_side=True) as other, suppress(OSError):
            other.recv(1)

    hands = threading.Thread(target=shake_hands)
    hands.start()
    caller = ssl.create_default_context(cafile=str(papers.of("ours")[0]))
    with caller.wrap_socket(near, server_hostname="127.0.0.1") as plug:
        unplug(plug)
        hands.join()
        with pytest.raises((OSError, ssl.SSLError)):
            plug.send(b"what nobody else may read")
        assert plug.version() is not None, "without its encryption, this would have gone out plain"


def test_a_key_under_a_password_is_said_and_nobody_is_asked_at_a_terminal(
    guarded: Callable[..., FaultyPacs],
    posted: Callable[..., Posted],
    tmp_path: Path,
) -> None:
    certificate, key = Authority(tmp_path, "its_own").vouch_for("locked", password=OPENS)
    tls = {"certificate": str(certificate), "key": str(key)}
    office = posted({**guarded().table, "tls": tls})
    with pytest.raises(Busy):
        office.deliver(office.case())
    (road,) = office.node.questions.roads_down()
    assert "its tls table does not work" in road.last_error
