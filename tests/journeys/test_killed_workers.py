"""Workers killed in the middle of everything, and a Redis that forgets: delivered once still.

The node runs on PostgreSQL and Redis here, each named by one line of the settings.
"""

from pathlib import Path

import pytest
from dcmtk import storescu
from postgres_server import PostgresServer
from redis_server import RedisServer
from running_node import Pacs, running_node
from slow_pacs import slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)
SLOW = ["deeplima_phantom", "recall_retina_phantom"]  # on a busy machine less is over unseen


@pytest.mark.parametrize("state", [State.ANALYZING, State.REPORTING, State.DELIVERING])
def test_a_study_is_delivered_once_though_its_worker_is_killed_and_redis_emptied(
    state: State, postgres: PostgresServer, private_redis: RedisServer, tmp_path: Path
) -> None:
    images = datasets(study(7, lesions=MASS), uid_salt=f"killed while {state}")
    files = write(images, tmp_path / "study")
    study_uid = str(images[0].StudyInstanceUID)
    with (
        slow_pacs(seconds=0.5) as pacs,
        running_node(
            tmp_path / "node",
            [Pacs("pacs", pacs.ae_title, pacs.port)],
            database=postgres.create_database(f"killed_{state.lower()}"),
            broker=private_redis.url,
            bundle=SLOW,
        ) as node,
    ):
        assert node.run("migrate").returncode == 0
        node.start("listen")
        node.start("work")
        node.wait_until_listening()
        assert storescu(files, node.port).returncode == 0
        node.wait_for_state(study_uid, state)
        node.kill("work")
        private_redis.flush()
        held = node.case(study_uid)
        assert held is not None
        assert held.state == state, "the worker was killed in time"
        node.start("work")
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        products = node.questions.products_of(held.id)
        assert set(pacs.received) == {product.sop_uid for product in products}
        if state != State.DELIVERING:  # an object in flight at the kill is sent again: harmless
            assert len(pacs.received) == len(products)
        sentences = [event.sentence for event in node.questions.events(case_id=held.id)]
        assert any(f"while {state} (attempt 1 of 3)" in sentence for sentence in sentences)
        assert len(node.questions.cases_of(study_uid)) == 1
