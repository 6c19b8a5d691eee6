"""The life of a case, as data.

A state in -ING is held by a process under a lease; a state in -ED is at rest. The way back
from a lost lease is always the same: to the state at rest before it.
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a case is."""

    RECEIVING = "RECEIVING"
    RECEIVED = "RECEIVED"
    ANALYZING = "ANALYZING"
    ANALYZED = "ANALYZED"
    REPORTING = "REPORTING"
    REPORTED = "REPORTED"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    TELLING = "TELLING"


AT_THE_END: frozenset[State] = frozenset({State.DELIVERED, State.DECLINED, State.FAILED})
"""States that only a person leads out of; of the first two by a recall alone, to send its note."""

MOVES: dict[State, frozenset[State]] = {
    State.RECEIVING: frozenset({State.RECEIVED, State.DECLINED, State.FAILED}),
    State.RECEIVED: frozenset({State.ANALYZING, State.RECEIVING}),
    State.ANALYZING: frozenset({State.ANALYZED, State.RECEIVED, State.DECLINED, State.FAILED}),
    State.ANALYZED: frozenset({State.REPORTING}),
    State.REPORTING: frozenset({State.REPORTED, State.ANALYZED, State.FAILED}),
    State.REPORTED: frozenset({State.DELIVERING}),
    State.DELIVERING: frozenset({State.DELIVERED, State.REPORTED, State.FAILED}),
    State.FAILED: frozenset({State.RECEIVED, State.ANALYZED, State.REPORTED, State.TELLING}),
    State.DELIVERED: frozenset({State.REPORTED}),
    State.DECLINED: frozenset({State.REPORTED, State.TELLING}),
    State.TELLING: frozenset({State.DECLINED, State.FAILED}),
}


class Priority(IntEnum):
    """Whose turn comes first where several cases wait; the words are those of DICOM."""

    LOW = -1
    MEDIUM = 0
    HIGH = 1


class Ruling(StrEnum):
    """What a person, or a setting on a person's behalf, has said of a case that takes images."""

    HELD = "HELD"  # it stays RECEIVING until somebody lets it go on
    RELEASED = "RELEASED"  # somebody did, and no setting holds or ignores it any more
    IGNORED = "IGNORED"  # it came late, and the result before it stands: DECLINED
    DISCARDED = "DISCARDED"  # it was sent by mistake: DECLINED, and what comes later is held


class Verb(NamedTuple):
    """One kind of work on a case: where it starts, where it is meanwhile, where it ends."""

    name: str
    before: State
    during: State
    after: State


ANALYZE = Verb("analyze", State.RECEIVED, State.ANALYZING, State.ANALYZED)
REPORT = Verb("report", State.ANALYZED, State.REPORTING, State.REPORTED)
DELIVER = Verb("deliver", State.REPORTED, State.DELIVERING, State.DELIVERED)
VERBS: tuple[Verb, ...] = (ANALYZE, REPORT, DELIVER)

HELD: frozenset[State] = frozenset({*(verb.during for verb in VERBS), State.TELLING})
"""States that a process holds under a lease."""

TOLD: frozenset[State] = frozenset({State.DECLINED, State.FAILED})
"""Ends without a result, which the radiologist may be told of; TELLING leads back to them."""

WAITING: dict[State, Verb] = {verb.before: verb for verb in VERBS}
"""States at rest from which work goes on, and the work."""


def may_move(start: State, end: State) -> bool:
    """Say whether a case may go from one state to the other."""
    return end in MOVES[start]


class Receipt(StrEnum):
    """Where one object is on its way to one destination."""

    OWED = "OWED"
    DELIVERED = "DELIVERED"
    REFUSED = "REFUSED"
    WAIVED = "WAIVED"  # nobody waits for it: the destination is gone, or the result was recalled
    LOST = "LOST"  # its file in the spool is gone or altered: there is nothing to send


PARKED = (Receipt.REFUSED, Receipt.LOST)
"""What is not tried again before somebody has mended the cause, and says so."""


class Commit(StrEnum):
    """Where one object is on its way to being kept for good, where a destination is asked to."""

    WANTED = "WANTED"
    ASKED = "ASKED"
    COMMITTED = "COMMITTED"
    REFUSED = "REFUSED"  # or never answered: somebody has to look
