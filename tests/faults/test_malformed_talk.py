"""R3: requests that are wrong somewhere; each one on a connection of its own.

Some may be answered kindly or not, as long as the listener stays well; others must not succeed.
"""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

import pytest
import wire
from attacked import Attacked
from raw_peer import Gone, Peer
from wrong_messages import NO_SUCCESS, ODD_TALK, Sample, Talk
from wrong_requests import NO_ASSOCIATION, ODD

pytestmark = pytest.mark.journey

NO_END = 1 << 16
MUTE = wire.Pdu(0, b"")  # stands for who was neither answered nor sent away


def answered(port: int, content: bytes) -> wire.Pdu | None:
    """Say something, then no more; return the first answer."""
    with Peer(port) as peer:
        with suppress(Gone, OSError):  # it may have been closed meanwhile
            peer.say(content)
            peer.socket.shutdown(socket.SHUT_WR)
        with suppress(Gone):
            try:
                return peer.hear()
            except TimeoutError:
                return MUTE
    return None


def has_association(answer: wire.Pdu | None) -> bool:
    """Tell whether something may now be sent."""
    return answer is not None and answer.kind == wire.ACCEPT and 0 in answer.results.values()


def test_R3_who_asks_wrongly_gets_no_association(
    listener: Attacked, figure: Callable[[str], None]
) -> None:
    with ThreadPoolExecutor(16) as crowd:
        ask = partial(answered, listener.port)
        wrong = dict(zip(NO_ASSOCIATION, crowd.map(ask, NO_ASSOCIATION.values()), strict=True))
        odd = dict(zip(ODD, crowd.map(ask, ODD.values()), strict=True))
    assert [name for name, answer in wrong.items() if has_association(answer)] == []
    assert [name for name, answer in (wrong | odd).items() if answer is MUTE] == []
    now = listener.check_well()
    figure(
        f"{len(wrong)} malformed and {len(odd)} odd association requests: 0 let in that must not, "
        f"0 left hanging, {max(0, now.threads - listener.before.threads)} threads held"
    )


def talked(port: int, said: Talk) -> list[int]:
    """Say something within an association, and listen to the end; 65536 stands for no end."""
    found: list[int] = []
    with Peer(port) as peer:
        assert peer.open().kind == wire.ACCEPT
        with suppress(Gone):
            peer.say(said if isinstance(said, bytes) else said(Sample()))
        try:
            while True:
                answer = peer.hear()
                if answer.kind == wire.DATA:
                    found.append(answer.status)
        except Gone:
            return found
        except TimeoutError:
            return [*found, NO_END]


def test_R3_what_is_asked_wrongly_is_never_a_success(
    listener: Attacked, figure: Callable[[str], None]
) -> None:
    with ThreadPoolExecutor(20) as crowd:
        say = partial(talked, listener.port)
        wrong = dict(zip(NO_SUCCESS, crowd.map(say, NO_SUCCESS.values()), strict=True))
        kept = listener.rows()
        odd = dict(zip(ODD_TALK, crowd.map(say, ODD_TALK.values()), strict=True))
    assert {name: said for name, said in wrong.items() if 0 in said} == {}
    assert kept == {}
    assert [name for name, said in (wrong | odd).items() if NO_END in said] == []
    listener.check_well()
    listener.check_what_is_kept()
    told = sum(bool(said) for said in wrong.values())
    figure(
        f"{len(wrong)} malformed and {len(odd)} odd messages: 0 wrong ones a Success, {told} told "
        f"by a status, the rest sent away"
    )
