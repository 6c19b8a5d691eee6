"""Destinations that are away, refuse, or are whoever sent the images."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from free_ports import free_port
from orthanc_server import OrthancServer, orthanc_server
from pydicom import Dataset
from running_node import Pacs, RunningNode, running_node
from slow_pacs import SlowPacs, slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def images() -> list[Dataset]:
    return datasets(study(7, lesions=()))


@pytest.fixture
def away() -> Iterator[OrthancServer]:
    """A PACS whose cable is pulled."""
    with orthanc_server(aet="AWAY") as server:
        server.stop()
        yield server


@pytest.fixture(scope="module")
def near() -> Iterator[SlowPacs]:
    with slow_pacs(ae_title="NEAR") as pacs:
        yield pacs


def sent(node: RunningNode, images: list[Dataset], folder: Path) -> str:
    node.start("up")
    node.wait_until_listening()
    answer = storescu(write(images, folder), node.port)
    assert answer.returncode == 0, answer.stderr
    return str(images[0].StudyInstanceUID)


def test_a_pulled_cable_holds_up_nobody_else_and_loses_nothing(
    images: list[Dataset], away: OrthancServer, near: SlowPacs, tmp_path: Path
) -> None:
    destinations = [
        Pacs("away", away.aet, away.dicom_port),
        Pacs("near", near.ae_title, near.port),
    ]
    with running_node(tmp_path / "node", destinations) as node:
        study_uid = sent(node, images, tmp_path / "study")
        node.wait_until(lambda: near.received, "delivered to the destination that is there")
        case = node.case(study_uid)
        assert case is not None
        node.wait_until(node.questions.roads_down, "noticed that the other is away")
        node.wait_until(
            lambda: node.questions.owed_by_destination() == {"away": 1}, "left with one debt alone"
        )
        away.start()
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        assert len(away.instances(study_uid)) == 1
        assert len(near.received) == 1
        assert [event.what for event in node.questions.events()].count("destination back") == 1


def test_what_a_destination_will_not_take_fails_the_case_and_retry_asks_again(
    images: list[Dataset], tmp_path: Path
) -> None:
    with (
        slow_pacs(ae_title="PICKY", status=0xA900) as picky,
        running_node(tmp_path / "node", [Pacs("picky", picky.ae_title, picky.port)]) as node,
    ):
        study_uid = sent(node, images, tmp_path / "study")
        case = node.wait_for_end(study_uid)
        assert case.state == State.FAILED
        assert "picky: will not take the cad_sr (status A900)" in case.reason
        picky.status = 0x0000
        assert node.run("retry", str(case.id)).returncode == 0
        node.wait_until(lambda: picky.received, "delivered after the retry")
        assert node.wait_for_end(study_uid).state == State.DELIVERED


def test_results_return_to_whoever_sent_the_images(images: list[Dataset], tmp_path: Path) -> None:
    with (
        slow_pacs(ae_title="STORESCU") as modality,
        running_node(tmp_path / "node", [], return_port=modality.port) as node,
    ):
        study_uid = sent(node, images, tmp_path / "study")
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        assert len(modality.received) == 1


def test_a_node_without_torch_in_its_listener_still_refuses_strangers_in_words(
    tmp_path: Path, images: list[Dataset]
) -> None:
    with running_node(tmp_path / "node", [Pacs("nobody", "NOBODY", free_port())]) as node:
        node.start("listen")
        node.wait_until_listening()
        files = write(images, tmp_path / "study")
        assert storescu(files, node.port, calling="STRANGER").returncode != 0
        said = "STRANGER at 127.0.0.1 is in no [[receiving.callers]] table"
        node.wait_until(
            lambda: said in [event.sentence for event in node.questions.last_events(10)],
            "recorded why the stranger was turned away",
        )
