"""What a case has besides its state: images, objects, deliveries. No row of them is ever deleted.

So each one that the trail tells of is there, and where it is not, somebody took it away.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from sqlalchemy import Connection, text

TABLES: Final = ("instances", "products", "deliveries")
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
