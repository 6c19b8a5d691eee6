"""Studies under everything that goes wrong at once: one result each, and one content a UID."""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dcmtk import storescu
from fault_proxy import FaultProxy, fault_proxy
from faulty_pacs import FaultyPacs, faulty_pacs
from orthanc_server import OrthancServer
from pydicom.uid import MammographyCADSRStorage
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import State
from phantom.dicom import datasets, write
from phantom.patient import Wanted
from phantom.study import study

pytestmark = pytest.mark.journey

MASS = (Wanted(kind="mass", malignant=True, side="L"),)
PROCESSES = (
    ("listen",),
    ("work", "--only", "analyze"),
    ("work", "--only", "report", "--only", "deliver"),
    ("work", "--only", "deliver"),
)
LONGEST_SECONDS = 1500.0


class Mischief:
    """Kills processes, spoils the wire and breaks the PACS, in an order that a seed decides."""

    def __init__(self, node: RunningNode, wire: FaultProxy, pacs: FaultyPacs) -> None:
        self.node, self.wire, self.pacs = node, wire, pacs
        self.done: Counter[str] = Counter()
        self._dice = random.Random(11)  # noqa: S311 - a test that is the same each time

    def go_on(self, is_enough: Callable[[], bool]) -> None:
        """Go on until it is enough; all is mended then.

        In the main thread: what a thread starts with `--pdeathsig` ends with that thread.
        """
        turn = 0
        while not is_enough():
            time.sleep(0.5)
            turn += 1
            if turn % 4 == 0:
                self._kill(self._dice.choice(PROCESSES))
            elif turn % 2:
                self._spoil(self.wire, *self._dice.choice(WIRE_FAULTS))
            else:
                self._spoil(self.pacs, *self._dice.choice(PACS_FAULTS))

    def _kill(self, process: Sequence[str]) -> None:
        self.done[f"{process[0]} killed"] += 1
        self.node.kill(*process)
        self.node.start(*process)

    def _spoil(self, one: FaultProxy | FaultyPacs, fault: str, value: object) -> None:
        self.done[fault] += 1
        setattr(one, fault, value)
        time.sleep(1.0)
        one.heal()


WIRE_FAULTS: tuple[tuple[str, object], ...] = (
    ("refuses", True),
    ("black_hole", True),
    ("swallows_answers", True),
    ("cuts_after", 3000),
    ("resets_after", 3000),
    ("half_closes_after", 300),
    ("delay_seconds", 0.1),
)
PACS_FAULTS: tuple[tuple[str, object], ...] = (
    ("loses_answers", True),
    ("aborts", True),
    ("status", lambda _: 0xA700),
    ("wrong_number", True),
    ("rejects", (2, 3, 2)),
    ("closes_after_each", True),
)


def send_until_taken(node: RunningNode, files: list[Path]) -> None:
    """Send as a modality does: again and again, until every image was answered with Success."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while storescu(files, node.port, options=["-to", "20", "-td", "20"]).returncode != 0:
        assert time.monotonic() < deadline, node.log()[-4000:]
        time.sleep(0.5)


def all_at_their_end(node: RunningNode, count: int) -> None:
    """Wait until nothing is on its way any more."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while node.questions.count_by_state().get(State.DELIVERED, 0) < count:
        states = node.questions.count_by_state()
        assert not states.get(State.FAILED), (states, node.run("status").stdout)
        assert time.monotonic() < deadline, (states, node.log()[-4000:])
        time.sleep(0.2)


@pytest.mark.timeout(2 * LONGEST_SECONDS)
def test_R11_each_study_has_one_result_whatever_goes_wrong(
    orthanc: OrthancServer,
    tmp_path: Path,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    count = at_length(6, 500)
    made = study(7, pitch_mm=0.4, lesions=MASS)
    with fault_proxy(orthanc.dicom_port) as wire, faulty_pacs("WITNESS") as witness:
        places = [
            Pacs("archive", orthanc.aet, wire.port, timeout_seconds=5.0),
            Pacs("witness", witness.ae_title, witness.port, timeout_seconds=5.0),
        ]
        with running_node(tmp_path / "node", places) as node:
            text = node.config.read_text() + "[analyzing.accept]\nrows_min = 100\n"
            node.config.write_text(text.replace("quiet_seconds = 4.0", "quiet_seconds = 60.0"))
            for process in PROCESSES:
                node.start(*process)
            node.wait_until_listening()
            sent = []

            def send(number: int) -> None:
                images = datasets(made, uid_salt=f"once {number}")
                sent.append(str(images[0].StudyInstanceUID))
                send_until_taken(node, write(images, tmp_path / str(number)))

            mischief = Mischief(node, wire, witness)
            with ThreadPoolExecutor(2) as senders:
                sending = [senders.submit(send, number) for number in range(count)]
                mischief.go_on(lambda: all(one.done() for one in sending))
            for one in sending:
                one.result()
            until = time.monotonic() + at_length(2, 20)
            mischief.go_on(lambda: time.monotonic() > until)
            all_at_their_end(node, count)
            without, twice = 0, 0
            for study_uid in sent:
                (case,) = node.questions.cases_of(study_uid)
                held = orthanc.datasets(study_uid)
                reports = sum(one.SOPClassUID == MammographyCADSRStorage for one in held)
                without, twice = without + (reports < 1), twice + (reports > 1)
                made_uids = {one.sop_uid for one in node.questions.products_of(case.id)}
                assert {str(one.SOPInstanceUID) for one in held} == made_uids <= set(witness.kept)
            balance = node.run("balance")
            assert balance.returncode == 0, balance.stdout
    assert (without, twice, witness.twice) == (0, 0, [])
    faults = ", ".join(f"{name} {times}" for name, times in sorted(mischief.done.items()))
    figure(
        f"{count} studies: {without} without a result, {twice} with two, "
        f"{len(witness.twice)} UIDs with two contents; faults: {faults}"
    )
