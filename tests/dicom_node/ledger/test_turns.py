"""A case has one holder, and every turn ends in the ledger."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from ledger_book import Book
from senders import until
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from dicom_node.errors import Busy, Declined, NotYourTurn, Refused
from dicom_node.ledger.ledger import STRIKES, Ledger, Turn, now
from dicom_node.ledger.tables import Case, Finding, ModelRun, Verdict
from dicom_node.life import ANALYZE, DELIVER, REPORT, VERBS, State, Verb, may_move

RACERS = 20


def reading(case_id: int) -> ModelRun:
    return ModelRun(
        case_id=case_id,
        system="shared_trunk",
        bundle="b",
        version="1",
        digest="d",
        operating_point="o",
        code_version="1",
        settings_digest="s",
        device="cpu",
        seconds=1.0,
        cancer_score=0.5,
        findings_count=0,
        findings_path="p",
        findings_sha256="h",
        made_at=now(),
    )


def take_turn(ledger: Ledger, case_id: int, verb: Verb, work: Callable[[Turn], object]) -> None:
    with ledger.turn(case_id, verb) as turn:
        work(turn)


def lose(book: Book, case_id: int) -> None:
    """Let the lease of a case run out, as if its holder had stopped renewing it."""
    with book.ledger.writing() as session:
        past = now() - timedelta(seconds=1)
        session.execute(update(Case).where(Case.id == case_id).values(lease_until=past))


def test_a_turn_that_ends_well_leaves_its_rows_and_its_remark(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with book.ledger.turn(case_id, ANALYZE) as turn:
        assert book.state(case_id) == State.ANALYZING
        turn.leave(reading(case_id))
        turn.remark, turn.details = "0 findings", {"bundle": "b"}
        assert book.count(ModelRun) == 0
    assert book.state(case_id) == State.ANALYZED
    assert book.count(ModelRun) == 1
    event = book.last_event(case_id)
    assert (event.from_state, event.to_state) == ("ANALYZING", "ANALYZED")
    assert (event.sentence, event.details) == ("0 findings", {"bundle": "b"})
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.holder, case.lease, case.lease_until) == (None, None, None)


def test_rows_and_the_move_are_one_transaction(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    moves = book.moves(case_id)
    with pytest.raises(IntegrityError), book.ledger.turn(case_id, ANALYZE) as turn:
        turn.leave(reading(case_id), reading(case_id))  # the second breaks a constraint
    assert book.state(case_id) == State.ANALYZING, "a lost lease brings it back"
    assert book.count(ModelRun) == 0
    assert book.moves(case_id) == [*moves, ("RECEIVED", "ANALYZING")]


def test_busy_goes_back_one_step_and_waits_for_its_time(book: Book) -> None:
    case_id = book.case_at(State.ANALYZED)
    later = now() + timedelta(hours=1)

    def work(turn: Turn) -> None:
        turn.leave(reading(case_id))
        raise Busy("no room", later)

    with pytest.raises(Busy):
        take_turn(book.ledger, case_id, REPORT, work)
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.reason, case.due_at) == (State.ANALYZED, "no room", later)
    assert case.attempts == 0, "waiting is no strike"
    assert book.count(ModelRun) == 0
    assert book.last_event(case_id).sentence == "no room"


def test_declined_is_an_answer_and_keeps_its_rows(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    case = book.questions.case(case_id)
    assert case is not None
    (image,) = book.questions.images_of(case)
    with book.ledger.turn(case_id, ANALYZE) as turn:
        turn.leave(Verdict(case_id=case_id, instance_id=image.id, code="I02", sentence="no MG"))
        raise Declined("S02", "no image can be read")
    assert book.state(case_id) == State.DECLINED
    assert book.last_event(case_id).sentence == "S02: no image can be read"
    assert book.questions.verdicts_of(case_id)[image.id].code == "I02"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ValueError("Phantom^Ada is no date"), "ValueError at test_turns.py"),
        (Refused("pacs will not"), "Refused: pacs will not"),
    ],
)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_fault_fails_the_case_keeps_a_reason_without_names_and_is_raised(
    book: Book, verb: Verb, fault: Exception, reason: str
) -> None:
    case_id = book.case_at(verb.before)

    def work(turn: Turn) -> None:
        turn.leave(reading(case_id))
        raise fault

    with pytest.raises(type(fault)):
        take_turn(book.ledger, case_id, verb, work)
    case = book.questions.case(case_id)
    assert case is not None
    assert case.state == State.FAILED
    assert case.reason.startswith(reason)
    assert "Phantom" not in case.reason
    assert book.count(ModelRun) == 0


def test_of_twenty_threads_exactly_one_holds_the_case(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    start = threading.Barrier(RACERS)
    losers = threading.Semaphore(0)
    won: list[int] = []
    lost: list[int] = []

    def race(number: int) -> None:
        start.wait()
        try:
            with book.other(f"racer:{number}").turn(case_id, ANALYZE):
                won.append(number)
                for _ in range(RACERS - 1):
                    assert losers.acquire(timeout=60)
        except NotYourTurn:
            lost.append(number)
            losers.release()

    racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    assert sorted(won + lost) == list(range(RACERS))
    assert book.moves(case_id)[-2:] == [("RECEIVED", "ANALYZING"), ("ANALYZING", "ANALYZED")]
    holders = [event.actor for event in book.questions.events(case_id=case_id)][-2:]
    assert holders == [f"racer:{won[0]}"] * 2


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
        assert book.ledger.sweep() == [], "its holder lives"
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    until(lambda: book.ledger.sweep() == [(case_id, ANALYZE)])
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
        case = book.questions.case(case_id)
        assert case is not None
        assert case.lease_until is not None
        first_end = case.lease_until
        until(lambda: now() > first_end)
        assert book.ledger.sweep() == []
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
        lose(book, case_id)
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
        lose(book, case_id)
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
        lose(book, case_id)
        book.ledger.sweep()
    with book.ledger.turn(case_id, ANALYZE):
        pass
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (State.ANALYZED, 0)


def test_many_sweeps_take_a_lost_case_back_once(book: Book) -> None:
    case_id = book.case_at(State.ANALYZING)
    lose(book, case_id)
    start = threading.Barrier(6)

    def sweep(number: int) -> None:
        start.wait()
        book.other(f"sweep:{number}").sweep()

    sweepers = [threading.Thread(target=sweep, args=(number,)) for number in range(6)]
    for sweeper in sweepers:
        sweeper.start()
    for sweeper in sweepers:
        sweeper.join()
    assert book.moves(case_id).count(("ANALYZING", "RECEIVED")) == 1
    assert book.state(case_id) == State.RECEIVED


def test_the_sweep_rings_for_each_due_case_once_a_minute(book: Book) -> None:
    cases = {verb: book.case_at(verb.before, f"2.25.{n}") for n, verb in enumerate(VERBS, 1)}
    book.case_at(State.RECEIVING, "2.25.8")
    book.case_at(State.DELIVERED, "2.25.9")
    assert book.ledger.sweep() == [(case_id, verb) for verb, case_id in cases.items()]
    assert book.ledger.sweep() == []
    with book.ledger.writing() as session:
        a_minute_ago = now() - timedelta(seconds=61)
        chosen = cases[REPORT]
        session.execute(update(Case).where(Case.id == chosen).values(rung_at=a_minute_ago))
    assert book.ledger.sweep() == [(chosen, REPORT)]
    with book.ledger.turn(cases[ANALYZE], ANALYZE):
        pass
    assert book.ledger.sweep() == [(cases[ANALYZE], REPORT)], "a new state is rung for at once"


def test_a_case_is_neither_rung_for_nor_taken_before_its_time(book: Book) -> None:
    case_id = book.case_at(State.REPORTED)
    soon = now() + timedelta(seconds=0.5)
    with pytest.raises(Busy), book.ledger.turn(case_id, DELIVER):
        raise Busy("the road is closed", soon)
    moves = book.moves(case_id)
    assert book.ledger.sweep() == []
    with pytest.raises(NotYourTurn), book.ledger.turn(case_id, DELIVER):
        pytest.fail("it was not due")
    assert book.moves(case_id) == moves
    until(lambda: book.ledger.sweep() == [(case_id, DELIVER)])
    assert now() >= soon
    with book.ledger.turn(case_id, DELIVER):
        pass
    assert book.state(case_id) == State.DELIVERED


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_retry_goes_back_to_where_it_failed(book: Book, verb: Verb) -> None:
    case_id = book.case_at(verb.before)
    with pytest.raises(ZeroDivisionError), book.ledger.turn(case_id, verb):
        fault()
    assert book.ledger.retry(case_id) == verb.before
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (verb.before, 0)
    with book.ledger.turn(case_id, verb):
        pass
    assert book.state(case_id) == verb.after


def test_what_has_not_failed_cannot_be_retried(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with pytest.raises(NotYourTurn, match="has not failed"):
        book.ledger.retry(case_id)
    with pytest.raises(ZeroDivisionError), book.ledger.turn(case_id, ANALYZE):
        fault()
    book.ledger.retry(case_id)
    with pytest.raises(NotYourTurn):
        book.ledger.retry(case_id)
    assert book.state(case_id) == State.RECEIVED


def test_the_audit_trail_has_a_line_for_every_change(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with pytest.raises(Busy), book.ledger.turn(case_id, ANALYZE):
        busy()
    with pytest.raises(ZeroDivisionError), book.ledger.turn(case_id, ANALYZE):
        fault()
    book.ledger.retry(case_id)
    for verb in VERBS:
        with book.ledger.turn(case_id, verb):
            pass
    moves = book.moves(case_id)
    assert moves[0][0] == State.RECEIVING
    assert moves[-1][1] == State.DELIVERED
    assert len(moves) == 1 + 2 + 2 + 1 + 6
    assert all(end == start for (_, end), (start, _) in pairwise(moves))
    assert all(may_move(State(start), State(end)) for start, end in moves)
    assert all(event.study_uid == "2.25.100" for event in book.questions.events(case_id=case_id))


@pytest.mark.parametrize("start", State)
def test_a_move_that_is_not_in_the_table_changes_nothing(book: Book, start: State) -> None:
    case_id = book.case_at(start)
    moves = book.moves(case_id)
    for end in State:
        if not may_move(start, end):
            with pytest.raises(NotYourTurn, match="does not go"):
                book.ledger.move(case_id, start, end)
    assert book.state(case_id) == start
    assert book.moves(case_id) == moves


def test_a_move_from_where_the_case_is_not_changes_nothing(book: Book) -> None:
    case_id = book.case_at(State.ANALYZED)
    with pytest.raises(NotYourTurn):
        book.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
    with pytest.raises(NotYourTurn), book.ledger.turn(case_id, DELIVER):
        pytest.fail("it was not reported")
    with pytest.raises(NotYourTurn), book.ledger.turn(case_id + 1, REPORT):
        pytest.fail("there is no such case")
    assert book.state(case_id) == State.ANALYZED


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
