"""Errors, named by who has to act.

    Exception
    ├── Misconfigured    the administrator: the node does not start (exit 78)
    ├── Declined         nobody: the study is not for this node (case DECLINED)
    ├── Refused          a destination's administrator: it will not take this (case FAILED)
    │   └── Lost         the node's administrator: it cannot be sent, its file is gone (case FAILED)
    ├── Busy             time: tried again later (case goes back one step, exit 75)
    └── NotYourTurn      nobody: another process was first (exit 1)

Anything else is a fault: a developer acts, the case is FAILED and keeps the reason. A fault that
is not raised by this code's own judgement is tried three times before.
"""

import re
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path


class Misconfigured(Exception):
    """Say every fault of the configuration at once."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Declined(Exception):
    """Say why a study or an image is not for this node, with a stable code."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence


class Refused(Exception):
    """Say what a destination will not take, and why trying again is no use."""


class Lost(Refused):
    """Say what nobody can be sent, since its file is not what was written, or not there."""


class Busy(Exception):
    """Say what has to pass before the same step can be tried again, and when that may be."""

    def __init__(self, reason: str, due_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.due_at = due_at


class NotYourTurn(Exception):
    """Say that a case is not where the caller thought it was."""


_SPOOLED = re.compile(r"(images|cases)/[0-9a-f]+/[\w./-]+$")  # hashes and numbers, never a name
_OURS = ("dicom_node.", "inference.", "phantom.")


def is_ours(fault: BaseException) -> bool:
    """Say whether this code judged, and did not stumble: the same again would end the same."""
    return type(fault).__module__.startswith(_OURS)


def told(fault: BaseException) -> str:
    """Say what went wrong, without words that may quote a header.

    Our own errors are written to be read; a library's may hold a name or a birth date, so only
    its kind and its place are told.
    """
    kind = type(fault).__name__
    if is_ours(fault):
        return f"{kind}: {fault}"
    if isinstance(fault, OSError) and fault.strerror:
        file = _SPOOLED.search(str(fault.filename))
        return f"{kind}: {fault.strerror}{f' ({file[0]})' if file else ''}"
    return f"{kind} at {place(fault)}"


def place(fault: BaseException) -> str:
    """Say where a fault was raised."""
    frames = traceback.extract_tb(fault.__traceback__)
    return " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames[-4:]))
