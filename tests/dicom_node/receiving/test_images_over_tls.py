"""Over TLS only those get in whom an authority vouches for; what is wrong with files is said."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from authority import Authority
from open_listener import OpenListener
from private_process import program
from raw_senders import ACCEPTANCE, VERIFICATION, RawSender, associate_request
from rich.console import Console
from senders import until
from small_images import file_of, mammogram

from dicom_node.commands.peers import peer_at
from dicom_node.delivering.posting import post
from dicom_node.delivering.sender import Peer
from dicom_node.delivering.sender import echo as call
from dicom_node.errors import Busy, Misconfigured
from dicom_node.receiving.connection import Connection
from dicom_node.receiving.tls import last_day, server_context
from dicom_node.settings.file import Settings
from dicom_node.settings.receiving import TLS

OPENS = "open sesame"
ECHO = [(VERIFICATION, "1.2.840.10008.1.2")]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def table(ours: Authority) -> dict[str, object]:
    certificate, key = ours.vouch_for("node")
    return {"certificate": certificate, "private_key": key, "authorities": ours.certificate}


@pytest.fixture
def secure(listening: Callable[..., OpenListener], table: dict[str, object]) -> OpenListener:
    return listening(tls=table)


def over_tls(listener: OpenListener, authority: Path, own: tuple[Path, Path] | None) -> RawSender:
    """Shake hands as a sender would; in TLS 1.3 a refusal comes after it."""
    context = ssl.create_default_context(cafile=str(authority))
    if own is not None:
        context.load_cert_chain(*own)
    sender = RawSender(listener.port)
    sender.plug = context.wrap_socket(sender.plug, server_hostname="127.0.0.1")
    return sender


def test_a_sender_with_a_certificate_is_served(secure: OpenListener, ours: Authority) -> None:
    sender = over_tls(secure, ours.certificate, ours.vouch_for("modality"))
    assert sender.associate(ECHO) == ACCEPTANCE
    assert isinstance(sender.plug, ssl.SSLSocket)
    assert sender.plug.version() == "TLSv1.3"
    assert sender.release()
    sender.close()


def test_who_is_pushed_out_leaves_no_ciphertext_to_be_read_as_an_image(
    ours: Authority, table: dict[str, object]
) -> None:
    near, far = socket.socketpair()
    trusted = ssl.create_default_context(cafile=str(ours.certificate))
    trusted.load_cert_chain(*ours.vouch_for("modality"))
    plugs: list[ssl.SSLSocket] = []

    def shake_hands() -> None:
        plugs.append(trusted.wrap_socket(far, server_hostname="127.0.0.1"))

    hands = threading.Thread(target=shake_hands)
    hands.start()
    plug = server_context(TLS.model_validate(table)).wrap_socket(near, server_side=True)
    hands.join()
    plugs[0].sendall(b"the rest of an image")
    pushed = cast("Connection", SimpleNamespace(wire=SimpleNamespace(plug=plug)))
    Connection.push_out(pushed, "the node stops")
    read = b""
    with suppress(OSError):
        while piece := plug.recv(4096):
            read += piece
    assert read in {b"", b"the rest of an image"}
    plug.close()
    plugs[0].close()


def test_dcmtk_is_served_over_tls(secure: OpenListener, ours: Authority) -> None:
    certificate, key = ours.vouch_for("dcmtk")
    ended = subprocess.run(
        [
            *(program("echoscu"), "+tls", str(key), str(certificate)),
            *("+cf", str(ours.certificate), "-aec", "FOURVIEWS", "127.0.0.1", str(secure.port)),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def itself(port: int, tls: dict[str, object]) -> Peer:
    """Find whom `send` and `echo` call without a name."""
    settings = Settings.model_validate({"receiving": {"port": port, "tls": tls}})
    found = peer_at(settings, None, "TESTER")
    assert isinstance(found, Peer)
    return found


def test_the_node_calls_its_own_listener_over_tls(
    listening: Callable[..., OpenListener], ours: Authority, tmp_path: Path
) -> None:
    certificate, key = ours.vouch_for("own", password=OPENS, place="DNS:node.hospital.example")
    files = {"certificate": certificate, "private_key": key, "key_password": OPENS}
    table = {**files, "authorities": ours.certificate}
    listener = listening(tls=table)
    peer = itself(listener.port, table)
    call(peer)
    image = tmp_path / "image.dcm"
    image.write_bytes(file_of(mammogram()))
    page = StringIO()
    assert post(peer, [image], Console(file=page, width=300)) == 0
    assert "1 of 1 taken by FOURVIEWS@" in page.getvalue()
    assert listener.sentences("image received")


def test_where_nobody_vouches_for_the_nodes_own_certificate_its_call_says_so(
    listening: Callable[..., OpenListener], ours: Authority, tmp_path: Path
) -> None:
    certificate, key = Authority(tmp_path, "foreign").vouch_for("own")
    table: dict[str, object] = {"certificate": certificate, "private_key": key}
    listener = listening(tls={**table, "authorities": ours.certificate})
    with pytest.raises(Busy, match=r"it refuses the node's cert|does it believe the node's cert"):
        call(itself(listener.port, {**table, "authorities": ours.certificate}))
    other = listening(tls={**table, "mutual": False})
    call(itself(other.port, {**table, "mutual": False}))
    stranger, its_key = ours.vouch_for("stranger")
    with pytest.raises(Busy, match="none of the authorities that the node believes vouches"):
        call(itself(other.port, {"certificate": stranger, "private_key": its_key}))


@pytest.mark.parametrize("with_one", [True, False], ids=["foreign", "none"])
def test_a_sender_nobody_vouches_for_is_refused(
    secure: OpenListener,
    ours: Authority,
    tmp_path: Path,
    with_one: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    foreign = Authority(tmp_path, "foreign").vouch_for("stranger") if with_one else None
    sender = over_tls(secure, ours.certificate, foreign)
    sender.say(associate_request())
    with pytest.raises(ssl.SSLError):
        sender.plug.recv(6)
    sender.close()
    until(lambda: secure.sentences("association refused"))
    (told,) = secure.sentences("association refused")
    assert told.startswith("a connection from 127.0.0.1: TLS: ")
    assert "certificate" in told


def test_without_tls_nobody_is_served(secure: OpenListener) -> None:
    sender = RawSender(secure.port)
    sender.say(associate_request())
    while sender.plug.recv(100):
        pass
    until(lambda: secure.sentences("association refused"))
    (told,) = secure.sentences("association refused")
    assert told.startswith("a connection from 127.0.0.1: TLS: the sender speaks none")


def test_an_old_version_is_refused(secure: OpenListener, ours: Authority) -> None:
    ended = subprocess.run(
        [
            *("openssl", "s_client", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
            *("-CAfile", str(ours.certificate), "-connect", f"127.0.0.1:{secure.port}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "Cipher is (NONE)" in ended.stdout
    until(lambda: secure.sentences("association refused"))


def test_stalled_handshakes_keep_nobody_out(
    listening: Callable[..., OpenListener], table: dict[str, object], ours: Authority
) -> None:
    secure = listening(tls=table, associate_seconds=120.0)  # for so long they would keep others out
    stalled = [socket.create_connection(("127.0.0.1", secure.port)) for _ in range(20)]
    began = time.monotonic()
    sender = over_tls(secure, ours.certificate, ours.vouch_for("good"))
    assert sender.associate(ECHO) == ACCEPTANCE
    assert time.monotonic() - began < 60
    sender.close()
    for one in stalled:
        one.close()


def told(**changed: object) -> str:
    with pytest.raises(Misconfigured) as fault:
        server_context(TLS.model_validate(changed))
    return str(fault.value)


def test_what_is_wrong_with_the_files_is_said(
    table: dict[str, object], ours: Authority, tmp_path: Path
) -> None:
    other_key = ours.vouch_for("other")[1]
    nothing = tmp_path / "nothing.pem"
    assert told(**{**table, "certificate": nothing}) == (
        f"receiving.tls.certificate: {nothing} cannot be read: No such file or directory"
    )
    nothing.write_text("nothing")
    nothing.chmod(0o600)
    assert told(**{**table, "certificate": nothing}) == (
        f"receiving.tls.certificate: {nothing} holds no certificate in PEM form"
    )
    assert told(**{**table, "private_key": other_key}) == (
        f"receiving.tls.private_key: {other_key}: is not the key of the certificate"
    )
    assert told(**{**table, "private_key": nothing}) == (
        f"receiving.tls.private_key: {nothing}: holds no private key in PEM form that can be used"
    )
    assert told(**{**table, "authorities": nothing}) == (
        f"receiving.tls.authorities: {nothing} holds no certificates in PEM form"
    )
    assert "or set mutual = false" in told(**{**table, "authorities": None})


def test_a_key_may_have_a_password(table: dict[str, object], ours: Authority) -> None:
    certificate, key = ours.vouch_for("locked", password=OPENS)
    locked = {**table, "certificate": certificate, "private_key": key}
    server_context(TLS.model_validate({**locked, "key_password": OPENS}))
    for wrong in ("", "sesame"):
        assert told(**locked, key_password=wrong) == (
            f"receiving.tls.private_key: {key}: the key is encrypted, and key_password "
            "does not open it"
        )


def test_a_certificate_that_has_expired_is_said_to_be(
    table: dict[str, object], ours: Authority
) -> None:
    certificate, key = ours.vouch_for("old", days=-1)
    old = {**table, "certificate": certificate, "private_key": key}
    assert "expired on " in told(**old)
    assert last_day(TLS.model_validate(table)).year >= 2020
