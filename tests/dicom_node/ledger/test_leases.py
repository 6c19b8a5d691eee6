"""A lost holder loses its case, and a living one never does."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from ledger_book import Book, reading, take_turn
from senders import until

from dicom_node.errors import Busy, Declined, NotYourTurn
from dicom_node.ledger import leases
from dicom_node.ledger.ledger import STRIKES, Ledger, Turn, now
from dicom_node.ledger.tables import Finding, ModelRun
from dicom_node.life import ANALYZE, REPORT, VERBS, State, Verb

# A holder gives a sign ten times a second here, and a sweep waits this long for one: on a busy
# machine a second may pass without.
LONG_SILENT = 2.0

HOLD = """
import sys
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.ledger import Ledger
from dicom_node.errors import NotYourTurn
from dicom_node.life import ANALYZE
ledger = Ledger(open_engine(sys.argv[1]), sys.argv[3], lease_seconds=0.4)
print("ready", flush=True)
sys.stdin.readline()
try:
    with ledger.turn(int(sys.argv[2]), ANALYZE):
        print("held", flush=True)
        sys.stdin.readline()
except NotYourTurn:
    print("lost", flush=True)
"""


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_three_processes_one_holds_the_case_and_a_killed_one_loses_it(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    url = book.engine.url.render_as_string(hide_password=False)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, url, str(case_id), f"process:{number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    try:
        ready = [heard(process) for process in processes]
        assert ready == ["ready"] * 3
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [heard(process) for process in processes]
        assert sorted(said) == ["held", "lost", "lost"]
        case = book.questions.case(case_id)
        assert case is not None
        assert case.holder == f"process:{said.index('held')}"
        sweeper, began = book.other("sweep:1", lease_seconds=LONG_SILENT), now()
        while now() < began + timedelta(seconds=1.2 * LONG_SILENT):
            assert sweeper.sweep() == [], "its holder lives"
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    until(lambda: sweeper.sweep() == [(case_id, ANALYZE)])
    assert book.state(case_id) == State.RECEIVED
    (lost,) = [
        event.sentence
        for event in book.questions.events(case_id=case_id)
        if event.from_state == "ANALYZING"
    ]
    assert lost == f"lost process:{said.index('held')} while ANALYZING (attempt 1 of {STRIKES})"


def test_a_long_turn_keeps_its_lease(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    patient = book.other("patient:1", lease_seconds=0.4)
    with patient.turn(case_id, ANALYZE):
        sweeper, began = book.other("sweep:1", lease_seconds=LONG_SILENT), now()
        while now() < began + timedelta(seconds=1.2 * LONG_SILENT):
            assert sweeper.sweep() == []
            time.sleep(0.05)
        assert book.state(case_id) == State.ANALYZING
    assert book.state(case_id) == State.ANALYZED


def well() -> None:
    """End a turn well."""


def busy() -> None:
    raise Busy("later")


def declined() -> None:
    raise Declined("S02", "nothing to read")


def fault() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("end", [well, busy, declined, fault])
@pytest.mark.parametrize("taken_again", [False, True])
def test_who_lost_the_lease_can_neither_end_the_turn_nor_leave_rows(
    book: Book,
    end: Callable[[], None],
    taken_again: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    case_id = book.case_at(State.RECEIVED)
    state = State.ANALYZING if taken_again else State.RECEIVED
    seen: list[object] = []

    def work(turn: Turn) -> None:
        book.lose(case_id)
        seen.append(book.ledger.sweep())
        seen.append(book.other("quick:1")._begin(case_id, ANALYZE).lease if taken_again else None)
        seen.append(book.moves(case_id))
        turn.leave(reading(case_id))
        end()

    with pytest.raises(NotYourTurn):
        take_turn(book.other("slow:1"), case_id, ANALYZE, work)
    rung, lease, moves = seen
    assert rung == [(case_id, ANALYZE)]
    case = book.questions.case(case_id)
    assert case is not None
    assert case.state == state
    assert book.moves(case_id) == moves
    assert book.count(ModelRun) == 0
    assert (case.holder, case.lease) == ("quick:1" if taken_again else None, lease)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_case_that_lost_three_workers_fails_with_the_last_ones_name(
    book: Book, verb: Verb
) -> None:
    case_id = book.case_at(verb.before)
    for strike in range(1, STRIKES + 1):
        assert book.state(case_id) == verb.before
        book.other(f"mortal:{strike}")._begin(case_id, verb)
        book.lose(case_id)
        rung = book.ledger.sweep()
        assert rung == ([(case_id, verb)] if strike < STRIKES else [])
    case = book.questions.case(case_id)
    assert case is not None
    assert case.state == State.FAILED
    assert case.reason == f"lost mortal:3 while {verb.during} (attempt 3 of 3)"


def test_a_turn_that_ends_well_forgives_the_strikes(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    for strike in range(STRIKES - 1):
        book.other(f"mortal:{strike}")._begin(case_id, ANALYZE)
        book.lose(case_id)
        book.ledger.sweep()
    with book.ledger.turn(case_id, ANALYZE):
        pass
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (State.ANALYZED, 0)


def test_many_sweeps_take_a_lost_case_back_once(book: Book) -> None:
    case_id = book.case_at(State.ANALYZING)
    start = threading.Barrier(6)

    def sweep(number: int) -> None:
        ledger = book.other(f"sweep:{number}")
        book.lose(case_id, ledger)
        start.wait()
        ledger.sweep()

    sweepers = [threading.Thread(target=sweep, args=(number,)) for number in range(6)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert book.moves(case_id).count(("ANALYZING", "RECEIVED")) == 1
    assert book.state(case_id) == State.RECEIVED


def test_the_heart_of_a_turn_stops_with_it(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with Ledger(book.engine, "test:2", 0.2).turn(case_id, ANALYZE) as turn:
        turn.leave(
            Finding(
                case_id=case_id,
                sop_uid="2.25.1",
                view="LCC",
                kind="mass",
                box_left=0.0,
                box_top=0.0,
                box_right=1.5,
                box_bottom=2.5,
                score=0.5,
                cancer_score=None,
                systems="shared_trunk",
            )
        )
    name = f"lease-{case_id}"
    until(lambda: all(thread.name != name for thread in threading.enumerate()))
    time.sleep(0.1)
    assert book.state(case_id) == State.ANALYZED


def test_a_long_backlog_is_rung_for_in_parts_and_keeps_nobody_waiting(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "MOST_AT_ONCE", 2)
    backlog = [(book.case_at(State.RECEIVED, f"2.25.{one}"), ANALYZE) for one in range(3)]
    later = (book.case_at(State.ANALYZED, "2.25.9"), REPORT)
    assert book.ledger.sweep() == [*backlog[:2], later]
    assert book.ledger.sweep() == backlog[2:]
    assert book.ledger.sweep() == []
