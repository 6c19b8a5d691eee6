"""The sweep rings for what is due, and no more than helps."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
import redis
from destinations import Posted
from free_ports import free_port
from ledger_book import Book
from pydantic import SecretStr
from redis_server import RedisServer

from dicom_node.cli import trouble_of_bell
from dicom_node.doorbell import Bell
from dicom_node.ledger.clock import steady
from dicom_node.ledger.commitments import places_due
from dicom_node.ledger.ledger import RING_AGAIN, now
from dicom_node.ledger.outbox import record_receipt
from dicom_node.life import ANALYZE, DELIVER, VERBS, State, Verb
from dicom_node.settings.file import Settings
from dicom_node.tending import LONG_QUEUE, sweep_once
from dicom_node.watching.checkup import QUESTIONS
from dicom_node.wiring import Node

CASES = 20


def rings(node: Node, verb: Verb) -> int:
    folder = node.settings.data / "queue" / "messages"
    return len(list(folder.glob(f"*.{verb.name}.msg")))


def test_each_due_case_is_rung_for_in_the_queue_of_its_step(node: Node) -> None:
    book = Book(node.engine)
    for number, verb in enumerate(VERBS, 1):
        book.case_at(verb.before, f"2.25.{number}")
    book.case_at(State.DELIVERED, "2.25.9")
    assert sweep_once(node) == len(VERBS)
    assert [rings(node, verb) for verb in VERBS] == [1, 1, 1]


def crowd(node: Node, verb: Verb) -> None:
    """Let a queue be as long as it may be."""
    folder = node.settings.data / "queue" / "messages"
    folder.mkdir(parents=True)
    for number in range(LONG_QUEUE):
        (folder / f"{number}_x.{verb.name}.msg").touch()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_queue_that_nobody_serves_does_not_grow_for_ever(node: Node, verb: Verb) -> None:
    crowd(node, verb)
    Book(node.engine).case_at(verb.before)
    assert sweep_once(node) == 0
    assert rings(node, verb) == LONG_QUEUE


def test_nor_does_it_grow_by_what_is_to_be_committed(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    place = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 9}
    node = opened(settled(delivering={"destinations": [{**place, "commitment": True}]}))
    office = Posted(node)
    (row,) = office.rows(office.case(objects=1))
    record_receipt(node.ledger, row.id, 0x0000, now())
    assert len(places_due(node.questions)) == 1
    crowd(node, DELIVER)
    sweep_once(node)
    assert rings(node, DELIVER) == LONG_QUEUE


def test_a_bell_that_nobody_hears_is_not_tried_for_each_case(
    settled: Callable[..., Settings], opened: Callable[[Settings], Node]
) -> None:
    settings = settled()
    broker = f"redis://127.0.0.1:{free_port()}/0"
    node = opened(
        settings.model_copy(
            update={"node": settings.node.model_copy(update={"broker": SecretStr(broker)})}
        )
    )
    for number in range(20):
        Book(node.engine).case_at(State.RECEIVED, f"2.25.{number + 1}")
    started = time.monotonic()
    assert sweep_once(node) == 0
    assert time.monotonic() - started < 100


def test_R14_what_an_evicting_redis_drops_is_rung_for_again_and_it_is_named(
    private_redis: RedisServer,
    settled: Callable[..., Settings],
    opened: Callable[[Settings], Node],
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
) -> None:
    settings = settled()
    given = settings.node.model_copy(update={"broker": SecretStr(private_redis.url)})
    node = opened(settings.model_copy(update={"node": given}))
    private_redis.flush()
    assert trouble_of_bell(node) == ""
    bell = Bell(node.settings)
    for number in range(CASES):
        Book(node.engine).case_at(State.RECEIVED, f"2.25.{number + 1}")
    with redis.Redis(port=private_redis.port) as client:
        try:
            client.config_set("maxmemory-policy", "allkeys-lru")
            assert sweep_once(node) == bell.waiting(ANALYZE) == CASES
            assert "maxmemory-policy allkeys-lru" in trouble_of_bell(node)
            assert QUESTIONS["does the bell ring?"](node).startswith("warning: ")
            client.config_set("maxmemory", "1mb")  # less than it needs for itself
            with suppress(redis.exceptions.OutOfMemoryError):
                client.set("somebody", "else's")
            assert bell.waiting(ANALYZE) == 0
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
    assert sweep_once(node) == 0, "each is rung for once a while"
    monkeypatch.setattr(steady, "zero", steady.zero + RING_AGAIN)
    again = sweep_once(node)
    assert again == bell.waiting(ANALYZE) == CASES
    private_redis.flush()
    figure(f"allkeys-lru dropped {CASES} of {CASES} rings, {again} rung for again, 0 lost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_whichever_thread_it_comes_to(number: signal.Signals) -> None:
    """Of a process, Linux signals any thread, and the main thread sleeps on if it is another."""
    script = f"""
import signal, sys, threading, time
from dicom_node.tending import stop_on_signals
stop = threading.Event()
stop_on_signals(stop)
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
threading.Timer(0.5, signal.pthread_kill, (other.ident, {int(number)})).start()
sys.exit(0 if stop.wait(55) else "it sleeps on")
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
