"""The workers: Celery tasks that take a case's turn, one verb each.

A task carries a case number and nothing else. How a turn ended stands in the ledger; the queue
hears nothing of it.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from billiard import active_children
from celery import Task, signals
from sqlalchemy.exc import SQLAlchemyError

from dicom_node.analyzing.analyze import Desk, analyze
from dicom_node.analyzing.shadowing import read_along, read_late
from dicom_node.delivering.deliver import deliver
from dicom_node.delivering.office import Office
from dicom_node.doorbell import Bell, queue
from dicom_node.errors import Busy, Misconfigured, NotYourTurn, Refused, told
from dicom_node.ledger.urgency import goes_before
from dicom_node.life import ANALYZE, DELIVER, REPORT, VERBS, Verb
from dicom_node.logs import log, set_up
from dicom_node.pulse import Hearing, Pulse, Watch, end_with_parent, goes_before_the_listener
from dicom_node.reporting.outgoing import Workshop
from dicom_node.reporting.telling import report_or_tell
from dicom_node.settings.file import Settings
from dicom_node.watching.drift import watch_scores
from dicom_node.wiring import CODE_VERSION, Node

PATIENCE_SECONDS = 20.0  # whoever stops a worker waits 30
NEXT = {ANALYZE: REPORT, REPORT: DELIVER}
SILENT_SECONDS = 15.0  # loading a model may keep a busy machine from saying anything for a while

logger = log("worker")


Afterwards = Callable[[], None] | None  # what is done once the next step was rung for


def turns(node: Node) -> dict[Verb, Callable[[int], Afterwards]]:
    """Return the three kinds of work, each as a function of a case number."""
    desk = Desk(
        node.ledger,
        node.questions,
        node.spool,
        node.settings,
        lambda: node.analyzers,
        CODE_VERSION,
        lambda: node.reads,
        lambda: node.models.shadows,
    )
    shop = Workshop(
        node.ledger, node.questions, node.spool, node.settings, CODE_VERSION, lambda: node.cards
    )
    office = Office(node.ledger, node.questions, node.spool, node.settings)

    def read(case_id: int) -> Afterwards:
        node.models.look()
        try:
            exam = analyze(desk, case_id)
        except NotYourTurn:  # it was read; somebody who reads along may have been lost
            if not read_late(desk, case_id):
                raise
            return None
        if exam is None:
            return None

        def afterwards() -> None:
            watch_scores(node, case_id)
            read_along(desk, case_id, exam)

        return afterwards

    def write(case_id: int) -> None:
        node.models.look()
        report_or_tell(shop, case_id)

    return {
        ANALYZE: read,
        REPORT: write,
        DELIVER: lambda case_id: deliver(office, case_id),
    }


def work(settings: Settings, verbs: Sequence[Verb], name: str) -> None:
    """Serve the queues of some verbs until told to stop."""
    if ANALYZE in verbs:
        _verify_bundles(Node(settings))
    app = queue(settings)
    home: dict[str, Any] = {}

    watch = Watch(
        max(settings.watching.lease_seconds, SILENT_SECONDS), settings.watching.turn_seconds, _ended
    )
    pulse = watch.pulse()

    def at_home(**_: object) -> None:
        """Build everything in the process that works: connections and torch survive no fork."""
        end_with_parent()
        goes_before_the_listener()
        set_up(settings.node.log_format, settings.node.log_level)
        pulse.begin()
        try:
            home.update(_at_home(settings, verbs))
        finally:
            pulse.ready()
            if not home:  # Celery logs why, and would go on to serve with nothing to serve from
                os.kill(os.getppid(), signal.SIGTERM)

    signals.setup_logging.connect(_our_own_logging, weak=False)
    signals.worker_shutting_down.connect(_leave_in_time, weak=False)
    signals.worker_process_init.connect(at_home, weak=False)
    for verb in VERBS:
        app.task(name=verb.name, bind=True)(_task(verb, home, pulse))
    worker = app.Worker(
        hostname=f"{name}@%h",
        queues=[verb.name for verb in verbs],
        concurrency=1,
        pool="prefork",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
    )
    watch.begin()
    if settings.broker_url:  # a folder is always heard, and may hold what is no ring for ever
        bell = Bell(settings)
        Hearing(lambda: sum(map(bell.waiting, verbs)), watch.rests, _deaf).begin()
    worker.start()


def _ended(pid: int, why: str) -> None:
    logger.error("ended a process that hangs", pid=pid, why=why)


def _deaf() -> None:
    """End this worker, which is at no turn; whoever started it starts it again."""
    logger.error("rings wait and are not heard: this worker ends, to be started again")
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(1)


def _verify_bundles(node: Node) -> None:
    """End the process in words (Misconfigured) where a bundle is not what its card says."""
    try:
        assert node.cards
    except Misconfigured as faults:
        node.ledger.record("model refused", "; ".join(faults.faults))
        raise
    finally:
        node.engine.dispose()


def _at_home(settings: Settings, verbs: Sequence[Verb]) -> dict[str, Any]:
    """Make what the turns need; a bundle is loaded before the first case, not with it."""
    node = Node(settings)
    if ANALYZE in verbs:
        for folder in node.models.serving.folders:
            logger.info("loading bundle", folder=folder.name)
        for analyzer in node.analyzers:
            logger.info("bundle loaded", digest=analyzer.digest[:12])
        for shadow in node.models.shadows:
            logger.info("bundle reads along", digest=shadow.digest[:12])
    return {
        "turns": turns(node),
        "bell": Bell(settings),
        "goes_before": partial(goes_before, node.engine),
    }


def _leave_in_time(**_: object) -> None:
    """Finish the case at hand if it is soon done; else leave it to whoever comes next.

    Its lease runs out, and the sweep takes it back: that costs the study time and nothing else.
    """

    def leave() -> None:
        logger.warning("the case at hand is left to the sweep")
        for child in active_children():
            os.kill(child.pid, signal.SIGKILL)
        os._exit(0)

    patience = threading.Timer(PATIENCE_SECONDS, leave)
    patience.daemon = True
    patience.start()


def _our_own_logging(**_: object) -> None:
    """Keep Celery from setting up logs of its own: that somebody answers the signal is enough."""


def _urgent(home: dict[str, Any], case_id: int, verb: Verb, tried: set[int]) -> int | None:
    """Name what goes before a case.

    A ledger that is away says so to the turn itself, and so does a ring for what is no case.
    """
    try:
        found: int | None = home["goes_before"](int(case_id), verb.before, tried)
    except (SQLAlchemyError, TypeError, ValueError, OverflowError):
        return None
    return found


def _task(verb: Verb, home: dict[str, Any], pulse: Pulse) -> Callable[[Task, int], None]:
    def hear(_: Task, case_id: int) -> None:
        """Take the case that was rung for, and before it whatever is more urgent."""
        tried: set[int] = set()
        while (urgent := _urgent(home, case_id, verb, tried)) is not None:
            tried.add(urgent)
            answer(urgent)
        answer(case_id)

    def answer(case_id: int) -> None:
        about = {"case": case_id, "verb": verb.name}
        try:
            with pulse.turn():
                afterwards = home["turns"][verb](int(case_id))
            logger.info("done", **about)
            if verb in NEXT:
                home["bell"].ring(case_id, NEXT[verb])
            if afterwards is not None:
                with pulse.turn():
                    afterwards()
        except NotYourTurn:
            logger.debug("not our turn", **about)
        except Busy as trouble:
            logger.info("later", why=str(trouble), **about)
        except Refused as answer:
            logger.warning("refused", why=str(answer), **about)
        except Exception as fault:  # noqa: BLE001 - recorded as FAILED; Celery would print its words
            logger.error("failed", why=told(fault), **about)

    hear.__name__ = verb.name
    return hear
