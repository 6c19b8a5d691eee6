"""A queue that somebody else can write to: what is pickled there is never opened."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from kombu import Connection, Producer
from redis_server import RedisServer
from running_node import running_node

from dicom_node.doorbell import queue
from dicom_node.life import DELIVER

pytestmark = pytest.mark.journey

ENTRIES = 5


class Trap:
    """What makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Tell pickle to touch the file."""
        return Path.touch, (self.path,)


@pytest.mark.parametrize("where", ["redis", "folder"])
def test_S1_a_pickled_message_is_refused_and_the_worker_goes_on(
    where: str, private_redis: RedisServer, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    broker = private_redis.url if where == "redis" else ""
    trap, step = tmp_path / "sprung", DELIVER.name
    with running_node(tmp_path / "node", [], broker=broker) as node:
        text = node.config.read_text().replace("[receiving]", 'log_level = "debug"\n[receiving]')
        node.config.write_text(text)
        app = queue(node.settings)
        with app.connection_for_write() as connection:
            _pickled(connection, step, trap)
        node.start("work", "--only", "deliver")
        app.send_task(step, args=[4711], queue=step)
        assert node.processes["work --only deliver"].poll() is None
        sprung = trap.exists()
        figure(f"{where}: {int(sprung)} of {ENTRIES} pickles opened, the case behind them taken")
        assert not sprung
        node.wait_until(lambda: "case=4711" in node.log(), "the case behind the pickles")
        node.wait_until(
            lambda: node.log().count("was no ring: thrown away") >= ENTRIES, "all pickles refused"
        )
        app.control.broadcast("cancel_consumer", arguments={"queue": step})
        app.control.shutdown()
        app.send_task(step, args=[4712], queue=step)
        node.wait_until(lambda: "case=4712" in node.log(), "the case behind a stranger's orders")
        assert node.processes["work --only deliver"].poll() is None


def test_the_trap_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))  # noqa: S301 - to see that it would work
    assert (tmp_path / "sprung").exists()


def _pickled(connection: Connection, step: str, trap: Path) -> None:
    """Put pickles into the queue of a step: of a task's arguments, and of nothing that is one."""
    headers = {"task": step, "id": "x", "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    bodies = [([Trap(trap)], {}, {}), [Trap(trap)], Trap(trap), {"args": Trap(trap)}, (Trap(trap),)]
    assert len(bodies) == ENTRIES
    with Producer(connection) as producer:
        for body in bodies:
            producer.publish(body, serializer="pickle", headers=headers, routing_key=step)
