"""Is everything there? The ledger against itself, and the spool against the ledger."""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.errors import told
from dicom_node.ledger.accounts import Account, Kept, books
from dicom_node.ledger.removals import purged_among
from dicom_node.spool import Spool, data_set_digest, digest_of
from dicom_node.wiring import Node

JUST_NOW_SECONDS = 60.0  # a younger file may be one whose row is being written
_OF_A_TURN = re.compile(r"cases/(\d+)/")


@dataclass(frozen=True, slots=True)
class Balance:
    """What came in and where it is, and a sentence for each thing that does not fit."""

    accounts: tuple[Account, ...]
    files: int
    purged: int  # images that are kept no more
    left_over: int  # drafts of turns that were lost, images that were purged: needed by nobody
    discrepancies: tuple[str, ...]

    def told(self) -> dict[str, Any]:
        """Tell it in plain values."""
        return {
            "balanced": not self.discrepancies,
            **{one.name: {one.total_is: one.total, **one.parts} for one in self.accounts},
            "files": self.files,
            "images_purged": self.purged,
            "left_over": self.left_over,
            "discrepancies": list(self.discrepancies),
        }


def balance(node: Node, *, deep: bool) -> Balance:
    """Close the books and look at every file; `deep` reads each one whole."""
    there = dict(node.spool.names())  # before the rows are read: what comes later has its row
    closed = books(node.patient_engine)
    named = {kept.path for kept in closed.files}
    unknown = {name: there[name] for name in there.keys() - named}
    purged = purged_among(node.questions, unknown.keys()) if closed.purged and unknown else set()
    strange, left_over = _unknown({name: unknown[name] for name in unknown.keys() - purged})
    said = [_unbalanced(one) for one in closed.accounts if not one.balanced]
    said += closed.contradictions
    said += _faults(node, closed.files, deep=deep)
    said += strange
    left_over += len(purged)
    return Balance(closed.accounts, len(closed.files), closed.purged, left_over, tuple(said))


def _unbalanced(account: Account) -> str:
    parts = " + ".join(f"{count} {word}" for word, count in account.parts.items())
    return f"{account.name}: {account.total} {account.total_is}, but {parts}"


def _faults(node: Node, files: Sequence[Kept], *, deep: bool) -> list[str]:
    """Say what is wrong with which files; one that was purged since the rows were read is none."""
    said = {kept.path: fault for kept in files if (fault := _fault(node.spool, kept, deep=deep))}
    purged = purged_among(node.questions, said.keys()) if said else set()
    return [fault for path, fault in said.items() if path not in purged]


def _fault(spool: Spool, kept: Kept, *, deep: bool) -> str:
    """Say what is wrong with a file that the ledger describes, if anything."""
    about = f"case {kept.case_id}: the {kept.what} {kept.path}"
    try:
        size = spool.size(kept.path)
        if kept.size_bytes is not None and size != kept.size_bytes:
            return f"{about} has {size} bytes, not {kept.size_bytes}"
        if deep and _digest(spool.path(kept.path), kept) != kept.digest:
            return f"{about} does not hold what was written"
    except OSError as trouble:
        return f"{about} cannot be opened: {trouble.strerror}"
    except Exception as fault:  # noqa: BLE001 - a damaged file raises whatever its parser does
        return f"{about} cannot be read: {told(fault)}"
    return ""


def _digest(path: Path, kept: Kept) -> str:
    return data_set_digest(path, like=kept.digest) if kept.is_image else digest_of(path)


def _unknown(names: Mapping[str, float]) -> tuple[list[str], int]:
    """Say which files nobody knows; count apart what lost turns have left."""
    strange, left_over, at = [], 0, time.time()
    for name in sorted(names):
        age = at - names[name]
        if _OF_A_TURN.match(name):
            left_over += 1
        elif not 0 <= age < JUST_NOW_SECONDS:
            strange.append(f"{name} is in the spool and in no row: no sender was told Success")
    return strange, left_over
