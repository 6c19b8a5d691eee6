"""Workers killed in the middle of everything, and a Redis that forgets: delivered once still.

The node runs on PostgreSQL and Redis here, each named by one line of the settings.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dcmtk import storescu
from failpoints import POINTS, Failpoints, failpoints
from postgres_server import PostgresServer
from redis_server import RedisServer
from running_node import Pacs, RunningNode, running_node
from slow_pacs import SlowPacs, slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)
IN_THE_MIDDLE = {
    State.ANALYZING: "before-network",
    State.REPORTING: "build",
    State.DELIVERING: "before-receipt",
}


@pytest.fixture(scope="module")
def pacs() -> Iterator[SlowPacs]:
    with slow_pacs(seconds=0.5) as pacs:
        yield pacs


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Failpoints:
    """Lend the places where a worker can be held; how fast the machine is does not matter then."""
    wanted = [point for point in POINTS if point.name in IN_THE_MIDDLE.values()]
    return failpoints(tmp_path_factory.mktemp("held") / "points", wanted)


@pytest.fixture(scope="module")
def node(
    points: Failpoints,
    pacs: SlowPacs,
    postgres: PostgresServer,
    private_redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningNode]:
    """Run a node whose worker is killed again and again."""
    with running_node(
        tmp_path_factory.mktemp("killed") / "node",
        [Pacs("pacs", pacs.ae_title, pacs.port)],
        database=postgres.create_database("killed_workers"),
        broker=private_redis.url,
    ) as node:
        node.environment.update(points.environment)
        assert node.run("migrate").returncode == 0
        node.start("listen")
        node.start("work")
        node.wait_until_listening()
        yield node


@pytest.mark.parametrize("state", [State.ANALYZING, State.REPORTING, State.DELIVERING])
def test_a_study_is_delivered_once_though_its_worker_is_killed_and_redis_emptied(
    state: State,
    node: RunningNode,
    points: Failpoints,
    pacs: SlowPacs,
    private_redis: RedisServer,
    tmp_path: Path,
) -> None:
    (point,) = (point for point in POINTS if point.name == IN_THE_MIDDLE[state])
    points.arm(point, "stall 100")
    images = datasets(study(7, lesions=MASS), uid_salt=f"killed while {state}")
    files = write(images, tmp_path / "study")
    study_uid = str(images[0].StudyInstanceUID)
    before = len(pacs.received)
    assert storescu(files, node.port).returncode == 0
    node.wait_until(lambda: not points.waiting(), f"in the middle of {state}")
    node.kill("work")
    private_redis.flush()
    held = node.case(study_uid)
    assert held is not None
    assert held.state == state
    node.start("work")
    assert node.wait_for_end(study_uid).state == State.DELIVERED
    products = node.questions.products_of(held.id)
    received = pacs.received[before:]
    assert set(received) == {product.sop_uid for product in products}
    if state != State.DELIVERING:  # an object in flight at the kill is sent again: harmless
        assert len(received) == len(products)
    sentences = [event.sentence for event in node.questions.events(case_id=held.id)]
    assert any(f"while {state} (attempt 1 of 3)" in sentence for sentence in sentences)
    assert len(node.questions.cases_of(study_uid)) == 1
