"""R6: over TLS only those come in whom our authority vouches for, and nobody waits for stallers."""

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wire
from attacked import Attacked, attacked
from authority import Authority
from raw_peer import STANDARD, Gone, Peer, closings, good_echo

pytestmark = pytest.mark.journey

SECONDS = 5.0


def trusting(authority: Authority, own: tuple[Path, Path] | None) -> ssl.SSLContext:
    """Trust an authority, and show a certificate of one's own, or none."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if own is not None:
        context.load_cert_chain(*own)
    return context


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def good(ours: Authority) -> ssl.SSLContext:
    return trusting(ours, ours.vouch_for("modality"))


@pytest.fixture(scope="module")
def secure(
    ours: Authority, good: ssl.SSLContext, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    certificate, key = ours.vouch_for("node")
    table = (
        f'[receiving.tls]\ncertificate = "{certificate}"\nprivate_key = "{key}"\n'
        f'authorities = "{ours.certificate}"\n'
    )
    folder = tmp_path_factory.mktemp("secure")
    with attacked(folder, table, tls=good, associate_seconds=SECONDS) as target:
        yield target


def gets_in(port: int, tls: ssl.SSLContext | None) -> bool:
    """Ask for an association; in TLS 1.3 a refusal comes after the handshake."""
    try:
        with Peer(port, tls=tls) as peer:
            return peer.open(STANDARD).kind == wire.ACCEPT
    except (Gone, OSError, TimeoutError):
        return False


def outdated(context: ssl.SSLContext) -> ssl.SSLContext:
    """Speak nothing newer than TLS 1.1."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_R6_who_is_not_vouched_for_stays_outside(
    secure: Attacked,
    ours: Authority,
    good: ssl.SSLContext,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    foreign = Authority(tmp_path, "foreign")
    itself = Authority(tmp_path, "itself")
    callers = {
        "plain": None,
        "without a certificate": trusting(ours, None),
        "of a foreign authority": trusting(ours, foreign.vouch_for("stranger")),
        "vouched for by itself": trusting(ours, (itself.certificate, itself.key)),
        "expired": trusting(ours, ours.vouch_for("expired", days=-1)),
        "of TLS 1.1": outdated(trusting(ours, ours.vouch_for("old"))),
    }
    assert [name for name, tls in callers.items() if gets_in(secure.port, tls)] == []
    assert gets_in(secure.port, good)
    assert not gets_in(secure.port, trusting(foreign, None))  # who does not trust us, leaves
    exact = trusting(ours, ours.vouch_for("twelve"))
    exact.maximum_version = ssl.TLSVersion.TLSv1_2
    assert gets_in(secure.port, exact)
    said = secure.sentences("association refused")
    assert sum("TLS: " in one for one in said) >= len(callers)
    secure.check_well()
    figure(f"{len(callers)} kinds of callers refused in words, TLS 1.2 and 1.3 let in")


@pytest.mark.parametrize("count", [5, 50])
def test_R6_stalled_handshakes_keep_nobody_waiting(
    secure: Attacked,
    good: ssl.SSLContext,
    count: int,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    hello = bytes.fromhex("16030100f8010000f40303")
    peers = [Peer(secure.port) for _ in range(count)]
    try:
        for number, peer in enumerate(peers):
            peer.say(hello[: number % len(hello)])
        echoes = []
        deadline = time.monotonic() + SECONDS / 2
        while time.monotonic() < deadline:
            echoes.append(good_echo(secure.port, tls=good))
        ended = closings(peers, SECONDS * 10)
    finally:
        for peer in peers:
            peer.socket.close()
    figure(
        f"{count} stalled handshakes: {len(echoes)} good echoes in {max(echoes):.2f} s at most; "
        f"closed after {max(ended):.1f} s of {SECONDS:g} s"
    )
    assert max(echoes) < at_length(10, 2)
    assert max(ended) < SECONDS * at_length(1000, 110) / 100
    secure.check_well()
