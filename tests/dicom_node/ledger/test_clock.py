"""The steady time goes on whatever the clock says, and all processes of a machine share it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from ledger_book import Book
from sqlalchemy import select

from dicom_node.ledger import clock
from dicom_node.ledger.clock import by_the_clock, keep_time, steady
from dicom_node.ledger.ledger import now
from dicom_node.ledger.tables import Beginning, Case
from dicom_node.life import ANALYZE, State

YEAR = timedelta(days=365)


@pytest.fixture(autouse=True)
def one_zero() -> Iterator[None]:
    """Give the other tests of this process their time back."""
    zero = steady.zero
    yield
    steady.zero = zero


@pytest.mark.parametrize("jump", [YEAR, -YEAR, timedelta(hours=1), timedelta(hours=-1)], ids=str)
def test_R18_a_clock_that_is_set_moves_nothing_that_waits(
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    jump: timedelta,
    figure: Callable[[str], None],
) -> None:
    keep_time(book.engine)
    before = now()
    monkeypatch.setattr(clock, "by_the_clock", lambda: datetime.now(UTC) + jump)
    keep_time(book.engine)  # as a process does that is started now
    assert timedelta(0) <= now() - before < timedelta(seconds=10)
    case_id, held = book.case_at(State.RECEIVED), book.case_at(State.ANALYZING, "2.25.2")
    waiting, later = book.case_at(State.REPORTED, "2.25.3"), now() + timedelta(seconds=300)
    with book.ledger.writing() as session:
        session.get_one(Case, waiting).due_at = later
    moved = now() - before
    assert book.ledger.sweep() == [(case_id, ANALYZE)], "nothing is due before its time"
    assert book.state(held) == State.ANALYZING, "and no holder that lives is robbed"
    events = book.questions.events()
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    figure(
        f"clock set by {jump}: the ledger's time moved by {moved.total_seconds():.1f} s, no lease "
        f"and no waiting time by any, {len(events)} events in sequence"
    )


def test_a_machine_that_starts_with_its_clock_set_back_goes_on_from_what_the_ledger_knows(
    book: Book,
) -> None:
    case_id = book.case_at(State.RECEIVED)
    with book.ledger.writing() as session:
        session.get_one(Case, case_id).moved_at = ahead = by_the_clock() + YEAR
    keep_time(book.engine)
    assert now() >= ahead
    assert book.ledger.sweep() == [(case_id, ANALYZE)]


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=str)
def test_R18_a_machine_that_starts_while_the_database_has_another_year_has_its_neighbors_time(
    book: Book,
    monkeypatch: pytest.MonkeyPatch,
    jump: timedelta,
    figure: Callable[[str], None],
) -> None:
    monkeypatch.setattr(clock, "by_the_clock", lambda: datetime.now(UTC) - jump)
    steady.zero -= jump  # so that it is the database that jumped
    case_id = book.case_at(State.RECEIVED)
    neighbors = now()
    keep_time(book.engine)
    apart = abs(now() - neighbors)
    assert apart < timedelta(seconds=10)
    assert book.ledger.sweep() == [(case_id, ANALYZE)]
    figure(f"database's clock {jump} off: {apart.total_seconds():.1f} s from the neighbors'")


LATE, EARLY, TRUE = (datetime(year, 1, 1, tzinfo=UTC) for year in (2027, 2025, 2026))
SOON = TRUE + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("own", "shared", "known", "likely"),
    [
        (TRUE, SOON, [], SOON),
        (SOON, TRUE, [], TRUE),
        (TRUE, SOON, [EARLY], SOON),
        (TRUE, LATE, [TRUE], TRUE),
        (TRUE, EARLY, [TRUE], TRUE),
        (LATE, TRUE, [TRUE], TRUE),
        (LATE, TRUE, [SOON], SOON),
        (EARLY, TRUE, [TRUE], TRUE),
        (EARLY, EARLY, [TRUE], TRUE),
        (LATE, LATE, [TRUE], LATE),
    ],
)
def test_of_two_clocks_the_one_that_fits_is_believed(
    own: datetime, shared: datetime, known: list[datetime], likely: datetime
) -> None:
    assert clock._likely([own, shared], known) == likely


def test_each_start_of_a_machine_has_one_beginning(book: Book) -> None:
    for _ in range(3):
        keep_time(book.engine)
    with book.ledger.writing() as session:
        (only,) = session.scalars(select(Beginning)).all()
    assert abs(only.zero_at - steady.zero) < timedelta(milliseconds=1)
