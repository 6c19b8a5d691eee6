"""How long the newest cases took for each leg of their way, and how long the oldest waits."""

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine

from dicom_node.ledger.clock import by_the_clock
from dicom_node.ledger.legs import LEGS, Leg, newest_passed, waits_since

CASES = 200  # so many of the newest are looked at
HALF, MOST = 0.5, 0.95
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def legs_told(engine: Engine) -> list[dict[str, Any]]:
    """Tell of each leg how many seconds it took; nothing where no case has passed any yet."""
    newest = newest_passed(engine, CASES)
    told = []
    for leg in LEGS:
        took = sorted(one for passed in newest if (one := leg.seconds(passed)) is not None)
        told.append(
            {
                "leg": leg.name,
                "from": leg.start.value,
                "to": leg.end.value,
                "cases": len(took),
                "half": within(took, HALF),
                "most": within(took, MOST),
                "longest": within(took, 1.0),
                "waits": _waits(engine, leg),
            }
        )
    return told if any(one["cases"] or one["waits"] for one in told) else []


def within(took: Sequence[float], part: float) -> float | None:
    """Return within how many seconds a part of them was done, of all in order; None of nothing."""
    return took[max(math.ceil(part * len(took)), 1) - 1] if took else None


def _waits(engine: Engine, leg: Leg) -> float | None:
    """Return for how long the oldest case on a leg waits there; None where no case ever does."""
    if not leg.states:
        return None
    since = waits_since(engine, leg)
    return 0.0 if since is None else max((by_the_clock() - since).total_seconds(), 0.0)


def duration(seconds: float | None) -> str:
    """Write how long something took, for people."""
    if not seconds:
        return "-" if seconds is None else "0 s"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.1f} s"
