"""What lies in the queue and is no ring is thrown away, with a line in the log.

Whoever can write to the broker may leave anything there. kombu lets the first entry that it cannot
read end the worker; ours goes on to the next one. It fails for ever at a key of another kind; ours
connects anew, and takes it away.
"""

# mypy: disable-error-code="no-untyped-call"
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem, redis, virtual
from redis.exceptions import ResponseError

from dicom_node.life import VERBS
from dicom_node.logs import log

NO_RING = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)

logger = log("doorbell")


class Careful(virtual.Channel):
    """A channel that survives what its worker cannot make sense of."""

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,  # noqa: FBT001 - kombu's
        callback: Callable[[Any], Any],
        *arguments: Any,  # noqa: ANN401
        **options: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Call the worker, and throw away what it stumbles over: kept, it would be the last one."""

        def careful(message: Any) -> None:  # noqa: ANN401
            try:
                callback(message)
            except NO_RING as fault:
                _thrown_away(fault)
                if not message.acknowledged:
                    message.ack()

        return super().basic_consume(queue, no_ack, careful, *arguments, **options)


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
