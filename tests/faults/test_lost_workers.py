"""Workers killed, stopped and hanging: another one reads the study, thrice at most, and once."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dcmtk import storescu
from failpoints import POINTS, failpoints
from running_node import Pacs, RunningNode, running_node
from slow_pacs import SlowPacs, slow_pacs

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.tables import Case
from dicom_node.life import ANALYZE, State
from dicom_node.wiring import Node
from dicom_node.worker import turns
from phantom.dicom import datasets, write
from phantom.study import study

pytestmark = pytest.mark.journey

AGAIN_SECONDS = 30.0
SLOW = "deeplima_phantom"
EVERY_STEP = ("--only", "analyze", "--only", "report", "--only", "deliver")
WORKERS = (("work",), ("work", *EVERY_STEP))  # either can bring a study to its end alone
DEFAULTS = {
    "sweep_seconds = 1.0": "sweep_seconds = 5.0",
    "lease_seconds = 3.0": "lease_seconds = 20.0",
}


@contextmanager
def a_node(
    folder: Path, *, as_shipped: bool = False, further: str = ""
) -> Iterator[tuple[RunningNode, SlowPacs]]:
    """Run a node whose studies take so long that one can be caught in the middle."""
    with (
        slow_pacs() as pacs,
        running_node(folder, [Pacs("pacs", pacs.ae_title, pacs.port)], bundle=SLOW) as node,
    ):
        text = node.config.read_text()
        for quick, shipped in DEFAULTS.items() if as_shipped else ():
            assert quick in text
            text = text.replace(quick, shipped)
        node.config.write_text(text.replace("[watching]", f"[watching]\n{further}"))
        yield node, pacs


def sent(node: RunningNode, folder: Path, salt: str) -> str:
    images = datasets(study(7), uid_salt=salt)
    assert storescu(write(images, folder), node.port).returncode == 0
    return str(images[0].StudyInstanceUID)


def taken(node: RunningNode, study_uid: str, lease_before: str | None = None) -> Case:
    """Wait until somebody else reads a study."""
    found: list[Case] = []

    def held() -> bool:
        case = node.case(study_uid)
        is_new = case is not None and case.lease != lease_before
        if is_new and case.state in {State.ANALYZING, State.FAILED}:
            found.append(case)
        return bool(found)

    node.wait_until(held, "taken again")
    return found[0]


def holder(case: Case) -> int:
    assert case.holder is not None
    return int(case.holder.rpartition(":")[2])


def start_all(node: RunningNode) -> None:
    node.start("listen")
    for one in WORKERS:
        node.start(*one)
    node.wait_until_listening()
    node.wait_until(lambda: node.log().count("bundle loaded") == len(WORKERS), "ready")


def test_R15_a_study_that_loses_its_worker_thrice_is_failed_and_seen(
    figure: Callable[[str], None], at_length: Callable[[int, int], int], tmp_path: Path
) -> None:
    with a_node(tmp_path / "node", as_shipped=bool(at_length(0, 1))) as (node, pacs):
        start_all(node)
        study_uid = sent(node, tmp_path / "study", "killed thrice")
        case, waited = taken(node, study_uid), list[float]()
        for _ in range(3):
            os.kill(holder(case), signal.SIGKILL)
            lost = time.monotonic()
            case = taken(node, study_uid, case.lease)
            waited.append(time.monotonic() - lost)
        assert case.state == State.FAILED
        assert "attempt 3 of 3" in case.reason
        told = json.loads(node.run("status", "--json").stdout)
        assert study_uid in json.dumps(told)
        node.wait_until(lambda: pacs.received, "told")
        figure(
            f"kill -9: read again after {waited[0]:.1f} and {waited[1]:.1f} s, "
            "FAILED after the third time, and told"
        )
        assert max(waited[:2]) < AGAIN_SECONDS * at_length(5, 1)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["its child", "the whole worker"])
def test_R15_a_stopped_worker_that_wakes_up_leaves_no_second_result(
    who: str, figure: Callable[[str], None], at_length: Callable[[int, int], int], tmp_path: Path
) -> None:
    with a_node(tmp_path / "node", as_shipped=bool(at_length(0, 1))) as (node, pacs):
        start_all(node)
        study_uid = sent(node, tmp_path / "study", f"stopped: {who}")
        case = taken(node, study_uid)
        group = os.getpgid(holder(case))
        if who == "its child":
            os.kill(holder(case), signal.SIGSTOP)
        else:
            os.killpg(group, signal.SIGSTOP)
        stopped = time.monotonic()
        again = taken(node, study_uid, case.lease)
        waited = time.monotonic() - stopped
        assert again.state == State.ANALYZING
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        os.killpg(group, signal.SIGCONT)
        time.sleep(at_length(4, 15))
        products = node.questions.products_of(case.id)
        assert sorted(pacs.received) == sorted(product.sop_uid for product in products)
        ends = [one for one in node.questions.events(case_id=case.id) if one.to_state == "ANALYZED"]
        assert len(ends) == 1
        figure(f"stopped ({who}): read again after {waited:.1f} s; awake again, no second result")
        assert waited < AGAIN_SECONDS


@pytest.mark.slow
def test_R15_a_worker_that_hangs_is_ended_and_another_one_reads(
    figure: Callable[[str], None], tmp_path: Path
) -> None:
    points = [point for point in POINTS if point.name == "before-network"]
    armed = failpoints(tmp_path / "failpoints", points)
    armed.arm(points[0], "stall 100")
    with (
        pytest.MonkeyPatch.context() as patch,
        a_node(tmp_path / "node", further="turn_seconds = 20.0") as (node, _),
    ):
        for name, value in armed.environment.items():
            patch.setenv(name, value)
        node.start("listen")
        node.start("work")
        node.wait_until_listening()
        study_uid = sent(node, tmp_path / "study", "hangs")
        case = taken(node, study_uid)
        node.wait_for_state(study_uid, State.RECEIVED)
        ended = time.monotonic()
        taken(node, study_uid, case.lease)
        waited = time.monotonic() - ended
        assert node.wait_for_end(study_uid).state == State.DELIVERED
        said = [one.sentence for one in node.questions.events(case_id=case.id)]
        assert any("TimeoutError" in one and "attempt 1 of 3" in one for one in said)
    figure(
        f"hung in the network: interrupted after 20 s, read again {waited:.1f} s later, delivered"
    )
    assert waited < AGAIN_SECONDS


def test_R15_three_copies_of_one_task_read_a_study_once(
    figure: Callable[[str], None], tmp_path: Path
) -> None:
    with a_node(tmp_path / "node") as (node, _):
        node.start("listen")
        node.wait_until_listening()
        study_uid = sent(node, tmp_path / "study", "three copies")
        node.wait_for_state(study_uid, State.RECEIVED)
        case = node.case(study_uid)
        assert case is not None
        together, answers = threading.Barrier(3), list[str]()

        def copy() -> None:
            read = turns(Node(node.settings))[ANALYZE]
            together.wait()
            try:
                read(case.id)
                answers.append("read")
            except NotYourTurn:
                answers.append("not its turn")

        copies = [threading.Thread(target=copy) for _ in range(3)]
        for one in copies:
            one.start()
        for one in copies:
            one.join()
        assert sorted(answers) == ["not its turn", "not its turn", "read"]
        turns_taken = [
            one for one in node.questions.events(case_id=case.id) if one.to_state == "ANALYZING"
        ]
        figure(f"three copies of one task at once: {len(turns_taken)} turn, 1 result")
        assert len(turns_taken) == 1
