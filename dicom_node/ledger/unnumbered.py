"""Rows of a transaction that was undone, made writable again."""

from collections.abc import Sequence

from sqlalchemy import inspect

from dicom_node.ledger.tables import Base


def unnumbered(rows: Sequence[Base]) -> list[Base]:
    """Return rows that can be written: copies, where a try that was undone has numbered them.

    Its numbers may be other rows' by now.
    """
    if all(inspect(row).dict.get("id") is None for row in rows):
        return list(rows)
    copies: dict[Base, Base] = {}

    def copy(row: Base) -> Base:
        if row not in copies:
            mapper, there = inspect(type(row)), inspect(row).dict
            links = set(mapper.relationships.keys())
            copies[row] = type(row)(
                **{
                    key: copy(there[key]) if key in links else there[key]
                    for key in (one.key for one in mapper.attrs)
                    if key in there and key != "id"
                }
            )
        return copies[row]

    return [copy(row) for row in rows]
