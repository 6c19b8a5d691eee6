"""Logs for people and collectors, without patient data.

Lines carry UIDs, case numbers and AE titles. pydicom quotes element values in its warnings and
pynetdicom prints whole headers, so theirs never reach a handler.
"""

import logging
import sys
import threading
import warnings
from typing import Literal

import structlog

from dicom_node.errors import told

_SILENT = ("pydicom", "pynetdicom", "highdicom", "PIL", "pylibjpeg")
_QUIET = ("alembic", "celery", "kombu", "amqp", "redis")  # their troubles alone


def hush() -> None:
    """Let no library say what it found in a header."""
    for name in _SILENT:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.addHandler(logging.NullHandler())
        logger.setLevel(logging.CRITICAL + 1)
        logger.propagate = False
    warnings.simplefilter("ignore")


def set_up(how: Literal["plain", "json"], level: str) -> None:
    """Send every line to standard error, in one form."""
    hush()
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kombu.connection").setLevel(logging.ERROR)  # a folder has no host name
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_form(how)],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _tell_what_nobody_caught()


def _tell_what_nobody_caught() -> None:
    """Say of a fault that ends a process or a thread what kind it is and where, not its words."""

    def ended(_kind: type[BaseException], fault: BaseException, _trace: object) -> None:
        if not isinstance(fault, KeyboardInterrupt):
            log("fault").critical("nobody caught it", why=told(fault))

    def thread_ended(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None:
            ended(what.exc_type, what.exc_value, what.exc_traceback)

    sys.excepthook = ended
    threading.excepthook = thread_ended
    logging.raiseExceptions = (
        False  # it would print the line that it could not write, and its values
    )


def _form(how: Literal["plain", "json"]) -> list[structlog.typing.Processor]:
    """Write a line; tracebacks without local variables, which would be whole headers."""
    if how == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        _shown,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


def _shown(
    _logger: object, _method: str, line: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Show what would steer a terminal as an escape: a caller may call itself anything."""
    return {
        key: repr(value)[1:-1] if isinstance(value, str) and not value.isprintable() else value
        for key, value in line.items()
    }


def log(room: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a room."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(room)
    return logger
