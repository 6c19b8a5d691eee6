"""A listener killed again and again under load, and told to stop under load: nothing is lost."""

import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from failpoints import POINTS, failpoints
from modalities import Modalities, faults_of, modalities
from open_listener import place_of
from orthanc_server import OrthancServer
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey


def listens(port: int) -> bool:
    """Say whether somebody answers at a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RunningNode]:
    """Make a node that only listens."""
    with running_node(tmp_path / "node", []) as one:
        yield one


def started(node: RunningNode, *arguments: str) -> float:
    """Start it, and say how long it took until it listened."""
    at = time.monotonic()
    node.start(*arguments)
    node.wait_until(lambda: listens(node.port), "listening")
    return time.monotonic() - at


def stopped(node: RunningNode, *arguments: str) -> tuple[float, int]:
    """Tell it to stop; say how long that took, and its exit status."""
    process = node.processes.pop(" ".join(arguments))
    at = time.monotonic()
    process.terminate()
    status = process.wait(60)
    return time.monotonic() - at, status


def test_R8_a_listener_killed_under_load_loses_nothing_that_it_said_it_had(
    node: RunningNode, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    cycles, images = at_length(3, 100), at_length(30, 5000)
    seconds = [started(node, "listen")]
    with modalities(node.port) as group:
        for _ in range(cycles):
            group.wait_for(max(1, images // cycles))
            node.kill("listen")
            seconds.append(started(node, "listen"))
        group.wait_for(1)
    faults = faults_of(node, group)
    median = statistics.median(seconds[1:])
    figure(
        f"{len(faults)} of {len(group.told)} acknowledged images lost, altered or partial in "
        f"{cycles} kills; listening again after {median:.1f} s (median)"
    )
    assert faults == []
    assert len(group.told) >= images
    assert median < at_length(60, 3)
    half = list((node.settings.data / "spool" / "incoming").iterdir())
    assert half == [], "what was half received goes away with the start"


@pytest.mark.parametrize("command", [pytest.param("listen", marks=pytest.mark.slow), "up"])
def test_R17_told_to_stop_under_load_it_takes_no_more_and_loses_nothing(
    command: str,
    node: RunningNode,
    at_length: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    longest, deaf = 0.0, 0.0
    with modalities(node.port) as group:
        for _ in range(at_length(1, 10 if command == "listen" else 3)):
            started(node, command)
            group.wait_for(20)
            process = node.processes[command]
            deaf = max(deaf, _seconds_until_deaf(node, command))
            at = time.monotonic()
            assert process.wait(120) == 0, node.log()[-3000:]
            node.processes.pop(command)
            longest = max(longest, deaf + time.monotonic() - at)
    faults = faults_of(node, group)
    figure(
        f"{command}: deaf after {deaf:.1f} s, done after {longest:.1f} s, exit 0, "
        f"{len(faults)} of {len(group.told)} lost"
    )
    assert faults == []
    assert deaf < at_length(60, 2)
    assert longest < at_length(90, 30)


def _seconds_until_deaf(node: RunningNode, command: str) -> float:
    at = time.monotonic()
    node.processes[command].terminate()
    node.wait_until(lambda: not listens(node.port), "deaf")
    return time.monotonic() - at


@pytest.mark.slow
@pytest.mark.parametrize("command", [("work",), ("up",)])
def test_R17_a_worker_told_to_stop_in_the_middle_of_a_study_is_done_in_time(
    command: tuple[str, ...],
    orthanc: OrthancServer,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    """The network takes two minutes here: longer than anybody waits."""
    images = datasets(study(7, pitch_mm=0.4, lesions=()), uid_salt=f"told to stop: {command}")
    study_uid = str(images[0].StudyInstanceUID)
    (slow,) = (point for point in POINTS if point.name == "before-network")
    pacs = Pacs("archive", orthanc.aet, orthanc.dicom_port)
    with running_node(tmp_path / "node", [pacs]) as node:
        text = node.config.read_text() + "[analyzing.accept]\nrows_min = 100\n"
        node.config.write_text(text)
        points = failpoints(tmp_path / "failpoints")
        node.environment.update(points.environment)
        points.arm(slow, "stall 120")
        if command != ("up",):
            node.start("listen")
        node.start(*command)
        node.wait_until_listening()
        assert storescu(write(images, tmp_path / "study"), node.port).returncode == 0
        node.wait_until(lambda: not points.waiting(), "in the middle of it")
        seconds, status = stopped(node, *command)
        assert status == 0, node.log()[-3000:]
        node.start(*command)
        case = node.wait_for_end(study_uid)
        figure(f"{command[0]}: told to stop in a study, done after {seconds:.1f} s, exit {status}")
        assert seconds < 32
        assert case.state == State.DELIVERED
        assert len(orthanc.instances(study_uid)) == len(node.questions.products_of(case.id))


def test_modalities_notice_what_is_lost(node: RunningNode) -> None:
    """The count of the tests above can fail."""
    started(node, "listen")
    with modalities(node.port, 1) as group:
        group.wait_for(3)
    assert faults_of(node, group) == []
    first, second, third = list(group.told)[:3]
    place_of(node.node, first).unlink()
    place = place_of(node.node, second)
    place.write_bytes(place.read_bytes()[:-2])
    del group.sent[third]
    assert len(faults_of(node, group)) >= 3
    assert faults_of(node, Modalities(node.port, told={"1.2.3": ""}))[0] == "lost: 1.2.3"
