"""A case has one holder, and every turn ends in the ledger."""

import errno
import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from ledger_book import Book, reading, take_turn
from senders import until
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError, OperationalError

from dicom_node.errors import Busy, Declined, NotYourTurn, Refused
from dicom_node.ledger import ledger as ledgers
from dicom_node.ledger.ledger import Turn, now
from dicom_node.ledger.tables import Case, ModelRun, Verdict
from dicom_node.life import ANALYZE, DELIVER, REPORT, VERBS, State, Verb, may_move
from dicom_node.reporting.proof import Unsound

RACERS = 20


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
    [(Refused("pacs will not"), "Refused: pacs will not"), (Unsound(["x"]), "Unsound: x")],
)
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_judgement_of_ours_fails_the_case_at_once_keeps_its_reason_and_is_raised(
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
    assert book.count(ModelRun) == 0


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ValueError("Phantom^Ada is no date"), "ValueError at test_turns.py"),
        (OSError(errno.EIO, "Input/output error"), "OSError: Input/output error"),
    ],
)
def test_a_fault_that_nobody_foresaw_fails_the_case_at_the_third_time(
    book: Book, verb: Verb, fault: Exception, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "FAULT_AGAIN", timedelta(0))
    case_id = book.case_at(verb.before)

    def work(turn: Turn) -> None:
        turn.leave(reading(case_id))
        raise fault

    for attempt in (1, 2, 3):
        with pytest.raises(Busy if attempt < 3 else type(fault)):
            take_turn(book.ledger, case_id, verb, work)
        case = book.questions.case(case_id)
        assert case is not None
        assert case.state == (verb.before if attempt < 3 else State.FAILED)
        assert case.reason.startswith(reason)
        assert ("(attempt" in case.reason) == (attempt < 3)
        assert "Phantom" not in case.reason
    assert book.count(ModelRun) == 0


def test_a_fault_of_the_moment_is_forgiven_by_a_turn_that_ends_well(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "FAULT_AGAIN", timedelta(0))
    case_id = book.case_at(State.RECEIVED)
    with pytest.raises(Busy), book.ledger.turn(case_id, ANALYZE):
        raise MemoryError
    with book.ledger.turn(case_id, ANALYZE):
        pass
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (State.ANALYZED, 0)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "OSError: No space left on device"),
        (OperationalError("SELECT", {}, Exception("gone")), "OperationalError at test_turns.py"),
    ],
)
def test_what_time_mends_goes_back_one_step_and_is_no_strike(
    book: Book, fault: Exception, reason: str
) -> None:
    case_id = book.case_at(State.ANALYZED)

    def work(turn: Turn) -> None:
        turn.leave(reading(case_id))
        raise fault

    with pytest.raises(Busy):
        take_turn(book.ledger, case_id, REPORT, work)
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (State.ANALYZED, 0)
    assert case.reason.startswith(reason)
    assert case.due_at > now()
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
    with pytest.raises(Busy), book.ledger.turn(case_id, DELIVER):
        raise Busy("the road is closed", now() + timedelta(hours=1))
    moves = book.moves(case_id)
    assert book.ledger.sweep() == []
    with pytest.raises(NotYourTurn), book.ledger.turn(case_id, DELIVER):
        pytest.fail("it was not due")
    assert book.moves(case_id) == moves
    soon = now() + timedelta(seconds=0.3)
    with book.ledger.writing() as session:  # as after most of this hour
        session.execute(update(Case).where(Case.id == case_id).values(due_at=soon))
    until(lambda: book.ledger.sweep() == [(case_id, DELIVER)])
    assert now() >= soon
    with book.ledger.turn(case_id, DELIVER):
        pass
    assert book.state(case_id) == State.DELIVERED


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_retry_goes_back_to_where_it_failed(book: Book, verb: Verb) -> None:
    case_id = book.case_at(verb.before)
    with pytest.raises(Refused), book.ledger.turn(case_id, verb):
        raise Refused("it will not do")
    assert book.ledger.retry(case_id) == verb.before
    case = book.questions.case(case_id)
    assert case is not None
    assert (case.state, case.attempts) == (verb.before, 0)
    with book.ledger.turn(case_id, verb):
        pass
    assert book.state(case_id) == verb.after


def test_a_round_that_gave_way_is_delivered_but_made_no_more(book: Book) -> None:
    for verb in VERBS:
        study = f"2.25.20{VERBS.index(verb)}"
        case_id = book.case_at(verb.before, study)
        with pytest.raises(Refused), book.ledger.turn(case_id, verb):
            raise Refused("it will not do")
        assert book.arrive(study) > case_id
        if verb is DELIVER:
            assert book.ledger.retry(case_id) == State.REPORTED
        else:
            with pytest.raises(NotYourTurn, match=r"gave way to round 2: retry that one"):
                book.ledger.retry(case_id)
            assert book.state(case_id) == State.FAILED


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_round_that_was_declined_read_nothing_and_the_one_before_can_be_retried(
    book: Book, verb: Verb
) -> None:
    case_id = book.case_at(verb.before)
    with pytest.raises(Refused), book.ledger.turn(case_id, verb):
        raise Refused("it will not do")
    book.case_at(State.DECLINED)
    assert book.ledger.retry(case_id) == verb.before


def test_what_has_not_failed_cannot_be_retried(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with pytest.raises(NotYourTurn, match="has not failed"):
        book.ledger.retry(case_id)
    with pytest.raises(Refused), book.ledger.turn(case_id, ANALYZE):
        raise Refused("it will not do")
    book.ledger.retry(case_id)
    with pytest.raises(NotYourTurn):
        book.ledger.retry(case_id)
    assert book.state(case_id) == State.RECEIVED


def test_the_audit_trail_has_a_line_for_every_change(book: Book) -> None:
    case_id = book.case_at(State.RECEIVED)
    with pytest.raises(Busy), book.ledger.turn(case_id, ANALYZE):
        raise Busy("later")
    with pytest.raises(Refused), book.ledger.turn(case_id, ANALYZE):
        raise Refused("it will not do")
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
