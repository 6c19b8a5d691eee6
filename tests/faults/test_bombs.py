"""Small files that ask for gigabytes, sent to a whole node: told in words, and nobody is harmed."""

import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from bombs import BOMBS, Bomb, bombs
from dcmtk import storescu
from memory_of import watched
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from running_node import ENDS, Pacs, RunningNode, running_node
from slow_pacs import slow_pacs

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

QUICK = ["RLE that runs", "J2K that lies", "J2K as large as allowed", "JPEG-LS that lies"]
TOLD_SECONDS = 60.0


def send(node: RunningNode, bomb: Bomb) -> bool:
    """Send a data set as it is, and say whether it was taken in."""
    ae = AE("STORESCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    ae.add_requested_context(bomb.sop_class, bomb.syntax)
    association = ae.associate("127.0.0.1", node.port, ae_title="FOURVIEWS")
    if not association.is_established:
        return False
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = UID(bomb.sop_class)
    request.AffectedSOPInstanceUID = UID(bomb.sop_uid)
    request.DataSet = BytesIO(bomb.data_set)
    try:
        association._reactor_checkpoint.clear()
        node.wait_until(lambda: association._is_paused, "paused")
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        return answer is not None and answer.Status == 0
    finally:
        association._reactor_checkpoint.set()
        if association.is_established:
            association.release()


def test_R5_bombs_cost_little_and_are_told_and_the_next_study_is_unaffected(
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
    tmp_path: Path,
) -> None:
    images = datasets(study(7), uid_salt="beside the bombs")
    good = write(images, tmp_path / "good")
    names = QUICK if at_length(0, 1) == 0 else list(BOMBS)
    sent = list(bombs(images[0], tmp_path / "bombs", names))
    slowest = 0.0
    with (
        slow_pacs() as pacs,
        running_node(tmp_path / "node", [Pacs("pacs", pacs.ae_title, pacs.port)]) as node,
    ):
        node.start("up")
        node.wait_until_listening()
        node.wait_until(lambda: "bundle loaded" in node.log(), "ready")
        with watched([process.pid for process in node.processes.values()]) as memory:
            taken = [bomb for bomb in sent if send(node, bomb)]
            assert storescu(good, node.port).returncode == 0
            for bomb in taken:
                case = node.wait_for_end(bomb.study_uid)
                assert case.state in {State.FAILED, State.DECLINED}, bomb.name
                assert case.reason, bomb.name
                events = node.questions.events(case_id=case.id)
                ended = next(one.at for one in events if one.to_state in ENDS)
                begun = next(one.at for one in events if one.to_state == State.ANALYZING)
                slowest = max(slowest, (ended - begun).total_seconds())
                node.wait_until(lambda case=case: _told(node, case.id), f"{bomb.name} told")
            assert node.wait_for_end(str(images[0].StudyInstanceUID)).state == State.DELIVERED
            time.sleep(0.2)
    figure(
        f"{len(sent)} bombs, {len(sent) - len(taken)} of them not taken in: "
        f"at most +{memory.growth_mib:.0f} MiB, the slowest told after {slowest:.1f} s; "
        "the next study delivered"
    )
    assert memory.growth_mib < 1024
    assert slowest < TOLD_SECONDS


def _told(node: RunningNode, case_id: int) -> bool:
    products = node.questions.products_of(case_id)
    return bool(products)
