"""Whatever a peer does, nothing is lost, no time is wasted, and nobody else waits for it."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from itertools import pairwise

import pytest
from destinations import Destination, Posted, on_both
from fault_proxy import FaultProxy, fault_proxy
from faulty_pacs import FaultyPacs, faulty_pacs
from rich.console import Console
from senders import until
from sqlalchemy import update

from dicom_node.delivering import deliver as delivering
from dicom_node.delivering import paying
from dicom_node.delivering.deliver import deliver
from dicom_node.delivering.office import Office
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.ledger.ledger import now
from dicom_node.ledger.questions import Questions
from dicom_node.ledger.roads import close_road, open_road
from dicom_node.ledger.tables import Road
from dicom_node.life import Receipt, State
from dicom_node.tending import sweep_once
from dicom_node.watching.pages import story_page
from dicom_node.watching.story import story
from dicom_node.wiring import Node

Makes = Callable[..., Posted]
SOON = {"timeout_seconds": 2.0}  # with who is not going to answer
PATIENCE_SECONDS = 60.0  # for an attempt at such a peer; without its timeout it would take longer


@pytest.fixture
def pacs() -> Iterator[FaultyPacs]:
    with faulty_pacs() as one:
        yield one


@pytest.fixture
def wire(pacs: FaultyPacs) -> Iterator[FaultProxy]:
    with fault_proxy(pacs.port) as one:
        yield one


def tried(office: Posted, case_id: int) -> float:
    """Take a turn that comes to nothing, and tell how long it took."""
    started = time.monotonic()
    with pytest.raises(Busy):
        office.deliver(case_id)
    return time.monotonic() - started


def goes_on(office: Posted, case_id: int) -> None:
    """Deliver as soon as allowed."""

    def delivered() -> bool:
        sweep_once(office.node)
        with suppress(Busy, NotYourTurn):
            office.deliver(case_id)
        return office.state(case_id) == State.DELIVERED

    until(delivered, 120)


@pytest.mark.parametrize(
    "fault",
    [
        {"rejects": (2, 3, 2)},
        {"aborts": True},
        {"loses_answers": True},
        {"stalls_seconds": 200.0},
        {"wrong_number": True},
        {"wrong_uid": True},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_a_peer_that_misbehaves_is_left_soon_and_gets_all_of_it_later(
    pacs: FaultyPacs, posted: Makes, fault: dict[str, object]
) -> None:
    office = posted({**pacs.table, **SOON})
    case_id = office.case(objects=3)
    for name, value in fault.items():
        setattr(pacs, name, value)
    assert tried(office, case_id) < PATIENCE_SECONDS
    assert office.state(case_id) == State.REPORTED
    assert [road.failures for road in office.node.questions.roads_down()] == [1]
    assert len(pacs.called) == 1, "one call is enough to learn it"
    pacs.heal()
    goes_on(office, case_id)
    assert len(pacs.kept) == 3
    assert pacs.twice == []
    assert office.node.questions.roads_down() == []


@pytest.mark.parametrize(
    "fault",
    [
        {"refuses": True},
        {"black_hole": True},
        {"swallows_answers": True},
        {"drips": True},
        {"cuts_after": 700},
        {"resets_after": 700},
        {"half_closes_after": 100},
    ],
    ids=str,
)
def test_a_broken_wire_is_left_soon_and_carries_all_of_it_later(
    pacs: FaultyPacs, wire: FaultProxy, posted: Makes, fault: dict[str, object]
) -> None:
    office = posted({**pacs.table, **SOON, "port": wire.port})
    case_id = office.case(objects=3)
    for name, value in fault.items():
        setattr(wire, name, value)
    assert tried(office, case_id) < PATIENCE_SECONDS
    assert office.state(case_id) == State.REPORTED
    wire.heal()
    goes_on(office, case_id)
    assert len(pacs.kept) == 3
    assert pacs.twice == []


@pytest.mark.parametrize(
    "words",
    [
        b"\x04\x00\xff\xff\xff\xff" + bytes(1 << 20),
        b"\x04\x00\x00\x01\x00\x06\x00\x01\x00\x02\x01\x01" + bytes(1 << 16),
        b"\x04\x00\x00\x00\x00\x06\x00\x00\x00\x02\x01\x01" * 1000,
    ],
    ids=["a PDU of 4 GiB", "a command without end", "crumbs without end"],
)
def test_a_peer_that_says_more_than_anybody_asked_for_is_cut_off(
    pacs: FaultyPacs, posted: Makes, words: bytes
) -> None:
    office = posted(pacs.table)
    case_id = office.case(objects=1)
    pacs.floods = words
    tried(office, case_id)
    until(lambda: pacs.flooded > 0)
    assert pacs.flooded < 64 << 20, "more would lie in our memory"
    pacs.heal()
    goes_on(office, case_id)


def test_a_peer_that_takes_crumbs_alone_is_left_alone(posted: Makes) -> None:
    with faulty_pacs(largest_pdu=7) as pacs:
        office = posted(pacs.table)
        tried(office, office.case(objects=1))
        (road,) = office.node.questions.roads_down()
        assert "wants messages of 7 bytes at most, in which nothing fits" in road.last_error


def test_a_wire_that_is_only_slow_carries_what_it_can(
    pacs: FaultyPacs, wire: FaultProxy, posted: Makes
) -> None:
    patience = 4.0  # with each answer, which takes half a second, and not with all of them
    office = posted({**pacs.table, "port": wire.port, "timeout_seconds": patience})
    case_id = office.case(objects=12)
    wire.bytes_per_second = 4000
    started = time.monotonic()
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert time.monotonic() - started > patience


def test_a_peer_that_closes_after_each_object_gets_them_one_a_call(
    pacs: FaultyPacs, posted: Makes
) -> None:
    office = posted(pacs.table, retry_seconds=[60])
    case_id = office.case(objects=3)
    pacs.closes_after_each = True
    for _ in range(3):  # an object on its way when the line closes waits for its time alone
        with suppress(Busy, NotYourTurn):
            office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(pacs.kept) == 3


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the peer's
def test_a_peer_that_never_answers_a_release_is_left_without(
    pacs: FaultyPacs, posted: Makes
) -> None:
    office = posted({**pacs.table, **SOON})
    case_id = office.case()
    pacs.mute_at_release = True
    started = time.monotonic()
    office.deliver(case_id)
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert office.state(case_id) == State.DELIVERED


def test_a_peer_that_accepts_no_context_at_all_has_refused(posted: Makes) -> None:
    with faulty_pacs(takes_nothing=True) as pacs:
        office = posted(pacs.table)
        case_id = office.case(objects=2)
        with pytest.raises(Refused, match=r"faulty: will not take the kind_0 \(status 0122\)"):
            office.deliver(case_id)
        assert {row.receipt for row in office.rows(case_id, "faulty")} == {Receipt.REFUSED}
        assert office.node.questions.parked_by_destination() == {
            "faulty": (2, "will not take the kind_1 (status 0122)")
        }


@pytest.mark.parametrize("poison", ["no room", "abort"])
def test_an_object_that_a_peer_never_takes_holds_up_no_other(
    pacs: FaultyPacs, posted: Makes, poison: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = posted(pacs.table)
    first, second = office.case(objects=2), office.case(objects=2)
    bad = office.node.questions.products_of(first)[0].sop_uid
    if poison == "no room":
        pacs.status = lambda uid: 0xA700 if uid == bad else 0x0000
    else:
        former = pacs._store

        def store(event: object) -> int:
            pacs.aborts = str(event.request.AffectedSOPInstanceUID) == bad  # type: ignore[attr-defined]
            if pacs.aborts:
                pacs.aborts = False
                event.assoc.abort()  # type: ignore[attr-defined]
                return 0xA700
            return former(event)  # type: ignore[arg-type]

        pacs.stop()
        monkeypatch.setattr(pacs, "_store", store)
        pacs.start()
    with pytest.raises(Busy):
        office.deliver(first)
    goes_on(office, second)

    def all_but_one() -> bool:
        with suppress(Busy, NotYourTurn):
            office.deliver(first)
        return len(pacs.kept) == 3

    until(all_but_one)
    assert bad not in pacs.kept
    assert office.state(first) == State.REPORTED


def test_a_peer_without_room_for_anything_is_asked_with_one_case_only(
    pacs: FaultyPacs, posted: Makes
) -> None:
    office = posted(pacs.table, probe_seconds=60)
    cases = [office.case(objects=2) for _ in range(5)]
    pacs.status = lambda _: 0xA700
    for case_id in cases:
        tried(office, case_id)
    assert len(pacs.called) == 1
    (road,) = office.node.questions.roads_down()
    assert road.last_error.endswith("has no room")


@on_both
def test_of_many_workers_one_alone_knocks_at_a_closed_door(pacs: FaultyPacs, posted: Makes) -> None:
    probe = 2.5
    office = posted(pacs.table, probe_seconds=probe)
    cases = [office.case(objects=1) for _ in range(5)]
    pacs.rejects = (1, 1, 3)

    def work(case_id: int) -> None:
        node = Node(office.node.settings)
        mine = Office(node.ledger, Questions(node.engine), node.spool, node.settings)
        while not over.is_set():
            with suppress(Busy, NotYourTurn):
                deliver(mine, case_id)
            time.sleep(0.05)
        node.engine.dispose()

    over = threading.Event()
    workers = [threading.Thread(target=work, args=[case_id]) for case_id in cases]
    for one in workers:
        one.start()

    def called_thrice() -> bool:
        sweep_once(office.node)
        return len(pacs.called) >= 3

    until(called_thrice)
    over.set()
    for one in workers:
        one.join()
    gaps = [after - before for before, after in pairwise(pacs.called)]
    assert min(gaps) > 0.4 * probe, "a busy machine may see a knock late, and the next one in time"
    assert pacs.called[-1] - pacs.called[0] > (len(gaps) - 0.6) * probe
    pacs.heal()
    for case_id in cases:
        goes_on(office, case_id)
    assert len(pacs.kept) == 5


@on_both
def test_a_closed_road_wakes_one_case_and_an_open_one_all(pacs: FaultyPacs, posted: Makes) -> None:
    office = posted(pacs.table, retry_seconds=[3600], probe_seconds=600)
    pacs.stop()
    cases = [office.case(objects=1) for _ in range(5)]
    for case_id in cases:
        tried(office, case_id)
    assert office.node.ledger.sweep() == [], "all of them wait for an hour"
    pacs.start()
    with office.node.ledger.writing() as session:
        session.execute(update(Road).values(due_at=now()))  # as after these minutes
    assert sweep_once(office.node) == 1
    with suppress(Busy):
        office.deliver(cases[0])
    assert office.state(cases[0]) == State.DELIVERED
    assert sweep_once(office.node) == 4, "the others need not wait"


def test_who_waits_for_another_goes_first_after_a_slow_peer(
    pacs: FaultyPacs,
    destination: Callable[..., Destination],
    posted: Makes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Far above what a quick peer takes on a busy machine.
    monkeypatch.setattr(delivering, "SLOW_SECONDS", 3.0)
    monkeypatch.setattr(paying, "FAIR_SECONDS", 3.2)
    quick = destination("QUICK")
    office = posted(pacs.table, quick.table)
    cases = [office.case(objects=4) for _ in range(3)]
    pacs.stalls_seconds = 1.7
    started = time.monotonic()
    with pytest.raises(Busy, match="owed to faulty"):
        office.deliver(cases[0])
    assert time.monotonic() - started < 60
    assert len(quick.came) == 12, "of all three cases"
    assert 0 < len(pacs.kept) < 4
    pacs.heal()
    for case_id in cases:
        goes_on(office, case_id)
    assert len(pacs.kept) == 12
    assert len(quick.came) == 12


@on_both
def test_a_road_that_leads_nowhere_is_forgotten(pacs: FaultyPacs, posted: Makes) -> None:
    office = posted(pacs.table)
    pacs.stop()
    tried(office, office.case(objects=1))
    without = office.node.settings.model_copy(
        update={
            "delivering": office.node.settings.delivering.model_copy(update={"destinations": ()})
        }
    )
    changed = Node(without)
    sweep_once(changed)
    changed.engine.dispose()
    assert office.node.questions.roads_down() == []


def test_a_story_tells_why_an_object_waits_and_until_when(pacs: FaultyPacs, posted: Makes) -> None:
    office = posted(pacs.table, retry_seconds=[3600])
    first, second = office.case(objects=1), office.case(objects=1)

    def waits(case_id: int) -> str:
        case = office.node.questions.case(case_id)
        assert case is not None
        told = story(office.node.questions, case, office.node.settings)
        page = StringIO()
        story_page(Console(file=page, width=200), told)
        (one,) = told["deliveries"]
        assert not one["waits"] or f"waits for faulty: {one['waits']}" in page.getvalue()
        return str(one["waits"])

    assert waits(first) == "its turn has not come yet; is due"
    pacs.status = lambda _: 0xA700
    with suppress(Busy):
        office.deliver(first)
    assert re.search(r"^FAULTY@.* has no room; next try \d{4}-\d\d-\d\d \d\d:", waits(first))
    pacs.heal()
    goes_on(office, second)
    assert re.search(r"^status A700; ", waits(first))
    goes_on(office, first)
    assert waits(first) == waits(second) == ""


def test_a_road_that_was_forgotten_meanwhile_is_opened_and_closed_all_the_same(
    posted: Makes,
) -> None:
    office = posted()
    open_road(office.node.ledger, "AWAY@host:104", ())
    assert office.node.questions.roads_down() == []
    close_road(office.node.ledger, "GONE@host:104", "nobody is there", now())
    (road,) = office.node.questions.roads_down()
    assert (road.destination, road.failures) == ("GONE@host:104", 1)
