"""Several processes share one port: each takes in, one is missed by nobody, all stop together."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_node import RunningNode, running_node
from senders import associate, send, until
from small_images import mammogram

ECHO = [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    with running_node(tmp_path, []) as one:
        text = one.config.read_text()
        one.config.write_text(
            text.replace("[receiving]", "[receiving]\nany_caller = true\nprocesses = 2")
        )
        for half in ("alone.dcm", "7/one_of_more.dcm"):  # of an earlier run
            place = tmp_path / "data/spool/incoming" / half
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        one.start("listen")
        until(lambda: len(children(one)) == 2, 60)
        until(lambda: one.log().count("listening ") >= 2, 60)
        yield one


def children(node: RunningNode) -> list[int]:
    pid = node.processes["listen"].pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.journey
def test_two_processes_take_in_on_one_port_and_stop_cleanly(node: RunningNode) -> None:
    assert not list((node.config.parent / "data/spool/incoming").rglob("*.dcm"))
    images = [mammogram() for _ in range(24)]  # of which the kernel gives some to each
    assert [send(node.port, image) for image in images] == [[0x0000]] * 24
    served = {
        event.actor
        for event in node.questions.last_events(200)
        if event.what == "association accepted"
    }
    assert len(served) == 2, "the kernel gave all connections to one of them"
    first = children(node)[0]
    os.kill(first, signal.SIGKILL)
    until(lambda: len(children(node)) == 2 and first not in children(node), 60)
    until(lambda: node.log().count("listening ") >= 3, 60)
    assert send(node.port, mammogram()) == [0x0000]
    connected = [associate(node.port, ECHO) for _ in range(6)]
    process = node.processes.pop("listen")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert time.monotonic() - began < 30
    until(lambda: not any(one.is_established for one in connected))
    assert "Traceback" not in node.log()
