"""What lies in the queue and is no ring is thrown away, with a line in the log.

Whoever can write to the broker may leave anything there. kombu lets the first entry that it cannot
read end the worker; ours goes on to the next one. It fails for ever at a key of another kind; ours
connects anew, and takes it away.
"""

# mypy: disable-error-code="no-untyped-call"
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem, redis, virtual
from redis.exceptions import DataError, ResponseError

from dicom_node.life import VERBS
from dicom_node.logs import log
from dicom_node.owner import give_to_owner

_MOST_CASES = (1 << 63) - 1
_USUAL: dict[str, object] = {  # of the headers that change what Celery does
    **dict.fromkeys(("eta", "expires", "group", "shadow", "compression", "stamped_headers")),
    "retries": 0,
    "timelimit": [None, None],
}
NO_RING = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError, DataError)

logger = log("doorbell")


class Careful(virtual.Channel):
    """A channel that hands its worker rings, and nothing else."""

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - kombu's
        callback: Callable[[Any], Any],
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Call the worker for a ring; what is none would keep its place, and be the last one."""

        def careful(message: Any) -> None:  # noqa: ANN401
            try:
                _see_that_it_rings(message)
                callback(message)
            except NO_RING as fault:
                _thrown_away(fault)
                if not message.acknowledged:
                    message.ack()

        return super().basic_consume(queue, no_ack, careful, *arguments, **options)


def _see_that_it_rings(message: Any) -> None:  # noqa: ANN401 - kombu's
    """Raise where a message is not what `doorbell` sends: a verb, a case number, nothing besides.

    Celery would obey a time limit, wait for a date of years to come, or unpack what is compressed.
    """
    said = message.headers
    (number,), words, embedded = json.loads(message.body)
    is_plain = (
        said["task"] in {verb.name for verb in VERBS}
        and isinstance(said["id"], str)
        and all(said.get(name, usual) == usual for name, usual in _USUAL.items())
        and (message.content_type, message.content_encoding) == ("application/json", "utf-8")
        and type(number) is int
        and 0 < number <= _MOST_CASES
        and not words
        and not any(embedded.values())
    )
    if not is_plain:
        raise ValueError


class RedisChannel(Careful, redis.Channel):
    """Redis, whose keys anybody may have filled."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - kombu's
        super().__init__(*arguments, **options)
        for key, kind in self._kinds():
            if self.client.type(key) not in {kind, b"none"}:
                self.client.delete(key)
                logger.warning("a key of the queue was of another kind: removed", key=key)

    def _kinds(self) -> Iterator[tuple[str, bytes]]:
        """Name the keys of ours, and of which kind each has to be: with another none is served."""
        yield self.unacked_key, b"hash"
        yield self.unacked_index_key, b"zset"
        yield self.keyprefix_binding_deadlines, b"zset"
        for verb in VERBS:
            yield from ((self._q_for_pri(verb.name, step), b"list") for step in self.priority_steps)
        for name in (verb.name for verb in VERBS):
            yield self.keyprefix_queue % name, b"set"
            yield self.keyprefix_binding_permanent % name, b"set"

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 - kombu's
        try:
            return super()._brpop_read(**options)
        except NO_RING as fault:
            raise _thrown_away(fault) from None


class RedisTransport(redis.Transport):
    """The same, by the name that kombu asks for."""

    Channel = RedisChannel
    # A Redis that is full, read-only or spoiled is as good as none: worth another try.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)


class FolderChannel(Careful, filesystem.Channel):
    """A folder, whose files anybody may have written or removed."""

    def _get(self, queue: str, timeout: float | None = None) -> Any:  # noqa: ANN401 - kombu's
        del timeout
        try:
            payload = super()._get(queue)
            self.Message(payload, channel=self)  # what is none raises here
        except (*NO_RING, ChannelError) as fault:
            raise _thrown_away(fault) from None
        except OSError as trouble:
            with suppress(OSError):
                Path(self.data_folder_in).mkdir(parents=True, exist_ok=True)
            logger.warning("the queue's folder cannot be read", why=type(trouble).__name__)
            raise Empty from None
        return payload

    def _put(self, *ring: Any, **more: Any) -> None:  # noqa: ANN401 - kombu's
        super()._put(*ring, **more)
        give_to_owner(*Path(self.data_folder_out).iterdir())

    def _queue_bind(self, *names: Any) -> None:  # noqa: ANN401 - kombu's
        super()._queue_bind(*names)
        give_to_owner(*self.control_folder.iterdir())

    def get_table(self, exchange: str) -> Any:  # noqa: ANN401 - kombu's
        """Read which queues an exchange has; what cannot be read has none."""
        try:
            return super().get_table(exchange)
        except NO_RING as fault:
            _thrown_away(fault)
            return []


class FolderTransport(filesystem.Transport):
    """The same, by the name that kombu asks for."""

    Channel = FolderChannel


def lay() -> None:
    """Let kombu take ours."""
    TRANSPORT_ALIASES["redis"] = TRANSPORT_ALIASES["rediss"] = f"{__name__}:RedisTransport"
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:FolderTransport"


def _thrown_away(fault: Exception) -> Empty:
    """Say that something was no ring, without a word of it."""
    logger.warning("an entry of the queue was no ring: thrown away", why=type(fault).__name__)
    return Empty()
