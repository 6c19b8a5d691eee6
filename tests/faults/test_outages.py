"""A PACS that is away for hours: nothing is lost, it is left in peace, and nobody else notices.

A minute of these hours is a second here: `probe_seconds` says so.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from destinations import Posted
from fault_proxy import FaultProxy, fault_proxy
from faulty_pacs import FaultyPacs, faulty_pacs
from running_node import Pacs, RunningNode, running_node

from dicom_node.life import Receipt
from dicom_node.wiring import migrate

pytestmark = pytest.mark.journey

MINUTE_SECONDS = 1.0  # as compressed here
WORKERS = 2


@pytest.fixture
def away() -> Iterator[tuple[FaultyPacs, FaultProxy]]:
    with faulty_pacs("AWAY") as pacs, fault_proxy(pacs.port) as wire:
        yield pacs, wire


def calls(wire: FaultProxy, seconds: float) -> int:
    """Let some time pass, and count the calls in it; a busy machine may let more of it pass."""
    before, began = len(wire.opened), time.monotonic()
    time.sleep(seconds)
    found, took = len(wire.opened) - before, time.monotonic() - began
    return round(found * min(1.0, seconds / took))


def receipts(node: RunningNode, cases: list[int], name: str) -> list[Receipt]:
    return [
        debt.delivery.receipt
        for case_id in cases
        for debt in node.questions.debts_of(case_id)
        if debt.delivery.destination == name
    ]


def work_in_two_places(node: RunningNode) -> None:
    """Let two processes deliver, as on two machines."""
    node.start("listen")
    for number in range(WORKERS):
        node.start("work", "--only", "deliver", *["--only", "report"][: 2 * number])


@pytest.mark.timeout(900)
def test_R12_a_pacs_that_is_away_for_hours_loses_nothing_and_holds_up_nobody(
    away: tuple[FaultyPacs, FaultProxy],
    tmp_path: Path,
    figure: Callable[[str], None],
    at_length: Callable[[int, int], int],
) -> None:
    pacs, wire = away
    studies, minutes = at_length(8, 200), at_length(2, 30)
    with faulty_pacs("NEAR") as near, faulty_pacs("PICKY") as picky:
        picky.status = lambda _: 0xC000
        places = [
            Pacs("away", pacs.ae_title, wire.port),
            Pacs("near", near.ae_title, near.port),
            Pacs("picky", picky.ae_title, picky.port),
        ]
        wishes = {"probe_seconds": MINUTE_SECONDS, "retry_seconds": (MINUTE_SECONDS, 60.0)}
        with running_node(tmp_path / "node", places, **wishes) as node:
            node.settings.data.mkdir(parents=True)
            migrate(node.node)
            office = Posted(node.node)
            cases = [office.case(objects=2) for _ in range(studies)]
            wire.refuses = True
            work_in_two_places(node)
            started = time.monotonic()
            node.wait_until(lambda: len(near.kept) == 2 * studies, "delivered to the one there")
            others_took = time.monotonic() - started
            told = {}
            told["refused"] = calls(wire, minutes * MINUTE_SECONDS)
            wire.refuses, pacs.loses_answers = False, True
            told["acks lost"] = calls(wire, minutes * MINUTE_SECONDS)
            pacs.heal()
            pacs.status = lambda _: 0xA700
            told["A700"] = calls(wire, minutes * MINUTE_SECONDS)
            pacs.heal()
            started = time.monotonic()
            node.wait_until(
                lambda: receipts(node, cases, "away").count(Receipt.DELIVERED) == 2 * studies,
                "delivered what had waited",
            )
            drained = time.monotonic() - started
            parked = receipts(node, cases, "picky")
            shown = node.run("status").stdout
    assert len(pacs.kept) == len(near.kept) == 2 * studies
    assert pacs.twice == near.twice == []
    late = at_length(1, 0)  # a call that a busy machine saw late
    assert max(told.values()) <= minutes + 1 + late, f"at most one a minute: {told}"
    assert set(parked) == {Receipt.REFUSED}
    assert picky._count == 2 * studies, "what is refused for good is asked once"
    assert f"will not take {2 * studies} objects: picky" in " ".join(shown.split())
    assert drained < 600
    counted = ", ".join(f"{name} {count}" for name, count in told.items())
    figure(
        f"0 of {studies} lost; calls in {minutes} compressed minutes each: {counted}; "
        f"{studies} drained in {drained:.0f} s; elsewhere done in {others_took:.0f} s; "
        f"{picky._count} refused for good, asked once each"
    )
