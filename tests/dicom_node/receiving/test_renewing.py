"""Settings are read again while images come in; a file with a fault changes nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from free_ports import free_port
from open_listener import OpenListener
from private_process import PrivateProcess, program
from running_node import RunningNode, settings_text
from senders import associate, until

from dicom_node.auditing.duty import note_settings, values_kept
from dicom_node.household import Member
from dicom_node.receiving.commitment import committers
from dicom_node.renewing import OF_RECEIVING, Renewal, may_start_anew, renewed
from dicom_node.settings.file import Settings
from dicom_node.settings.receiving import Receiving

ECHO = [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]
CALLER = '\n[[receiving.callers]]\nae_title = "{}"\n'
PACS = """
[[delivering.destinations]]
name = "pacs"
ae_title = "PACS"
host = "10.0.0.9"
port = 104
"""


class Door:
    """A listener, and the file that it reads again."""

    def __init__(self, listener: OpenListener, path: Path) -> None:
        self.at, self.path = listener, path
        self.renewal = Renewal(listener.node)
        self.renewal.begin(self.take)

    def take(self, settings: Settings) -> None:
        self.at.listener.renew(settings.receiving, committers(settings))

    def told(self, more: str, **receiving: object) -> bool:
        """Write the file, and let the listener read it."""
        port, data = self.at.port, self.at.node.settings.data
        keys = "".join(f"{key} = {value}\n" for key, value in receiving.items())
        text = (
            f'[node]\ndata = "{data}"\n[receiving]\nport = {port}\nany_caller = false\n{keys}{more}'
        )
        self.path.write_text(text)
        return self.renewal.again()

    def lets_in(self, caller: str) -> bool:
        association = associate(self.at.port, ECHO, calling=caller)
        entered = association.is_established
        if entered:
            association.release()
        return entered


@pytest.fixture
def door(
    listening: Callable[..., OpenListener], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Door:
    path = tmp_path / "node.toml"
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(path))
    listener = listening(any_caller=False)
    with listener.node.ledger.writing() as session:
        note_settings(listener.node.ledger, session, listener.node.settings)
    return Door(listener, path)


def test_a_new_sender_is_let_in_and_one_that_is_gone_is_not(door: Door) -> None:
    assert not door.lets_in("ROOM_1")
    assert door.told(CALLER.format("ROOM_1"))
    assert door.lets_in("ROOM_1")
    assert door.told(CALLER.format("ROOM_2"))
    assert not door.lets_in("ROOM_1")
    assert door.lets_in("ROOM_2")


def test_the_trail_says_what_holds_and_what_waits_for_a_restart(door: Door) -> None:
    assert door.told(CALLER.format("ROOM_1") + PACS, max_associations=7, quiet_seconds=90.0)
    said = door.at.sentences("settings changed")[-1]
    now, _, later = said.partition("; after a restart: ")
    assert now.startswith("read again while images come in: ")
    for key in ("receiving.callers", "receiving.quiet_seconds", "delivering.destinations"):
        assert key in now
        assert key not in later
    assert later == "receiving.max_associations"
    node = door.at.node
    assert node.settings.receiving.quiet_seconds == 90
    assert node.settings.receiving.max_associations == 400, "the places are those of the start"
    kept = values_kept(node.engine, node.settings.digest)
    assert kept is not None
    assert kept["receiving.quiet_seconds"] == 90
    assert node.ledger.tells, "from now on a destination wants to hear how a study ended"
    count = len(door.at.sentences("settings changed"))
    assert door.renewal.again()
    assert len(door.at.sentences("settings changed")) == count, "nothing has changed since"


def test_a_file_with_a_fault_changes_nothing_and_is_told_of(door: Door) -> None:
    assert door.told(CALLER.format("ROOM_1"))
    held = door.at.node.settings
    assert not door.told(CALLER.format("A_TITLE_THAT_IS_TOO_LONG"))
    assert not door.told("[[receiving.callers\n")
    assert door.at.node.settings is held
    assert door.lets_in("ROOM_1")
    first, second = door.at.sentences("settings refused")
    assert "an AE title has 1 to 16" in first
    assert "is no valid TOML" in second


def test_who_is_asked_for_commitment_may_answer_from_then_on(door: Door) -> None:
    local = PACS.replace("10.0.0.9", "127.0.0.1")
    assert not door.lets_in("PACS")
    assert door.told(local + "commitment = true\n")
    push = [("1.2.840.10008.1.20.1", "1.2.840.10008.1.2")]
    association = associate(door.at.port, push, calling="PACS")
    assert association.is_established
    association.release()


def test_every_key_that_holds_at_once_is_one_and_the_others_stay() -> None:
    assert set(Receiving.model_fields) >= OF_RECEIVING
    held = Settings()
    wanted = Settings.model_validate(
        {"receiving": {"port": 104, "cap_seconds": 99.0}, "analyzing": {"device": "cuda"}}
    )
    got = renewed(held, wanted)
    assert (got.receiving.port, got.receiving.cap_seconds) == (11112, 99.0)
    assert got.analyzing == held.analyzing


def test_workers_are_not_started_anew_beside_a_listener_with_another_ledger(door: Door) -> None:
    door.told(PACS)
    node = door.at.node
    assert may_start_anew(node)
    door.path.write_text(
        door.path.read_text().replace("[receiving]", 'database = "x"\n[receiving]')
    )
    assert not may_start_anew(node)
    assert door.at.sentences("settings refused") == []
    door.path.write_text("[")
    assert not may_start_anew(node)
    (refused,) = door.at.sentences("settings refused")
    assert "is no valid TOML" in refused


def test_what_is_read_again_before_the_door_opens_holds_at_the_door(door: Door) -> None:
    door.renewal = Renewal(door.at.node)
    assert door.told(CALLER.format("ROOM_1"))
    assert not door.lets_in("ROOM_1")
    door.renewal.begin(door.take)
    assert door.lets_in("ROOM_1")


def test_a_listener_that_is_told_while_it_starts_hears_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
import signal, threading
from dicom_node.tending import let_sighup_wait, stop_on_signals
let_sighup_wait()
signal.raise_signal(signal.SIGHUP)
told = threading.Event()
stop_on_signals(threading.Event(), told.set)
raise SystemExit(0 if told.wait(55) else "it was not told")
"""
    own = [program("setsid"), "--wait", sys.executable, "-c", script]
    done = subprocess.run(own, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(sys, "executable", str(tmp_path / "waits"))
    (tmp_path / "waits").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "waits").chmod(0o755)
    hears, pulse = os.pipe()
    listener = Member(("listen",), tmp_path / "node.toml", pulse)
    listener.start()
    try:
        listener.tell()
        time.sleep(0.2)
        assert not listener.has_ended()
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()), "whoever starts it still hears"
    finally:
        listener.kill_all()
        os.close(hears)
        os.close(pulse)


def test_a_worker_that_is_told_ends_and_is_started_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Member] = []

    def start(self: Member) -> None:
        started.append(self)

    monkeypatch.setattr(Member, "start", start)
    member = Member(("work",), tmp_path / "node.toml", 1, started_at=time.monotonic())
    member.process = subprocess.Popen([program("sleep"), "600"], start_new_session=True)
    member.tell()
    assert member.process.wait() == -signal.SIGTERM
    assert member.look() is None
    assert started == [member]


@pytest.mark.journey
def test_the_running_listener_hears_sighup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, port = tmp_path / "node.toml", free_port()
    config.write_text(settings_text(tmp_path, port, []))
    monkeypatch.setenv("FOURVIEWS_CONFIG", str(config))
    node = RunningNode(tmp_path, config)
    listener = PrivateProcess(
        [program("setsid"), sys.executable, "-m", "dicom_node", "listen"], tmp_path / "listen.log"
    )
    try:
        node.wait_until_listening()
        config.write_text(config.read_text() + CALLER.format("ROOM_9"))
        os.kill(listener.pid, signal.SIGHUP)
        until(lambda: "settings read again" in (tmp_path / "listen.log").read_text())
        assert associate(port, ECHO, calling="ROOM_9").is_established
    finally:
        listener.end()
