"""What a destination says that is asked to keep what it took is written down, and acted upon."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from committing_pacs import CommittingPacs, committing_pacs
from destinations import Posted, on_both
from pydicom import Dataset
from senders import until
from sqlalchemy import update

from dicom_node.delivering import commitment
from dicom_node.errors import Busy, NotYourTurn
from dicom_node.ledger import outbox
from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.commitments import record_answer
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Commitment, Delivery
from dicom_node.life import DELIVER, Commit, State
from dicom_node.tending import sweep_once, try_again

Makes = Callable[..., Posted]
COMMITTED = Commit.COMMITTED
PATIENCE_SECONDS = 60.0  # with what is bound to come
SOON = 0.1  # with what never comes


@pytest.fixture
def keeper() -> Iterator[CommittingPacs]:
    with committing_pacs() as one:
        yield one


@pytest.fixture
def asking(
    keeper: CommittingPacs, posted: Makes, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Posted]:
    def make(answer_seconds: float = PATIENCE_SECONDS, **how: object) -> Posted:
        monkeypatch.setattr(commitment, "ANSWER_SECONDS", answer_seconds)
        patience = {"commitment_after_seconds": 0.0, "commitment_seconds": [0.3], **how}
        table = {**keeper.pacs.table, "commitment": True}
        return posted(table, **patience)

    return make


def commitments(office: Posted, case_id: int) -> list[Commit | None]:
    return [row.commitment for row in office.rows(case_id, "keeper")]


def goes_on(office: Posted, case_id: int) -> None:
    """Do what the next ring makes a worker do."""
    sweep_once(office.node)
    with suppress(Busy, NotYourTurn):
        office.deliver(case_id)


def told(office: Posted, what: str) -> list[str]:
    return [event.sentence for event in office.node.questions.events() if event.what == what]


@on_both
def test_A3_what_is_sent_taken_committed_and_purged_is_recorded(
    keeper: CommittingPacs, asking: Callable[..., Posted], figure: Callable[[str], None]
) -> None:
    office = asking(keep_results_days=1e-9)
    case_id = office.case(objects=3)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert commitments(office, case_id) == [COMMITTED] * 3
    (asked,) = keeper.asked
    assert len(asked.ReferencedSOPSequence) == 3, "all in one request"
    until(lambda: bool(keeper.statuses), PATIENCE_SECONDS)
    assert keeper.statuses == [0x0000]
    assert told(office, "committed") == [f"keeper keeps the kind_{number}" for number in range(3)]
    assert told(office, "commitment asked") == ["keeper is asked to commit 3 objects"]
    assert told(office, "delivered") == [f"keeper has the kind_{number}" for number in range(3)]
    until(lambda: sweep_once(office.node) == 0 and told(office, "purged"), PATIENCE_SECONDS)
    acts = ("delivered", "commitment asked", "committed", "purged")
    counts = {what: len(told(office, what)) for what in acts}
    assert counts == {"delivered": 3, "commitment asked": 1, "committed": 3, "purged": 1}
    figure(f"of 3 objects recorded: {', '.join(f'{one} {n}' for one, n in counts.items())}")


def test_several_cases_are_asked_for_at_once(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(commitment_after_seconds=3600)
    cases = [office.case(objects=2) for _ in range(3)]
    for case_id in cases:
        office.deliver(case_id)
    assert keeper.asked == []
    with office.node.ledger.writing() as session:
        session.execute(update(Delivery).values(commit_due_at=now()))  # as after that hour
    goes_on(office, cases[0])
    assert [commitments(office, case_id) for case_id in cases] == [[COMMITTED] * 2] * 3
    assert len(keeper.asked) == 1


@on_both
def test_what_a_pacs_does_not_have_is_sent_again_and_then_committed(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking()
    case_id = office.case(objects=2)
    lost = office.node.questions.products_of(case_id)[0].sop_uid
    before = iter([True])
    keeper.reason = lambda uid: 0x0112 if uid == lost and next(before, False) else 0
    office.deliver(case_id)
    assert office.state(case_id) == State.REPORTED, "there is something to send again"
    assert (case_id, DELIVER) in office.node.ledger.sweep()
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert commitments(office, case_id) == [COMMITTED] * 2
    assert sum(uid == lost for _, uid in keeper.pacs.stored) == 2
    assert len(keeper.pacs.stored) == 3, "the other one is not sent again"
    assert keeper.pacs.twice == []


def test_an_answer_that_is_brought_twice_sends_nothing_twice(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(SOON, commitment_seconds=[600.0])
    case_id = office.case(objects=1)
    keeper.answers_on = "never"
    keeper.reason = lambda _: 0x0112
    office.deliver(case_id)
    said = keeper.answer(keeper.asked[0])
    assert record_answer(office.node.ledger, said)
    assert office.state(case_id) == State.REPORTED
    office.deliver(case_id)
    for _ in range(4):
        assert record_answer(office.node.ledger, said)
        assert office.state(case_id) == State.DELIVERED, "it is about what was sent before"
    assert commitments(office, case_id) == [Commit.ASKED]
    assert len(keeper.pacs.stored) == 2


def test_what_a_pacs_loses_again_and_again_is_parked(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking()
    case_id = office.case(objects=1)
    keeper.reason = lambda _: 0x0112

    def parked() -> bool:
        goes_on(office, case_id)
        return commitments(office, case_id) == [Commit.REFUSED]

    until(parked, PATIENCE_SECONDS)
    assert len(keeper.pacs.stored) == 4
    sentence = "keeper: does not commit the kind_0 (reason 0112)"
    assert told(office, "commitment failed") == [sentence]
    shown = office.node.questions.not_committed_by_destination()
    assert shown == {"keeper": (1, "does not commit the kind_0 (reason 0112)")}


@pytest.mark.parametrize("reason", [0x0119, 0x0122])
def test_what_a_pacs_will_never_commit_is_parked_at_once(
    keeper: CommittingPacs, asking: Callable[..., Posted], reason: int
) -> None:
    office = asking()
    case_id = office.case(objects=2)
    bad = office.node.questions.products_of(case_id)[1].sop_uid
    keeper.reason = lambda uid: reason if uid == bad else 0
    office.deliver(case_id)
    assert commitments(office, case_id) == [COMMITTED, Commit.REFUSED]
    assert office.state(case_id) == State.DELIVERED, "it was taken, and is there as far as we know"


def test_retry_asks_again_for_a_promise_that_was_parked(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking()
    case_id = office.case(objects=2)
    keeper.reason = lambda _: 0x0119
    office.deliver(case_id)
    assert commitments(office, case_id) == [Commit.REFUSED] * 2
    keeper.reason = None
    (tried,) = try_again(office.node, str(case_id))
    assert tried.again
    assert tried.sentence.endswith("DELIVERED; a promise to keep its objects is asked for again")
    assert office.node.questions.not_committed_by_destination() == {}
    goes_on(office, case_id)
    assert commitments(office, case_id) == [COMMITTED] * 2
    assert len(keeper.pacs.stored) == 2, "nothing is sent again"
    (tried,) = try_again(office.node, str(case_id))
    assert not tried.again


@pytest.mark.parametrize("reason", [0x0110, 0x0213, 0x0131])
def test_what_a_pacs_cannot_commit_just_now_is_asked_for_again(
    keeper: CommittingPacs, asking: Callable[..., Posted], reason: int
) -> None:
    office = asking()
    case_id = office.case(objects=1)
    keeper.reason = lambda _: reason
    office.deliver(case_id)
    assert commitments(office, case_id) == [Commit.ASKED]
    keeper.reason = None

    def committed() -> bool:
        goes_on(office, case_id)
        return commitments(office, case_id) == [COMMITTED]

    until(committed, PATIENCE_SECONDS)
    first, second = keeper.asked
    assert first.TransactionUID != second.TransactionUID
    assert len(keeper.pacs.stored) == 1


def test_R18_a_clock_set_by_a_year_gives_no_commitment_up(
    keeper: CommittingPacs,
    asking: Callable[..., Posted],
    monkeypatch: pytest.MonkeyPatch,
    figure: Callable[[str], None],
) -> None:
    office, year = asking(SOON), timedelta(days=365)
    case_id = office.case(objects=1)
    keeper.answers_on = "never"
    with monkeypatch.context() as before_it_was_set:
        before_it_was_set.setattr(outbox, "by_the_clock", lambda: by_the_clock() - year)
        office.deliver(case_id)

    def asked_again() -> bool:
        goes_on(office, case_id)
        return len(keeper.asked) > 1 or commitments(office, case_id) == [Commit.REFUSED]

    until(asked_again, PATIENCE_SECONDS)
    assert commitments(office, case_id) == [Commit.ASKED]
    figure(f"clock set on by a year: asked {len(keeper.asked)} times, 0 commitments given up")


def test_what_is_never_answered_is_asked_for_again_and_in_the_end_somebody_is_told(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(SOON, commitment_hours=1.0)
    case_id = office.case(objects=1)
    keeper.answers_on = "never"
    office.deliver(case_id)
    until(lambda: goes_on(office, case_id) or len(keeper.asked) >= 2, PATIENCE_SECONDS)
    assert commitments(office, case_id) == [Commit.ASKED]
    with office.node.ledger.writing() as session:  # as after that hour
        session.execute(update(Delivery).values(owed_since=now() - timedelta(hours=1)))

    def overdue() -> bool:
        goes_on(office, case_id)
        return commitments(office, case_id) == [Commit.REFUSED]

    until(overdue, PATIENCE_SECONDS)
    (sentence,) = told(office, "commitment failed")
    assert sentence.startswith("keeper: storage commitment was never answered in")
    count = len(keeper.asked)
    goes_on(office, case_id)
    assert len(keeper.asked) == count, "enough is enough"


def test_a_late_answer_to_an_earlier_question_counts(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(SOON)
    case_id = office.case(objects=2)
    keeper.answers_on = "never"
    office.deliver(case_id)

    def asked_twice() -> bool:
        goes_on(office, case_id)
        return len(keeper.asked) >= 2

    until(asked_twice, PATIENCE_SECONDS)
    said = keeper.answer(keeper.asked[0])
    assert record_answer(office.node.ledger, said)
    assert commitments(office, case_id) == [COMMITTED] * 2
    assert record_answer(office.node.ledger, said), "saying it twice changes nothing"
    assert len(told(office, "committed")) == 2
    said.TransactionUID = "2.25.1"
    assert not record_answer(office.node.ledger, said), "nobody asked that"


@on_both
def test_an_answer_that_comes_by_several_roads_at_once_is_written_down_once(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(SOON)
    keeper.answers_on = "never"
    case_id = office.case(objects=3)
    office.deliver(case_id)
    said, ready = keeper.answer(keeper.asked[0]), threading.Barrier(4)

    def say() -> None:
        ready.wait()
        record_answer(office.node.ledger, said)

    those = [threading.Thread(target=say) for _ in range(4)]
    for one in those:
        one.start()
    for one in those:
        one.join()
    assert commitments(office, case_id) == [COMMITTED] * 3
    assert len(told(office, "committed")) == 3


def test_on_its_own_association_nobody_answers_what_another_was_asked(
    keeper: CommittingPacs, asking: Callable[..., Posted], monkeypatch: pytest.MonkeyPatch
) -> None:
    office = asking()
    keeper.answers_on = "never"
    case_id = office.case(objects=1)
    with office.node.ledger.writing() as session:
        row = Commitment(transaction_uid="2.25.8", destination="other", target="", asked_at=now())
        session.add(row)
    own_answer = keeper.answer

    def for_another(told: Dataset) -> Dataset:
        said = own_answer(told)
        said.TransactionUID = "2.25.8"
        return said

    monkeypatch.setattr(keeper, "answer", for_another)
    keeper.answers_on = "same"
    office.deliver(case_id)
    until(lambda: bool(keeper.statuses), PATIENCE_SECONDS)
    assert keeper.statuses[0] == 0x0110
    with office.node.ledger.writing() as session:
        assert session.get_one(Commitment, row.id).answered_at is None


def test_a_pacs_that_takes_no_requests_gets_its_objects_all_the_same(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking()
    keeper.refuses = 0x0112
    first, second = office.case(objects=1), office.case(objects=1)
    for case_id in (first, second):
        office.deliver(case_id)
        assert office.state(case_id) == State.DELIVERED
    assert commitments(office, first) == [Commit.ASKED]
    assert office.node.questions.roads_down() == []
    assert (
        "takes no request for storage commitment (status 0112)"
        in told(office, "commitment not asked")[0]
    )
    keeper.refuses = 0

    def committed() -> bool:
        goes_on(office, first)
        return commitments(office, first) + commitments(office, second) == [COMMITTED] * 2

    until(committed, PATIENCE_SECONDS)


def test_nobody_is_asked_who_does_not_want_to_be(keeper: CommittingPacs, posted: Makes) -> None:
    office = posted(keeper.pacs.table)
    case_id = office.case(objects=1)
    office.deliver(case_id)
    goes_on(office, case_id)
    assert commitments(office, case_id) == [None]
    assert keeper.asked == []


def test_a_neighbor_who_commits_and_is_away_stays_known_as_away(
    keeper: CommittingPacs, posted: Makes
) -> None:
    table = {**keeper.pacs.table, "commitment": True, "commitment_port": 9}  # nobody is there
    office = posted(table, commitment_after_seconds=0.0, probe_seconds=60)
    case_id = office.case(objects=1)
    office.deliver(case_id)
    sweep_once(office.node)
    (road,) = office.node.questions.roads_down()
    assert road.destination.endswith(":9")
    assert told(office, "destination forgotten") == []


def test_a_late_word_that_time_would_help_does_not_bring_back_what_was_given_up(
    keeper: CommittingPacs, asking: Callable[..., Posted]
) -> None:
    office = asking(SOON, commitment_hours=1e-9)
    case_id = office.case(objects=1)
    keeper.answers_on = "never"
    office.deliver(case_id)
    assert commitments(office, case_id) == [Commit.REFUSED]
    with office.node.ledger.writing() as session:
        row = Commitment(transaction_uid="2.25.7", destination="keeper", target="", asked_at=now())
        session.add(row)
    failed = Dataset()
    failed.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.50"
    failed.ReferencedSOPInstanceUID = office.node.questions.products_of(case_id)[0].sop_uid
    failed.FailureReason = 0x0110
    said = Dataset()
    said.TransactionUID, said.FailedSOPSequence = "2.25.7", [failed]
    assert record_answer(office.node.ledger, said)
    assert commitments(office, case_id) == [Commit.REFUSED], "nobody would ask again"
