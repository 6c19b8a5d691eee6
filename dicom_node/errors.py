"""Errors, named by who has to act.

    Exception
    ├── Misconfigured    the administrator: the node does not start (exit 78)
    ├── Declined         nobody: the study is not for this node (case DECLINED)
    ├── Refused          a destination's administrator: it will not take this (case FAILED)
    ├── Busy             time: tried again later (case goes back one step, exit 75)
    └── NotYourTurn      nobody: another process was first (exit 1)

Anything else is a fault: a developer acts, the case is FAILED and keeps the reason.
"""

from collections.abc import Sequence
from datetime import datetime


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


class Busy(Exception):
    """Say what has to pass before the same step can be tried again, and when that may be."""

    def __init__(self, reason: str, due_at: datetime | None = None) -> None:
        super().__init__(reason)
        self.due_at = due_at


class NotYourTurn(Exception):
    """Say that a case is not where the caller thought it was."""
