"""What a case has besides its state: images, objects, deliveries. No row of them is ever deleted.

So each one that the trail tells of is there, and where it is not, somebody took it away. And who
reads is what the trail says of it: a row that says otherwise was not written by a command.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, text

TABLES: Final = ("instances", "products", "deliveries", "activations")
_UID: Final = {  # of what was tampered with, none
    "sqlite": "CASE WHEN json_valid(e.details) THEN e.details ->> 'sop_uid' END",
    "postgresql": "e.details ->> 'sop_uid'",
}
_IMAGES: Final = """
    SELECT e.id, e.case_id, {uid} AS uid FROM events e
    WHERE e.what = 'image received' AND e.case_id IS NOT NULL"""
_DELIVERIES: Final = """
    SELECT e.id, e.case_id, e.sentence, {uid} AS uid FROM events e
    WHERE e.what IN ('delivered', 'delivered again', 'refused')"""
_GONE: Final = {
    "an image": f"""
    SELECT t.id, t.case_id FROM ({_IMAGES}) t WHERE t.uid IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM instances i WHERE i.sop_uid = t.uid AND i.case_id = t.case_id)
    ORDER BY t.id""",  # noqa: S608 - our own words
    "a delivery": f"""
    SELECT t.id, t.case_id FROM ({_DELIVERIES}) t WHERE t.uid IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM products p JOIN deliveries d ON d.product_id = p.id
        WHERE p.sop_uid = t.uid AND d.case_id = t.case_id
        AND substr(t.sentence, 1, length(d.destination)) = d.destination)
    ORDER BY t.id""",  # noqa: S608 - our own words
}
_OWED_TO_NOBODY: Final = """
    SELECT p.id, p.case_id FROM products p
    WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.product_id = p.id) ORDER BY p.id"""


def gone(connection: Connection, built: Mapping[str, int]) -> Iterator[tuple[int, str]]:
    """Name the rows that are told of and are not there; `built`: objects, and who tells of them."""
    uid = _UID[connection.dialect.name]
    for what, query in _GONE.items():
        for number, case in connection.execute(text(query.format(uid=uid))):
            yield number, f"event {number} tells of {what} of case {case} that is gone"
    for number, case in connection.execute(text(_OWED_TO_NOBODY)):
        yield number, f"object {number} of case {case} is owed to nobody: its deliveries are gone"
    here = set(connection.execute(text("SELECT sop_uid FROM products")).scalars()) if built else ()
    for uid, number in built.items():
        if uid not in here:
            yield number, f"event {number} tells of an object that is gone"


_READS: Final = "SELECT CAST(bundles AS TEXT) FROM activations ORDER BY id DESC LIMIT 1"
_TOLD: Final = """
    SELECT id, CAST(details AS TEXT) FROM events
    WHERE what IN ('model activated', 'model rolled back') ORDER BY id DESC LIMIT 1"""


def decided_otherwise(connection: Connection, *, purged: bool) -> Iterator[tuple[int, str]]:
    """Say where another bundle reads than the trail tells of; what was purged tells of none."""
    row = connection.execute(text(_READS)).scalar()
    event = connection.execute(text(_TOLD)).first()
    if event is None:
        if row is not None and not purged:
            yield 1, "a bundle was activated, and no event tells of it"
        return
    reads = [] if row is None else _named(row, "card")
    told = _named(event[1], "cards")
    if reads != told:
        yield event[0], f"event {event[0]} tells of another bundle than the one that is active"


def _named(words: str, key: str) -> list[object] | None:
    """Return the cards that a row or an event names; of what was tampered with, nothing."""
    try:
        said = json.loads(words)
        return list(said[key]) if isinstance(said, dict) else [one[key] for one in said]
    except (ValueError, KeyError, TypeError):
        return None
