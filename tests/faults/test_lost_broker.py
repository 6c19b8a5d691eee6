"""A broker that is lost in every way there is: no study is, and no sender hears of it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import redis
from dcmtk import storescu
from kombu import Message, Queue
from redis_server import RedisServer, redis_server
from running_node import Pacs, RunningNode, running_node
from slow_pacs import slow_pacs
from tcp_proxy import TcpProxy, tcp_proxy

from dicom_node import doorbell
from dicom_node.life import ANALYZE, REPORT, State
from dicom_node.settings.file import Settings
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey


def order(body: object = ([1], {}, {}), **changed: object) -> bytes:
    """Write what Celery would obey, and is no ring."""
    headers = {"lang": "py", "task": "analyze", "id": uuid.uuid4().hex, "retries": 0}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {**headers, "eta": None, "timelimit": [None, None], **changed},
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "analyze"},
                "delivery_tag": uuid.uuid4().hex,
                "priority": 0,
            },
        }
    ).encode()


GARBAGE: tuple[bytes, ...] = (
    b"no JSON",
    b"\xff\xfe\x00",
    b"[]",
    b"{}",
    b"null",
    b"7",
    b'"text"',
    b'{"body": "%%%", "properties": {"body_encoding": "base64"}}',
    json.dumps({"body": "x", "headers": {}, "properties": {"delivery_tag": "t"}}).encode(),
    b"[" * 100_000,
    order(eta="2199-01-01T00:00:00"),
    order(eta="no time"),
    order(timelimit=[0.001, 0.001]),
    order(retries=-5),
    order(compression="zlib"),
    order(task="os.system"),
    order(([], {}, {})),
    order((["1"], {}, {})),
    order(([1], {}, {"chain": [{"task": "analyze", "args": [1]}]})),
)
QUEUES = ("analyze", "report", "deliver")
BOOKS = ("unacked", "unacked_index", "unacked_mutex")  # kombu's own


class Trial:
    """One node behind one Redis, and what is done to that."""

    def __init__(self, node: RunningNode, server: RedisServer, proxy: TcpProxy) -> None:
        self.node, self.server, self.proxy = node, server, proxy
        self.client = redis.Redis(port=server.port, socket_timeout=60)

    def kill(self) -> None:
        self.server.stop()
        self.server.start()

    def flush(self) -> None:
        self.client.flushall()

    def garbage(self) -> None:
        for queue in QUEUES:
            self.client.lpush(queue, *GARBAGE)
            self.client.rpush(queue, *GARBAGE)

    def other_type(self) -> None:
        for key in (*QUEUES, *BOOKS, *(f"_kombu.binding.{queue}" for queue in QUEUES)):
            self.client.delete(key)
            self.client.set(key, "no list")

    def evict(self) -> None:
        self.client.config_set("maxmemory-policy", "allkeys-lru")
        self.client.config_set("maxmemory", "1mb")

    def full(self) -> None:
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("maxmemory", "1")

    def read_only(self) -> None:
        self.client.replicaof("127.0.0.1", 1)

    def password(self) -> None:
        self.client.config_set("requirepass", "another")
        self.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def black_hole(self) -> None:
        self.proxy.set("black hole")

    def refused(self) -> None:
        self.proxy.set("refused")

    def mend(self) -> None:
        """Make it a good Redis again, as an administrator does."""
        self.server.stop()
        self.server.start()
        self.proxy.set("open", cut=True)
        self.client = redis.Redis(port=self.server.port, socket_timeout=60)


WAYS: dict[str, Callable[[Trial], None]] = {
    "killed": Trial.kill,
    "flushed": Trial.flush,
    "garbage": Trial.garbage,
    "another type": Trial.other_type,
    "evicting": Trial.evict,
    "full": Trial.full,
    "read-only": Trial.read_only,
    "wrong password": Trial.password,
    "black hole": Trial.black_hole,
    "refused": Trial.refused,
}
HEALING = {"killed", "flushed", "garbage", "another type"}  # what needs nobody's hand afterwards


def files(folder: Path, name: str) -> tuple[str, list[Path]]:
    images = datasets(study(7), uid_salt=name)
    return str(images[0].StudyInstanceUID), write(images, folder / name)


def stored(node: RunningNode, paths: list[Path]) -> float:
    began = time.monotonic()
    assert storescu(paths, node.port).returncode == 0
    return time.monotonic() - began


def test_R14_a_broker_that_is_lost_loses_no_study(
    tmp_path: Path, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    few = ["garbage", "black hole"]
    ways = [*WAYS] if at_length(0, 1) else few
    server = RedisServer(tmp_path)
    server.start()
    slowest, rebuilt = 0.0, 0.0
    with (
        tcp_proxy(server.port) as proxy,
        slow_pacs() as pacs,
        running_node(
            tmp_path / "node",
            [Pacs("pacs", pacs.ae_title, pacs.port)],
            broker=f"redis://127.0.0.1:{proxy.port}/0",
        ) as node,
    ):
        node.start("up")
        node.wait_until_listening()
        trial = Trial(node, server, proxy)
        for way in ways:
            WAYS[way](trial)
            study_uid, paths = files(tmp_path, way)
            slowest = max(slowest, stored(node, paths))
            if way not in HEALING:
                time.sleep(3)
                trial.mend()
            began = time.monotonic()
            assert node.wait_for_end(study_uid).state == State.DELIVERED, way
            rebuilt = max(rebuilt, time.monotonic() - began)
        server.stop()
    figure(
        f"{len(ways)} ways: {len(ways)} of {len(ways)} studies delivered, four images stored "
        f"within {slowest:.1f} s, delivered at most {rebuilt:.0f} s after"
    )
    assert slowest < at_length(60, 10)
    assert rebuilt < at_length(300, 60)


def test_R14_keys_of_another_kind_are_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str], None]
) -> None:
    monkeypatch.setattr(doorbell, "DEAF_SECONDS", 0.0)
    spoiled = (*QUEUES, *BOOKS, *(f"_kombu.binding.{queue}" for queue in QUEUES))
    with redis_server() as server, redis.Redis(port=server.port) as client:
        node = {"data": tmp_path, "broker": server.url}
        bell = doorbell.Bell(Settings.model_validate({"node": node}))
        assert bell.ring(7, ANALYZE)
        for key in spoiled:
            client.delete(key)
            client.set(key, "of another kind")
        heard = [bell.ring(7, ANALYZE) for _ in range(3)]
        assert bell.waiting(ANALYZE) >= 1
    figure(f"{len(spoiled)} keys of another kind: heard again at ring {heard.index(True) + 1}")
    assert heard[-1]


@pytest.mark.parametrize("kind", ["redis", "folder"])
def test_R14_a_ring_that_a_worker_stumbles_over_is_not_its_last(tmp_path: Path, kind: str) -> None:
    with redis_server() if kind == "redis" else nullcontext() as server:
        settings = Settings.model_validate(
            {"node": {"data": tmp_path, "broker": server.url if server else ""}}
        )
        bell, heard = doorbell.Bell(settings), []

        def stumble(_: object, message: Message) -> None:
            heard.append(message)
            if len(heard) < 3:
                raise ValueError("whatever Celery says")
            message.ack()

        with doorbell.queue(settings).connection_for_read() as connection:
            ears = connection.Consumer(
                [Queue(ANALYZE.name, routing_key=ANALYZE.name)],
                callbacks=[stumble],
                accept=["json"],
            )
            ears.qos(prefetch_count=1)
            with ears:
                assert all(bell.ring(number, ANALYZE) for number in range(1, 4))
                for _ in range(3):
                    connection.drain_events(timeout=90)
    assert len(heard) == 3


DEAF = """
import sys
from dicom_node import doormat, pulse
doormat.RedisChannel._brpop_start = lambda *_, **__: None
pulse.DEAF_SECONDS, pulse.LISTEN_SECONDS = 1.0, 0.5
from dicom_node.cli import run
sys.argv = ["dicom-node", "work", "--only", "report"]
run()
"""


def test_R14_a_worker_that_hears_no_ring_ends_and_is_started_again(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    """As Celery leaves one now and then that has lost its broker and found it again."""
    config = tmp_path / "node.toml"
    with redis_server() as server:
        config.write_text(f'[node]\ndata = "{tmp_path}/data"\nbroker = "{server.url}"\n')
        environment = os.environ | {"FOURVIEWS_CONFIG": str(config)}
        made = [sys.executable, "-m", "dicom_node", "migrate"]
        assert subprocess.run(made, env=environment, check=False).returncode == 0
        bell = doorbell.Bell(Settings.model_validate(tomllib.loads(config.read_text())))
        assert bell.ring(1, REPORT)
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-c", DEAF],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert bell.waiting(REPORT) == 1
    assert "rings wait and are not heard" in ended.stdout + ended.stderr
    assert ended.returncode == 1
    figure(
        "a worker that hears no ring: ended, start included, after "
        f"{time.monotonic() - began:.0f} s"
    )


def spoil(messages: Path, how: str) -> None:
    """Do to the folder what somebody may who can write there."""
    if how == "garbage":
        for number, content in enumerate(GARBAGE):
            for queue in QUEUES:
                (messages / f"{number}_x.{queue}.msg").write_bytes(content)
        (messages / "0_folder.analyze.msg").mkdir()
        return
    shutil.rmtree(messages)
    if how == "no folder":
        messages.write_bytes(b"a file")


def test_R14_a_folder_as_the_queue_is_no_better_and_loses_nothing_either(
    tmp_path: Path, figure: Callable[[str], None], at_length: Callable[[int, int], int]
) -> None:
    ways = ("garbage", "deleted", "no folder")[: at_length(1, 3)]
    with (
        slow_pacs() as pacs,
        running_node(tmp_path / "node", [Pacs("pacs", pacs.ae_title, pacs.port)]) as node,
    ):
        node.start("up")
        node.wait_until_listening()
        messages, rebuilt = node.settings.data / "queue" / "messages", 0.0
        for way in ways:
            spoil(messages, way)
            study_uid, paths = files(tmp_path, way)
            assert stored(node, paths) < at_length(60, 10)
            if way == "no folder":
                time.sleep(3)
                messages.unlink()
                messages.mkdir()
            began = time.monotonic()
            assert node.wait_for_end(study_uid).state == State.DELIVERED, way
            rebuilt = max(rebuilt, time.monotonic() - began)
        figure(
            f"folder: {len(ways)} of {len(ways)} studies delivered, at most {rebuilt:.0f} s after"
        )
    assert rebuilt < at_length(300, 60)
