"""The steady care of a node: settle studies, sweep, and ring for what is due."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from dicom_node.auditing.duty import on_duty
from dicom_node.auditing.exporting import telling_collector
from dicom_node.auditing.keeping import signing
from dicom_node.delivering.places import knock, peer_of
from dicom_node.delivering.purging import purge
from dicom_node.doorbell import Bell
from dicom_node.errors import NotYourTurn, told
from dicom_node.ledger.commitments import ask_again, places_due
from dicom_node.ledger.outbox import hurry, owe_again
from dicom_node.ledger.questions import Debt
from dicom_node.ledger.recalls import read_again
from dicom_node.ledger.shadows import late
from dicom_node.ledger.tables import Case, Product
from dicom_node.ledger.tellings import tell_again
from dicom_node.life import ANALYZE, AT_THE_END, DELIVER, TOLD, WAITING, Receipt, State, Verb
from dicom_node.logs import log
from dicom_node.receiving.purging import purge_images
from dicom_node.receiving.settle import settle
from dicom_node.watching.accessions import cases_meant
from dicom_node.wiring import CODE_VERSION, Node

SETTLE_SECONDS = 1.0
LEAVE_SECONDS = 2.0  # for a sweep under way when the node stops
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
LONG_QUEUE = 1000
CARE_SECONDS = 5.0  # for the sweep that is under way when the node stops

logger = log("tending")


def tend(node: Node, stop: threading.Event) -> None:
    """Settle studies each second until told to stop; a thread beside it sweeps and rings.

    A broker may take its time to say nothing: no study waits for that.
    """
    settled = threading.Event()
    sweeper = threading.Thread(
        target=_sweep_on, args=(node, stop, settled), name="sweep", daemon=True
    )
    sweeper.start()
    while not stop.wait(SETTLE_SECONDS):
        with _going_on():
            if settle(node.ledger, node.questions, node.settings.receiving):
                settled.set()
    sweeper.join(LEAVE_SECONDS)


def _sweep_on(node: Node, stop: threading.Event, settled: threading.Event) -> None:
    """Look at the leases each second; sweep now and then, and where something has changed."""
    bell = Bell(node.settings)
    next_at = time.monotonic()
    while not stop.is_set():
        is_time = settled.wait(SETTLE_SECONDS) or time.monotonic() >= next_at
        settled.clear()
        with _going_on():
            if node.ledger.watch() or is_time:
                next_at = time.monotonic() + node.settings.watching.sweep_seconds
                _ring_for_all(node, bell)


@contextmanager
def _going_on() -> Iterator[None]:
    """Outlive whatever one round meets: the next one finds what it left."""
    try:
        yield
    except SQLAlchemyError as trouble:
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
    """Sweep now, and count the rings; what is held is looked at for as long as a lease lasts."""
    until = time.monotonic() + node.ledger.lease_seconds
    while not node.ledger.watch() and node.ledger.leases.seen and time.monotonic() < until:
        time.sleep(SETTLE_SECONDS / 4)
    return _ring_for_all(node, Bell(node.settings))


def _ring_for_all(node: Node, bell: Bell) -> int:
    """Ring for what is due, and count the rings; the next sweep finds what this one left.

    A bell that nobody hears is not tried for each case. And while no worker serves, the sweep goes
    on ringing: a queue that is long enough gets no longer.
    """
    knock(node.ledger, node.questions, node.settings)
    due = node.ledger.sweep()
    rung: set[tuple[int, Verb]] = set()
    for verb in {verb: None for _, verb in due}:
        if bell.waiting(verb) >= LONG_QUEUE:
            continue
        for case_id in (case_id for case_id, its_verb in due if its_verb == verb):
            if not bell.ring(case_id, verb):
                break
            rung.add((case_id, verb))
    if unheard := [one[0] for one in due if one not in rung]:
        node.ledger.not_rung(unheard)
    asked = places_due(node.questions)  # for what they should have committed by now
    if asked and bell.waiting(DELIVER) < LONG_QUEUE:
        for _, case_id in asked:
            bell.ring(case_id, DELIVER)
    lost = late(node.questions.engine)
    if lost is not None and not bell.waiting(ANALYZE):  # no study waits for who reads along
        bell.ring(lost, ANALYZE)
    purge(node.ledger, node.questions, node.spool, node.settings)
    purge_images(node.ledger, node.questions, node.spool, node.settings.receiving)
    return len(rung)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of the wish to try one case again."""

    case_id: int
    again: bool
    sentence: str


def try_again(node: Node, name: str, *, accession: bool = False) -> Iterator[Tried]:
    """Send failed cases back to where they failed, and let waiting ones wait no longer."""
    cases = cases_meant(node, name, accession=accession)
    bell = Bell(node.settings)
    for case in cases:
        try:
            yield Tried(case.id, True, _again(node, bell, case))
        except NotYourTurn as answer:
            yield Tried(case.id, False, str(answer))


def _again(node: Node, bell: Bell, case: Case) -> str:
    state = case.state
    debts = node.questions.debts_of(case.id)
    told = not any(one.delivery.receipt == Receipt.REFUSED for one in debts)
    lost = {one.product.id: one.product for one in debts if one.delivery.receipt == Receipt.LOST}
    missing = [one for one in lost.values() if not node.spool.is_whole(one.path, one.sha256)]
    told &= len(missing) == len(lost)  # a note that was put back is sent before all else
    if node.questions.recall_of(case.id) is not None and state in AT_THE_END and told:
        opened = read_again(node.ledger, case.id)
        bell.ring(opened.id, ANALYZE)
        return f"case {case.id} was recalled: round {opened.round} reads the study again"
    if missing:
        _make_again(node, case, missing)
    asked = ask_again(node.ledger, case.id)
    if state == State.FAILED:
        state = node.ledger.retry(case.id)
    if state in WAITING:
        hurry(node.ledger, case.id, _peers(node, debts))
        bell.ring(case.id, WAITING[state])
        return f"case {case.id} goes on from {state}"
    tells = state in TOLD and _tell_again(node, case)
    if not (tells or asked):
        raise NotYourTurn(f"case {case.id} is {state}: there is nothing to try again")
    bell.ring(case.id, DELIVER)
    notice = ["its notice is sent again"] if tells else []
    promise = ["a promise to keep its objects is asked for again"] if asked else []
    return f"case {case.id} stays {state}; {', and '.join(notice + promise)}"


def _make_again(node: Node, case: Case, missing: Sequence[Product]) -> None:
    """Make lost objects again; what builds objects is loaded for this alone."""
    from dicom_node.reporting.again import make_again
    from dicom_node.reporting.outgoing import Workshop

    shop = Workshop(node.ledger, node.questions, node.spool, node.settings, CODE_VERSION)
    make_again(shop, case, missing)


def _tell_again(node: Node, case: Case) -> bool:
    """Send the notice of a declined case that was refused, or that waits for its destination."""
    owe_again(node.ledger, case.id)
    if not tell_again(node.ledger, case.id):
        return False
    hurry(node.ledger, case.id, _peers(node, node.questions.debts_of(case.id)))
    return True


def _peers(node: Node, debts: Sequence[Debt]) -> set[str]:
    """Name the roads to whoever is owed something."""
    owed = [debt.delivery for debt in debts]
    return {str(peer_of(node.settings, row.destination, row.target)) for row in owed}


def let_sighup_wait() -> None:
    """Keep SIGHUP from ending a process that is about to hear it; `stop_on_signals` lets it in."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def stop_on_signals(stop: threading.Event, again: Callable[[], None] | None = None) -> None:
    """Let SIGTERM and Ctrl-C set the event, and SIGHUP read the settings again, where that is told.

    At a terminal SIGHUP says that it was closed, and ends the process as it ends any other.

    A handler in Python would have to wait for the main thread, which sleeps on where the kernel
    gives the signal to another one. So each signal is a byte in a pipe, which a thread reads.
    """
    hears, tells = os.pipe()
    os.set_blocking(tells, False)
    signal.set_wakeup_fd(tells, warn_on_full_buffer=False)
    renewing = {signal.SIGHUP} if again is not None and not _has_terminal() else set()
    for number in STOPPING | renewing:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one may wait since the start

    def wait_for_one() -> None:
        while not STOPPING.intersection(heard := os.read(hears, 1)):
            if again is not None and renewing.intersection(heard):  # a stop is heard meanwhile
                threading.Thread(target=again, name="settings", daemon=True).start()
        stop.set()

    threading.Thread(target=wait_for_one, name="signals", daemon=True).start()


def _has_terminal() -> bool:
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
