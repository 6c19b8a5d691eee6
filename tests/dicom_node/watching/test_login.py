"""Guesses at passwords are counted, whoever makes them, and sessions end."""

import time
from collections.abc import Callable

import pytest

from dicom_node.watching.page import login
from dicom_node.watching.page.login import Gate, hashed, is_password

PASSWORD = "correct horse battery"  # noqa: S105 - of a node that lives for a test
Figure = Callable[[str], None]


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_S6_guesses_wait_longer_and_longer(
    at_length: Callable[[int, int], int], figure: Figure
) -> None:
    clock, hours = Clock(), at_length(2, 24)
    gate = Gate({"u": hashed(PASSWORD)}, 60.0, clock)
    of_one = 0
    for _ in range(hours * 3600):
        of_one += gate.wait_seconds("10.0.0.1", "u") == 0
        clock.now += 1
    of_many = 0
    for number in range(600):
        of_many += gate.wait_seconds(f"10.{number % 250}.{number // 250}.1", "u") == 0
        clock.now += 0.1
    beside = gate.wait_seconds("2001:db8::1", "u") == 0
    figure(
        f"{of_one} guesses of one address in {hours} hours, {of_many} of 600 addresses in a minute"
    )
    assert of_one <= 15 + 4 * hours
    assert of_many <= login.GUESSES_OF_ALL
    assert not beside, "neighbors wait too"


def test_who_has_logged_in_before_is_not_locked_out_by_strangers() -> None:
    clock = Clock()
    gate = Gate({"u": hashed(PASSWORD)}, 60.0, clock)
    gate.let_in("u", "10.9.9.9")
    for number in range(100):
        gate.wait_seconds(f"10.0.{number}.1", "u")
    assert gate.wait_seconds("10.0.200.1", "u") > 0
    assert gate.wait_seconds("10.9.9.9", "u") == 0
    assert gate.wait_seconds("::ffff:10.9.9.9", "u") == 0


def test_S6_who_has_a_password_guesses_no_faster_than_a_stranger(
    at_length: Callable[[int, int], int], figure: Figure
) -> None:
    clock, hours = Clock(), at_length(2, 24)
    gate = Gate({"u": "", "eve": ""}, 60.0, clock)
    guesses = 0
    for _ in range(hours * 3600):
        if gate.wait_seconds("10.0.0.1", "eve") == 0:
            gate.let_in("eve", "10.0.0.1")
        guesses += gate.wait_seconds("10.0.0.1", "u") == 0
        clock.now += 1
    figure(f"{guesses} guesses in {hours} hours at another's password by who has one")
    assert guesses <= 15 + 4 * hours
    assert gate.wait_seconds("10.0.0.1", "eve") == 0, "and eve is not locked out by them"


def test_colleagues_at_one_address_log_in_one_after_another() -> None:
    gate = Gate({}, 60.0, Clock())
    for number in range(20):
        assert gate.wait_seconds("10.0.0.1", f"u{number}") == 0
        gate.let_in(f"u{number}", "10.0.0.1")


def test_what_is_remembered_of_guesses_is_bounded_and_forgiven_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    gate = Gate({}, 60.0, clock)
    monkeypatch.setattr(login, "ADDRESSES_REMEMBERED", 50)
    for number in range(200):
        gate.wait_seconds("10.0.0.1", f"u{number}")
        gate.let_in(f"u{number}", f"10.0.{number}.2")
    assert len(gate._guesses) + len(gate._known) <= 100
    assert gate.wait_seconds("10.0.0.1", "u") > 0
    clock.now += login.FORGIVEN_SECONDS + 1
    assert gate.wait_seconds("10.0.0.1", "u") == 0


def test_the_addresses_of_one_site_guess_together() -> None:
    gate = Gate({}, 60.0, Clock())
    waits = [gate.wait_seconds(f"2001:db8:1:2::{number:x}", "u") for number in range(1, 9)]
    assert waits[: login.FREE_GUESSES] == [0.0] * login.FREE_GUESSES
    assert all(wait > 0 for wait in waits[login.FREE_GUESSES :])


def test_a_session_ends_by_itself_and_there_are_not_too_many() -> None:
    clock = Clock()
    gate = Gate({"u": ""}, 60.0, clock)
    tokens = [gate.let_in("u", "::1") for _ in range(login.SESSIONS + 1)]
    assert gate.who(tokens[0]) == ""
    assert gate.who(tokens[-1]) == "u"
    clock.now += 61
    assert gate.who(tokens[-1]) == ""
    assert gate.who("") == ""


def test_an_unknown_name_takes_as_long_as_a_known_one() -> None:
    gate = Gate({"u": hashed(PASSWORD)}, 60.0)

    def seconds(name: str) -> float:
        took = []
        for _ in range(5):
            begun = time.thread_time()
            assert not gate.is_user(name, "wrong")
            took.append(time.thread_time() - begun)
        return min(took)

    assert 0.5 < seconds("u") / seconds("nobody") < 2


def test_a_password_is_kept_as_a_hash_alone() -> None:
    kept = hashed(PASSWORD)
    assert PASSWORD not in kept
    assert hashed(PASSWORD) != kept
    assert is_password(PASSWORD, kept)
    for other in ("", PASSWORD.upper(), PASSWORD + " "):
        assert not is_password(other, kept)
    for broken in ("", "scrypt:1:1:1", "scrypt:32768:8:1:AA:!", "scrypt:1073741824:8:1:AA:AA"):
        assert not is_password(PASSWORD, broken)
