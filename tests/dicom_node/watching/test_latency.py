"""How long each leg took the newest cases: from the trail's own times, and found at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from ledger_book import Book
from sqlalchemy import event

from dicom_node.errors import Busy
from dicom_node.ledger import ledger as ledger_module
from dicom_node.ledger.legs import newest_passed
from dicom_node.ledger.steering import discard, hold, release, settle_now
from dicom_node.life import ANALYZE, DELIVER, REPORT, State
from dicom_node.watching import latency
from dicom_node.watching.latency import duration, legs_told, within
from dicom_node.watching.page.look import status_page as html_page
from dicom_node.watching.page.metrics import metrics
from dicom_node.watching.page.overview import Overview
from dicom_node.wiring import Node

Wait = Callable[[float], None]


@pytest.fixture
def book(node: Node) -> Book:
    return Book(node.engine)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Let the clock stand still but for what a test waits."""
    at = [datetime(2026, 3, 2, 14, 0, tzinfo=UTC)]

    def wait(seconds: float) -> None:
        at[0] += timedelta(seconds=seconds)

    for module in (ledger_module, latency):
        monkeypatch.setattr(module, "by_the_clock", lambda: at[0])
    return wait


def goes(book: Book, wait: Wait, seconds: tuple[float, ...], study: str = "2.25.1") -> int:
    """Let a case take so long for each leg; it is left where they end."""
    case_id = book.arrive(study)
    receive, settle, *rest = seconds
    wait(receive)
    book.arrive(study, "RCC")
    wait(settle)
    book.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
    for verb, took in zip((ANALYZE, REPORT, DELIVER), rest, strict=False):
        wait(took)
        with book.ledger.turn(case_id, verb):
            pass
    return case_id


def took(book: Book) -> dict[str, tuple[float | None, float | None]]:
    """Tell the longest time of each leg, and how long somebody waits there."""
    return {one["leg"]: (one["longest"], one["waits"]) for one in legs_told(book.engine)}


def test_each_leg_is_told_by_itself_and_the_way_as_a_whole(book: Book, wait: Wait) -> None:
    goes(book, wait, (3, 10, 40, 5, 2))
    assert took(book) == {
        "receive": (3, None),
        "settle": (10, 0),
        "analyze": (40, 0),
        "report": (5, 0),
        "deliver": (2, 0),
        "whole": (57, None),
    }


def test_nothing_is_told_of_a_ledger_without_cases(book: Book) -> None:
    assert legs_told(book.engine) == []


def test_who_waits_is_told_although_no_leg_is_over(book: Book, wait: Wait) -> None:
    case_id = goes(book, wait, (3, 10, 40, 5))
    for _ in range(3):  # the destination is away: each try moves the case, and its wait goes on
        wait(100)
        with pytest.raises(Busy), book.ledger.turn(case_id, DELIVER):
            raise Busy("away", due_at=ledger_module.now())
    assert took(book)["deliver"] == (None, 300)
    assert took(book)["report"] == (5, 0)


def test_a_case_that_somebody_holds_keeps_nobody_waiting(book: Book, wait: Wait) -> None:
    case_id = book.arrive("2.25.1")
    wait(100)
    assert took(book)["settle"] == (None, 100)
    hold(book.ledger, case_id, "somebody")
    assert took(book)["settle"] == (None, 0)
    release(book.ledger, case_id, "somebody")
    assert took(book)["settle"] == (None, 100)


def test_a_round_that_somebody_opened_is_waited_for_too(book: Book, wait: Wait) -> None:
    case_id = book.arrive("2.25.1")
    discard(book.ledger, case_id, "somebody")
    wait(50)
    opened = settle_now(book.ledger, case_id, "somebody")
    wait(100)
    assert took(book)["analyze"] == (None, 100)
    with book.ledger.turn(opened, ANALYZE):
        pass
    assert took(book)["analyze"] == (100, 0)


def test_a_step_back_belongs_to_its_leg_and_a_late_image_settles_again(
    book: Book, wait: Wait
) -> None:
    case_id = goes(book, wait, (0, 10))
    wait(20)
    book.arrive("2.25.1", "LMLO")
    assert book.state(case_id) == State.RECEIVING
    wait(7)
    book.ledger.move(case_id, State.RECEIVING, State.RECEIVED)
    with pytest.raises(Busy), book.ledger.turn(case_id, ANALYZE):
        raise Busy("no memory", due_at=ledger_module.now())
    wait(60)
    with book.ledger.turn(case_id, ANALYZE):
        pass
    told = took(book)
    assert (told["receive"], told["settle"], told["analyze"]) == ((30, None), (7, 0), (60, 0))


def test_a_clock_that_was_set_back_makes_no_leg(book: Book, wait: Wait) -> None:
    goes(book, wait, (3, 10, -3600, 5, 2))
    told = took(book)
    assert (told["settle"][0], told["analyze"][0], told["whole"][0]) == (10, None, None)


def test_quantiles_are_times_that_were() -> None:
    assert within([], 0.5) is None
    assert [within([1, 2, 3, 40], part) for part in (0.5, 0.95, 1.0)] == [2, 40, 40]
    assert within(range(1, 101), 0.95) == 95
    words = [duration(one) for one in (None, 0, 8.26, 119, 120, 7100, 7200, 1e6)]
    assert words == ["-", "0 s", "8.3 s", "119.0 s", "2.0 min", "118.3 min", "2.0 h", "11.6 d"]


def test_page_and_numbers_tell_it(node: Node, book: Book, wait: Wait) -> None:
    for number, analyze in enumerate((30, 40, 90)):
        goes(book, wait, (3, 10, analyze, 5, 2), f"2.25.{number + 1}")
    goes(book, wait, (3, 10), "2.25.9")
    wait(250)
    told = Overview(node).now()
    lines = metrics(told).splitlines()
    assert 'fourviews_leg_seconds{leg="analyze",quantile="0.5"} 40.0' in lines
    assert 'fourviews_leg_seconds{leg="whole",quantile="1"} 107.0' in lines
    assert 'fourviews_leg_cases{leg="analyze"} 3' in lines
    assert 'fourviews_leg_wait_seconds{leg="analyze"} 250.0' in lines
    assert 'fourviews_leg_wait_seconds{leg="deliver"} 0.0' in lines
    page = html_page(told, "me")
    assert "<td>settled to analyzed</td><td>3</td><td>40.0 s</td><td>90.0 s</td>" in page
    assert "<td>4.2 min</td>" in page


def test_it_is_found_through_indexes(node: Node, book: Book, wait: Wait) -> None:
    goes(book, wait, (3, 10, 40, 5, 2))
    asked: list[tuple[str, tuple[object, ...]]] = []
    event.listen(
        node.engine, "before_cursor_execute", lambda *said: asked.append((said[2], said[3]))
    )
    newest_passed(node.engine, latency.CASES)
    legs_told(node.engine)
    plans = list[str]()
    with node.engine.connect() as connection:
        for statement, values in [one for one in asked if one[0].startswith("SELECT")]:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans += [row[3] for row in rows]
    told = "\n".join(plans)
    assert "events USING INDEX ix_events_case_id" in told
    assert "SCAN events" not in told
    assert "ix_events_what" not in told
    assert "cases USING INDEX ix_cases_state_cases_due_at" in told
