"""Every destination gets what it is owed, patiently, and none waits for another."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from destinations import Destination, Posted
from senders import until
from sqlalchemy import update

from dicom_node.delivering.deliver import deliver
from dicom_node.delivering.places import peer_of
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.ledger.ledger import now
from dicom_node.ledger.outbox import (
    hurry,
    owe_again,
    record_delay,
    record_receipt,
    record_refusal,
    record_waiver,
)
from dicom_node.ledger.tables import Delivery, Road
from dicom_node.life import DELIVER, Receipt, State

OWED, DELIVERED, REFUSED = Receipt.OWED, Receipt.DELIVERED, Receipt.REFUSED
Destinations = Callable[..., Destination]
Makes = Callable[..., Posted]


def receipts(posted: Posted, case_id: int, name: str = "pacs") -> list[Receipt]:
    return [row.receipt for row in posted.rows(case_id, name)]


def test_every_destination_gets_every_object_byte_for_byte(
    destination: Destinations, posted: Makes
) -> None:
    one, two = destination("ONE"), destination("TWO")
    office = posted(one.table, {**two.table, "calling_ae_title": "NODE_AT_TWO"})
    case_id = office.case(objects=3)
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    kept = office.contents(case_id)
    for place in (one, two):
        assert len(place.datasets) == 3
        assert all(file.endswith(came) for file, came in zip(kept, place.datasets, strict=True))
    assert (one.callers, two.callers) == (["FOURVIEWS"], ["NODE_AT_TWO"]), "one association each"
    assert receipts(office, case_id, "one") == [DELIVERED] * 3
    assert all(row.delivered_at is not None for row in office.rows(case_id, "two"))
    case = office.node.questions.case(case_id)
    assert case is not None
    assert case.reason == "6 objects at one, two"


def test_a_case_without_destinations_is_delivered_nowhere(posted: Makes) -> None:
    office = posted()
    case_id = office.case()
    office.deliver(case_id)
    case = office.node.questions.case(case_id)
    assert case is not None
    assert (case.state, case.reason) == (
        State.DELIVERED,
        "no destination of the settings wants these objects",
    )


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_an_object_that_is_there_is_delivered(
    destination: Destinations, posted: Makes, status: int
) -> None:
    office = posted(destination(answers=[status]).table)
    case_id = office.case()
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert [row.status for row in office.rows(case_id)] == [status] * 2


@pytest.mark.parametrize("status", [0xA700, 0xA7FE, 0x0110])
def test_a_destination_that_has_no_room_is_asked_again(
    destination: Destinations, posted: Makes, status: int
) -> None:
    pacs = destination(answers=[0x0000, status, 0x0000])
    office = posted(pacs.table)
    case_id = office.case()
    with pytest.raises(Busy, match="1 object still owed to pacs"):
        office.deliver(case_id)
    assert office.state(case_id) == State.REPORTED
    assert receipts(office, case_id) == [DELIVERED, OWED]
    assert office.rows(case_id)[1].last_error == f"status {status:04X}"
    assert office.node.ledger.sweep() == [], "not before its time"
    until(lambda: office.node.ledger.sweep() == [(case_id, DELIVER)])
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(pacs.came) == 3, "what was taken is not sent again"


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0124, 0x0117])
def test_a_refusal_parks_the_object_fails_the_case_and_waits_for_people(
    destination: Destinations, posted: Makes, status: int
) -> None:
    pacs = destination(answers=[status, 0x0000])
    office = posted(pacs.table)
    case_id = office.case()
    with pytest.raises(Refused):
        office.deliver(case_id)
    case = office.node.questions.case(case_id)
    assert case is not None
    assert case.state == State.FAILED
    assert case.reason == f"Refused: pacs: will not take the kind_0 (status {status:04X})"
    assert receipts(office, case_id) == [REFUSED, DELIVERED], "the others go out all the same"
    assert office.node.ledger.sweep() == []
    # the administrator mends it, and says so
    owe_again(office.node.ledger, case_id)
    assert office.node.ledger.retry(case_id) == State.REPORTED
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert len(pacs.came) == 3


def test_a_kind_that_was_not_negotiated_is_refused(
    destination: Destinations, posted: Makes
) -> None:
    takes = [("1.2.840.10008.5.1.4.1.1.7", ["1.2.840.10008.1.2.1"])]
    pacs = destination(takes=takes)
    office = posted(pacs.table)
    case_id = office.case(objects=1)
    with pytest.raises(Refused, match=r"pacs: will not take the kind_0 \(status 0122\)"):
        office.deliver(case_id)
    assert receipts(office, case_id) == [REFUSED]
    assert office.node.questions.roads_down() == [], "it was reached"


def test_a_dead_destination_holds_up_no_other(destination: Destinations, posted: Makes) -> None:
    dead, alive = destination("DEAD", running=False), destination("PACS")
    office = posted(dead.table, alive.table, probe_seconds=7200)
    first, second = office.case(), office.case()
    for case_id in (first, second):
        with pytest.raises(Busy, match="2 objects still owed to dead"):
            office.deliver(case_id)
        assert receipts(office, case_id, "pacs") == [DELIVERED] * 2
        assert receipts(office, case_id, "dead") == [OWED] * 2
    (road,) = office.node.questions.roads_down()
    assert road.failures == 1, "the second case did not knock again"
    assert office.node.questions.owed_by_destination() == {"dead": 4}
    dead.start()
    for case_id in (first, second):
        hurried(office, case_id)
        office.deliver(case_id)
        assert office.state(case_id) == State.DELIVERED
    assert len(dead.came) == 4
    assert len(alive.came) == 4
    assert office.node.questions.roads_down() == []
    told = [event.what for event in office.node.questions.last_events(1000)]
    assert told.count("destination unreachable") == 1
    assert told.count("destination back") == 1


def delivered(office: Posted, case_id: int) -> bool:
    """Take the turn if it is time."""
    try:
        office.deliver(case_id)
    except (Busy, NotYourTurn):
        return False
    return office.state(case_id) == State.DELIVERED


def waits(office: Posted, case_id: int, times: int) -> Iterator[tuple[float, float]]:
    """Fail several times, each as soon as allowed; tell how long road and case then wait."""
    for _ in range(times):
        before = now()
        with pytest.raises(Busy):
            office.deliver(case_id)
        (road,) = office.node.questions.roads_down()
        case = office.node.questions.case(case_id)
        assert case is not None
        yield (road.due_at - before).total_seconds(), (case.due_at - before).total_seconds()
        hurried(office, case_id)


def hurried(office: Posted, case_id: int) -> None:
    """Let the waiting time be over."""
    hurry(
        office.node.ledger,
        case_id,
        [road.destination for road in office.node.questions.roads_down()],
    )


def test_a_road_is_tried_at_a_steady_pace_and_its_cases_wait_longer_each_time(
    destination: Destinations, posted: Makes
) -> None:
    patience = {"retry_seconds": [100, 200, 400], "probe_seconds": 60}
    office = posted(destination(running=False).table, **patience)
    told = list(waits(office, office.case(), 5))
    assert [road for road, _ in told] == pytest.approx([60] * 5, abs=5)
    assert [case for _, case in told] == pytest.approx([100, 200, 400, 400, 400], abs=5)


def test_waiting_for_room_grows_too(destination: Destinations, posted: Makes) -> None:
    office = posted(destination(answers=[0xA700]).table, retry_seconds=[100, 200, 400])
    case_id = office.case(objects=1)
    told = []
    for _ in range(4):
        before = now()
        with pytest.raises(Busy):
            office.deliver(case_id)
        (row,) = office.rows(case_id)
        told.append((row.due_at - before).total_seconds())
        hurried(office, case_id)
    assert told == pytest.approx([100, 200, 400, 400], abs=5)


@pytest.mark.parametrize(("answers", "running"), [([0xA700], True), ([], False)])
def test_what_could_not_be_delivered_for_days_is_given_up(
    destination: Destinations,
    posted: Makes,
    answers: list[int],
    running: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    pacs = destination(answers=answers, running=running)
    office = posted(pacs.table, give_up_hours=72)
    young = office.case(objects=1, owed_since=now() - timedelta(hours=71))
    with pytest.raises(Busy):
        office.deliver(young)
    hurried(office, young)
    old = office.case(objects=1, owed_since=now() - timedelta(hours=73))
    with pytest.raises(Refused):
        office.deliver(old)
    case = office.node.questions.case(old)
    assert case is not None
    assert case.state == State.FAILED
    assert case.reason.startswith("Refused: pacs: given up after 72 hours: ")
    nobody = f"PACS@127.0.0.1:{pacs.port} cannot be reached: nobody listens at its port"
    said = "status A700" if running else nobody
    assert case.reason.endswith(said)
    assert receipts(office, young) == [OWED]


def test_who_is_asked_again_after_giving_up_gets_all_its_days_again(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination(running=False)
    office = posted(pacs.table)
    case_id = office.case(objects=1, owed_since=now() - timedelta(hours=73))
    with pytest.raises(Refused):
        office.deliver(case_id)
    owe_again(office.node.ledger, case_id)
    office.node.ledger.retry(case_id)
    hurried(office, case_id)
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert receipts(office, case_id) == [OWED]


def test_results_return_to_whoever_sent_the_images_and_of_two_to_each_what_is_its_own(
    destination: Destinations, posted: Makes
) -> None:
    one, two = destination("MG1"), destination("MG2")
    office = posted({"name": "sender", "return_to_sender": True})
    case_id = office.case(objects=2, target=f"MG1@127.0.0.1:{one.port}")
    with office.node.ledger.writing() as session:
        session.merge(office.rows(case_id, "sender")[1]).target = f"MG2@127.0.0.1:{two.port}"
    office.deliver(case_id)
    assert office.state(case_id) == State.DELIVERED
    assert [len(one.came), len(two.came)] == [1, 1]


def test_a_target_may_hold_an_ipv6_address(posted: Makes) -> None:
    office = posted({"name": "sender", "return_to_sender": True})
    peer = peer_of(office.node.settings, "sender", "MG@1@fd00::9:104")
    assert peer is not None
    assert (peer.ae_title, peer.host, peer.port) == ("MG@1", "fd00::9", 104)


def test_nobody_waits_for_a_destination_that_is_gone_from_the_settings(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = office.case()
    with office.node.ledger.writing() as session:
        session.execute(update(Delivery).values(destination="former"))
    office.deliver(case_id)
    case = office.node.questions.case(case_id)
    assert case is not None
    assert case.state == State.DELIVERED
    assert {debt.delivery.receipt for debt in office.node.questions.debts_of(case_id)} == {
        Receipt.WAIVED
    }
    waived = [event for event in office.node.questions.events() if event.what == "waived"]
    assert all("former: there is no such destination" in event.sentence for event in waived)
    assert waived
    assert pacs.came == []


def test_a_peer_that_dies_in_the_middle_owes_only_the_rest(
    destination: Destinations, posted: Makes
) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = office.case(objects=3)
    answer, former = pacs._store, type(pacs)._store

    def dies(event: object) -> int:
        if len(pacs.came) == 1:
            event.assoc.abort()  # type: ignore[attr-defined]
            return 0xA700
        return former(pacs, event)  # type: ignore[arg-type]

    pacs.stop()
    pacs._store = dies  # type: ignore[method-assign, assignment]
    pacs.start()
    with pytest.raises(Busy):
        office.deliver(case_id)
    assert receipts(office, case_id) == [DELIVERED, OWED, OWED]
    assert office.rows(case_id)[1].last_error == "no answer"
    pacs.stop()
    pacs._store = answer  # type: ignore[method-assign]
    pacs.start()
    until(lambda: delivered(office, case_id))
    assert len(pacs.came) == 3


def test_a_case_is_delivered_once(destination: Destinations, posted: Makes) -> None:
    pacs = destination()
    office = posted(pacs.table)
    case_id = office.case()
    office.deliver(case_id)
    with pytest.raises(NotYourTurn):
        deliver(office.office, case_id)
    assert len(pacs.came) == 2


def test_the_audit_trail_names_each_receipt(destination: Destinations, posted: Makes) -> None:
    office = posted(destination().table)
    case_id = office.case()
    office.deliver(case_id)
    events = office.node.questions.events(case_id=case_id)
    told = [
        (event.sentence, event.details["status"]) for event in events if event.what == "delivered"
    ]
    assert told == [("pacs has the kind_0", "0000"), ("pacs has the kind_1", "0000")]


def test_the_road_is_one_for_all_destinations_at_the_same_place(
    destination: Destinations, posted: Makes
) -> None:
    dead = destination("DEAD", running=False)
    office = posted({**dead.table, "name": "a"}, {**dead.table, "name": "b"}, probe_seconds=60)
    with pytest.raises(Busy):
        office.deliver(office.case())
    (road,) = office.node.questions.roads_down()
    assert isinstance(road, Road)
    assert road.failures == 1, "one knock is enough"
    assert road.destination == f"DEAD@127.0.0.1:{dead.port}"


def test_an_answer_that_comes_after_another_processes_one_is_not_written_down_again(
    destination: Destinations, posted: Makes
) -> None:
    office = posted(destination().table)
    case_id = office.case(objects=1)
    office.deliver(case_id)
    (debt,) = office.node.questions.debts_of(case_id)
    before = len(office.node.questions.last_events(1000))
    ledger, delivery = office.node.ledger, debt.delivery.id
    record_receipt(ledger, delivery, 0)
    record_refusal(ledger, delivery, 0xA900, "will not take it")
    record_waiver(ledger, delivery, "nobody waits")
    record_delay(ledger, delivery, None, "no answer", now())
    (after,) = office.node.questions.debts_of(case_id)
    assert after.delivery.receipt == Receipt.DELIVERED
    assert after.delivery.attempts == debt.delivery.attempts
    assert len(office.node.questions.last_events(1000)) == before
