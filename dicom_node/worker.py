"""The doorbells: Celery tasks that carry a case number and nothing else.

The only module that knows the queue. A ring that gets lost is no harm: the sweep rings again.
"""

import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from celery import Celery, Task, signals
from kombu.exceptions import OperationalError

from dicom_node.analyzing.analyze import Desk, analyze
from dicom_node.delivering.deliver import Office, deliver
from dicom_node.errors import Busy, NotYourTurn, Refused
from dicom_node.life import ANALYZE, DELIVER, REPORT, VERBS, Verb
from dicom_node.logs import log, set_up
from dicom_node.receiving.settle import settle
from dicom_node.reporting.turn import Workshop, report
from dicom_node.settings import Settings
from dicom_node.wiring import CODE_VERSION, Node

SETTLE_SECONDS = 1.0
NEXT = {ANALYZE: REPORT, REPORT: DELIVER}

logger = log("worker")


def queue(settings: Settings) -> Celery:
    """Connect to the doorbell: Redis where the settings name one, else a folder."""
    app = Celery("fourviews", broker=settings.node.broker or "filesystem://")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a lost case comes back by its lease, once
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=3,
        broker_transport_options=_transport(settings),
        task_create_missing_queues=True,
    )
    return app


def _transport(settings: Settings) -> dict[str, Any]:
    if settings.node.broker:
        return {
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "visibility_timeout": 7200,  # longer than any turn: redelivery is the sweep's business
        }
    folders = {name: settings.data / "queue" / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.1,
    }


class Bell:
    """Rings for cases; never fails its caller."""

    def __init__(self, settings: Settings) -> None:
        self._app = queue(settings)

    def ring(self, case_id: int, verb: Verb) -> None:
        """Put a case number into the queue of its next step."""
        try:
            self._app.send_task(verb.name, args=[case_id], queue=verb.name, retry=False)
        except (OperationalError, OSError) as trouble:
            logger.warning("nobody hears the bell", case=case_id, why=type(trouble).__name__)


def turns(node: Node) -> dict[Verb, Callable[[int], None]]:
    """Return the three kinds of work, each as a function of a case number."""
    desk = Desk(
        node.ledger,
        node.questions,
        node.spool,
        node.settings,
        lambda: node.analyzer,
        CODE_VERSION,
    )
    shop = Workshop(node.ledger, node.questions, node.spool, node.settings, CODE_VERSION)
    office = Office(node.ledger, node.questions, node.spool, node.settings)
    return {
        ANALYZE: lambda case_id: analyze(desk, case_id),
        REPORT: lambda case_id: report(shop, case_id),
        DELIVER: lambda case_id: deliver(office, case_id),
    }


def work(settings: Settings, verbs: Sequence[Verb], name: str) -> None:
    """Serve the queues of some verbs until told to stop."""
    app = queue(settings)
    home: dict[str, Any] = {}

    def at_home(**_: object) -> None:
        """Build everything in the process that works: connections and torch survive no fork."""
        set_up(settings.node.log_format, settings.node.log_level)
        node = Node(settings)
        if ANALYZE in verbs:
            logger.info("loading bundle", folder=settings.bundle_folder.name)
            logger.info("bundle loaded", digest=node.analyzer.digest[:12])
        home.update(turns=turns(node), bell=Bell(settings))

    signals.worker_process_init.connect(at_home, weak=False)
    for verb in VERBS:
        app.task(name=verb.name, bind=True)(_task(verb, home))
    worker = app.Worker(
        hostname=f"{name}@%h",
        queues=[verb.name for verb in verbs],
        concurrency=1,
        pool="prefork",
        loglevel="WARNING",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        optimization="fair",
    )
    worker.start()


def _task(verb: Verb, home: dict[str, Any]) -> Callable[[Task, int], None]:
    def answer(_: Task, case_id: int) -> None:
        about = {"case": case_id, "verb": verb.name}
        try:
            home["turns"][verb](int(case_id))
        except NotYourTurn:
            logger.debug("not our turn", **about)
            return
        except Busy as trouble:
            logger.info("later", why=str(trouble), **about)
            return
        except Refused as answer:
            logger.warning("refused", why=str(answer), **about)
            return
        except Exception as fault:
            logger.exception("failed", fault=type(fault).__name__, **about)
            raise
        logger.info("done", **about)
        if verb in NEXT:
            home["bell"].ring(case_id, NEXT[verb])

    answer.__name__ = verb.name
    return answer


def tend(node: Node, stop: threading.Event) -> None:
    """Settle studies each second, sweep now and then, and ring for what is due."""
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
                for case_id, verb in node.ledger.sweep():
                    bell.ring(case_id, verb)
        except Exception:  # the next round finds what this one left
            logger.exception("could not tend")


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C set the event."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def queue_length(settings: Settings) -> int | None:
    """Count the rings that nobody has answered; None where the queue cannot tell."""
    if settings.node.broker:
        return None
    folder = Path(_transport(settings)["data_folder_in"])
    return sum(1 for path in folder.iterdir() if path.is_file())
