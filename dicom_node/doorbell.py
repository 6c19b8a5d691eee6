"""The doorbell: how cases are rung for. The only module, with the worker, that knows Celery.

A ring that gets lost is no harm: the ledger is the truth, and the sweep rings again.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from dicom_node.doormat import lay
from dicom_node.errors import Busy
from dicom_node.life import Verb
from dicom_node.logs import log
from dicom_node.owner import give_to_owner
from dicom_node.settings.file import Settings

ANSWER_SECONDS = 2.0
DEAF_SECONDS = 5.0
ANSWERS = "the broker answers"
NO_EVICTION = "noeviction"
EVICTS = "drops rings when it is full (maxmemory-policy {}): give it maxmemory-policy noeviction"
Answer = TypeVar("Answer")

logger = log("doorbell")


def queue(settings: Settings) -> Celery:
    """Connect to the doorbell: Redis where the settings name one, else a folder."""
    lay()
    app = Celery("fourviews", broker=settings.broker_url or "filesystem://")
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=False,  # a lost case comes back by its lease, once
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=600.0,  # torch may take its time; after 4 s Celery would kill it
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # nobody at the broker stops or bends a worker
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # for ever: a worker outlives any broker
        broker_connection_timeout=3,
        broker_transport_options=_transport(settings),
        task_create_missing_queues=True,
    )
    return app


def _transport(settings: Settings) -> dict[str, Any]:
    if settings.broker_url:
        return {
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "visibility_timeout": 7200,  # longer than any turn: redelivery is the sweep's business
        }
    folders = {name: settings.data / "queue" / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
        give_to_owner(folder.parent, folder)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.1,
    }


class Bell:
    """Rings for cases; never fails its caller, and holds it up once in a while at most."""

    def __init__(self, settings: Settings) -> None:
        self._app = queue(settings)
        if settings.broker_url:
            waits = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
            self._app.conf.broker_transport_options |= waits
        self._deaf_until = 0.0

    def ring(self, case_id: int, verb: Verb) -> bool:
        """Put a case number into the queue of its next step; say whether that could be done."""

        def send() -> bool:
            self._app.send_task(verb.name, args=[case_id], queue=verb.name, retry=False)
            return True

        return self._asked(send, instead=False)

    def waiting(self, verb: Verb) -> int:
        """Count the rings that nobody has answered yet; 0 where they cannot be counted."""

        def count() -> int:
            with self._app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=ANSWER_SECONDS)
                try:
                    queue = connection.default_channel.queue_declare(verb.name, passive=True)
                except connection.channel_errors:
                    return 0  # Redis knows no queue that is empty
                return int(queue.message_count)

        return self._asked(count, instead=0)

    def _asked(self, work: Callable[[], Answer], instead: Answer) -> Answer:
        """Ask the broker; one that did not answer is left alone for a moment."""
        if time.monotonic() < self._deaf_until:
            return instead
        try:
            return work()
        except Exception as trouble:  # noqa: BLE001 - Redis and kombu raise what they like
            self._deaf_until = time.monotonic() + DEAF_SECONDS
            logger.warning("nobody hears the bell", why=type(trouble).__name__)
            return instead


def listen_for_answer(settings: Settings) -> str:
    """Say that the broker answers, or raise Busy with the reason."""
    if not settings.broker_url:
        return f"it is the folder {settings.data / 'queue'}; no server needed"
    with queue(settings).connection_for_write() as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=3)
            memory = connection.default_channel.client.info("memory")
        except (OperationalError, OSError, RedisError) as trouble:
            raise Busy(f"node.broker cannot be reached: {type(trouble).__name__}") from trouble
    policy = memory.get("maxmemory_policy", NO_EVICTION)
    return ANSWERS if policy == NO_EVICTION else f"{ANSWERS}, but {EVICTS.format(policy)}"
