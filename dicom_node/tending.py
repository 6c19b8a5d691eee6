"""The steady care of a node: settle studies, sweep, and ring for what is due."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.auditing.duty import on_duty
from dicom_node.auditing.exporting import telling_collector
from dicom_node.auditing.keeping import signing
from dicom_node.delivering.places import knock, peer_of
from dicom_node.doorbell import Bell
from dicom_node.errors import NotYourTurn, told
from dicom_node.ledger.commitments import places_due
from dicom_node.ledger.outbox import hurry, owe_again
from dicom_node.ledger.questions import Debt
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.tables import Case
from dicom_node.ledger.tellings import tell_again
from dicom_node.life import ANALYZE, AT_THE_END, DELIVER, TOLD, WAITING, Receipt, State
from dicom_node.logs import log
from dicom_node.receiving.settle import settle
from dicom_node.watching.story import cases_named
from dicom_node.wiring import CODE_VERSION, Node

SETTLE_SECONDS = 1.0
LONG_QUEUE = 1000
CARE_SECONDS = 5.0  # for the sweep that is under way when the node stops

logger = log("tending")


def tend(node: Node, stop: threading.Event) -> None:
    """Settle studies each second and sweep now and then, until told to stop."""
    bell = Bell(node.settings)
    sweep_every = node.settings.watching.sweep_seconds
    waited = sweep_every
    while not stop.wait(SETTLE_SECONDS):
        waited += SETTLE_SECONDS
        try:
            for case_id in settle(node.ledger, node.questions, node.settings.receiving):
                bell.ring(case_id, ANALYZE)
            if waited >= sweep_every:
                waited = 0.0
                _ring_for_all(node, bell)
        except SQLAlchemyError as trouble:  # the next round finds what this one left
            logger.warning("the ledger cannot be reached", why=type(trouble).__name__)
        except Exception as fault:  # noqa: BLE001 - it must not end the listener that it shares
            logger.error("fault", why=told(fault))


@contextmanager
def caring(node: Node, stop: threading.Event) -> Iterator[None]:
    """Tend, sign the trail and tell of it, in threads of their own while the block runs."""
    care = threading.Thread(target=tend, args=(node, stop), name="care", daemon=True)
    ledger, settings = node.ledger, node.settings
    with (
        telling_collector(ledger, settings),
        signing(ledger, settings),
        on_duty(ledger, settings, "listen", CODE_VERSION),
    ):
        care.start()
        try:
            yield
        finally:
            stop.set()
            care.join(CARE_SECONDS)


def sweep_once(node: Node) -> int:
    """Sweep now, and count the rings."""
    return _ring_for_all(node, Bell(node.settings))


def _ring_for_all(node: Node, bell: Bell) -> int:
    """Ring for what is due, and count the rings; the next sweep finds what this one left.

    A bell that nobody hears is not tried for each case: that would hold up the settling. And while
    no worker serves, the sweep goes on ringing: a queue that is long enough gets no longer.
    """
    rung = 0
    knock(node.ledger, node.questions, node.settings)
    due = node.ledger.sweep()
    for verb in {verb: None for _, verb in due}:
        if bell.waiting(verb) >= LONG_QUEUE:
            continue
        for case_id in (case_id for case_id, its_verb in due if its_verb == verb):
            if not bell.ring(case_id, verb):
                return rung
            rung += 1
    for _, case_id in places_due(node.questions):  # to ask for what should be committed by now
        bell.ring(case_id, DELIVER)
    return rung


def try_again(node: Node, name: str) -> Iterator[str]:
    """Send failed cases back to where they failed, and let waiting ones wait no longer."""
    cases = cases_named(node.questions, name)
    if not cases:
        raise NotYourTurn(f"the ledger knows no study or case {name}")
    bell = Bell(node.settings)
    for case in cases:
        yield _again(node, bell, case)


def _again(node: Node, bell: Bell, case: Case) -> str:
    state = case.state
    debts = node.questions.debts_of(case.id)
    told = not any(one.delivery.receipt == Receipt.REFUSED for one in debts)
    if node.questions.recall_of(case.id) is not None and state in AT_THE_END and told:
        try:
            opened = read_again(node.ledger, case.id)
        except NotYourTurn as answer:
            return str(answer)
        bell.ring(opened.id, ANALYZE)
        return f"case {case.id} was recalled: round {opened.round} reads the study again"
    if state == State.FAILED:
        try:
            state = node.ledger.retry(case.id)
        except NotYourTurn as answer:
            return str(answer)
    if state in TOLD:
        return _tell_again(node, bell, case)
    if state not in WAITING:
        return f"case {case.id} is {state}: there is nothing to try again"
    hurry(node.ledger, case.id, _peers(node, debts))
    bell.ring(case.id, WAITING[state])
    return f"case {case.id} goes on from {state}"


def _tell_again(node: Node, bell: Bell, case: Case) -> str:
    """Send the notice of a declined case that was refused, or that waits for its destination."""
    owe_again(node.ledger, case.id)
    if not tell_again(node.ledger, case.id):
        return f"case {case.id} is {case.state}: there is nothing to try again"
    hurry(node.ledger, case.id, _peers(node, node.questions.debts_of(case.id)))
    bell.ring(case.id, DELIVER)
    return f"case {case.id} stays {case.state}; its notice is sent again"


def _peers(node: Node, debts: Sequence[Debt]) -> set[str]:
    """Name the roads to whoever is owed something."""
    owed = [debt.delivery for debt in debts]
    return {str(peer_of(node.settings, row.destination, row.target)) for row in owed}


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C set the event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
