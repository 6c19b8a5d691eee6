"""Several nodes sweep one PostgreSQL at once: nothing is opened, read, sent or purged twice."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from threading import Barrier
from typing import TypeVar

import pytest
from ledger_book import Book, lose, owing, reading
from pydicom import Dataset

from dicom_node.errors import NotYourTurn
from dicom_node.ledger.accounts import books
from dicom_node.ledger.commitments import ask_no_more, record_answer, request
from dicom_node.ledger.engine import open_engine
from dicom_node.ledger.ledger import Ledger, Turn, now
from dicom_node.ledger.outbox import hurry, record_receipt
from dicom_node.ledger.purges import record_purge
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.roads import close_road, forget_roads
from dicom_node.ledger.tables import Case, Delivery, ModelRun, Product
from dicom_node.life import ANALYZE, DELIVER, REPORT, State, Verb
from dicom_node.receiving.settle import settle
from dicom_node.settings.receiving import Receiving

NODES, STUDIES = 5, 8
Answer = TypeVar("Answer")


@pytest.fixture
def hands(postgres_book: Book) -> Iterator[list[Ledger]]:
    """Open the ledger as that many machines do, each with connections of its own.

    They need not call the server by the same name: a ledger is one, whatever leads to it.
    """
    names = ("127.0.0.1", "localhost")
    assert postgres_book.engine.url.host in names
    urls = [postgres_book.engine.url.set(host=names[number % 2]) for number in range(NODES)]
    told = [url.render_as_string(hide_password=False) for url in urls]
    ledgers = [Ledger(open_engine(url), f"node:{number}") for number, url in enumerate(told)]
    yield ledgers
    for one in ledgers:
        one.engine.dispose()


def at_once(hands: Sequence[Ledger], work: Callable[[Ledger], Answer]) -> list[Answer]:
    """Let all of them do the same in the same moment."""
    together = Barrier(len(hands))

    def one(ledger: Ledger) -> Answer:
        together.wait(60)
        return work(ledger)

    with ThreadPoolExecutor(len(hands)) as pool:
        return list(pool.map(one, hands))


def test_R11_several_nodes_at_one_ledger_do_nothing_twice(
    postgres_book: Book, hands: list[Ledger], figure: Callable[[str], None]
) -> None:
    book, studies = postgres_book, [f"2.25.{number}" for number in range(100, 100 + STUDIES)]

    def send(ledger: Ledger) -> None:
        for study_uid in studies:
            Book(ledger.engine).arrive(study_uid)

    at_once(hands, send)
    assert book.count(Case) == STUDIES
    soon = Receiving(quiet_seconds=1e-9, grace_seconds=0)
    settled = at_once(hands, lambda one: settle(one, Questions(one.engine), soon))
    assert sorted(chain(*settled)) == [case.id for case in book.questions.cases(limit=99)][::-1]

    # The holders of some are gone, and all see it in the same moment.
    gone = sorted(chain(*settled))[:3]
    for case_id in gone:
        book.ledger._begin(case_id, ANALYZE)
    for one in hands:
        for case_id in gone:
            lose(one, case_id)
    turns = Counter[tuple[int, Verb]]()

    def take(ledger: Ledger, case_id: int, verb: Verb) -> None:
        with suppress(NotYourTurn), ledger.turn(case_id, verb) as turn:
            turns[case_id, verb] += 1
            work_on(ledger, turn, verb)

    rings = Counter[tuple[int, Verb]]()
    for _ in range(3):
        rung = at_once(hands, lambda one: one.sweep())
        rings.update(chain(*rung))
        due = set(chain(*rung))
        at_once(hands, lambda one: [take(one, *case) for case in due])  # noqa: B023 - done here

    assert set(rings.values()) == set(turns.values()) == {1}
    assert len(turns) == 3 * STUDIES
    lines = Counter(one.sentence for one in book.questions.events() if one.case_id in gone)
    assert sum(count for sentence, count in lines.items() if sentence.startswith("lost ")) == 3
    assert [book.count(one) for one in (ModelRun, Product, Delivery)] == [STUDIES] * 3
    told = Counter(one.what for one in book.questions.events())
    assert (told["delivered"], told["round opened"]) == (STUDIES, STUDIES)
    assert set(book.questions.count_by_state()) == {State.DELIVERED}
    assert books(book.engine).contradictions == ()
    figure(
        f"{NODES} nodes at one PostgreSQL: {STUDIES} studies, each opened, rung for, read, "
        f"reported and delivered once; {len(gone)} lost ones taken back once"
    )


def work_on(ledger: Ledger, turn: Turn, verb: Verb) -> None:
    if verb == ANALYZE:
        turn.leave(reading(turn.case_id))
    elif verb == REPORT:
        turn.leave(*owing(turn.case_id, "pacs"))
    else:
        for debt in Questions(ledger.engine).debts_of(turn.case_id):
            record_receipt(ledger, debt.delivery.id, 0, now())


def test_what_several_nodes_find_in_one_moment_is_written_down_once(
    postgres_book: Book, hands: list[Ledger]
) -> None:
    book = postgres_book
    case_id = book.case_at(State.ANALYZED)
    for verb in (REPORT, DELIVER):
        with book.ledger.turn(case_id, verb) as turn:
            work_on(book.ledger, turn, verb)
    products = book.questions.products_of(case_id)
    asked = request(book.ledger, ("pacs", ""), [60.0], 24)
    assert asked is not None
    told, one = Dataset(), Dataset()
    told.TransactionUID, told.ReferencedSOPSequence = asked.transaction_uid, [one]
    one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = asked.objects[0]
    at_once(hands, lambda one: record_answer(one, told))
    assert sum(at_once(hands, lambda one: record_purge(one, case_id, products))) == 1
    close_road(book.ledger, "GONE@nowhere:1", "does not answer", now())
    at_once(hands, lambda one: forget_roads(one, []))
    with book.ledger.writing() as session:
        session.get_one(Delivery, 1).commitment = "WANTED"
    at_once(hands, lambda one: ask_no_more(one, ("pacs", "")))
    at_once(hands, lambda one: hurry(one, case_id, []))
    told_of = Counter(one.what for one in book.questions.events())
    once = ("committed", "purged", "destination forgotten", "commitment waived")
    assert {what: told_of[what] for what in once} == dict.fromkeys(once, 1)
    assert told_of["hurried"] == NODES
