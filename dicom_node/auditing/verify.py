"""Find whatever was done to the audit trail: one sentence a fault, with the number of its row."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text

from dicom_node.auditing.belongings import TABLES, decided_otherwise, gone
from dicom_node.auditing.checkpoints import digest_of, lines_of, signed_text
from dicom_node.auditing.signing import PublicKey
from dicom_node.ledger.chain import GENESIS, link_hash, links_query, moment_text
from dicom_node.ledger.clock import by_the_clock
from dicom_node.life import State

BATCH = 5000
TOLD_AT_MOST = 1000
ON_ITS_WAY = timedelta(seconds=10)  # from the ledger to the file
OVERDUE = timedelta(seconds=90)  # a checkpoint is made after 60 at the latest
MANY_UNSIGNED = 200  # and after 100 events
BY_WHO_SIGNS = {"listening", "association accepted", "association released", "image received"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was recorded."""

    row: int  # of the events, or of the checkpoints: the sentence says which
    sentence: str


@dataclass(slots=True)
class Verified:
    """What was looked at, and what was found."""

    events: int = 0
    checkpoints: int = 0
    outside: int = 0
    unsigned: int = 0  # events behind the last checkpoint
    seconds: float = 0.0
    more_faults: int = 0
    faults: list[Fault] = field(default_factory=list)

    def blame(self, row: int, sentence: str) -> None:
        """Keep a fault; of a trail in ruins, not every stone."""
        if len(self.faults) < TOLD_AT_MOST:
            self.faults.append(Fault(row, sentence))
        else:
            self.more_faults += 1

    @property
    def whole(self) -> bool:
        """Say whether all is as it was recorded."""
        return not self.faults


Told = dict[str, Any]  # a checkpoint, as it lies outside of the ledger
Marks = dict[int, list[tuple[str, str, int]]]  # event: its hash, who says so, events so far


def verify(engine: Engine, keys: Sequence[PublicKey], outside: Path) -> Verified:
    """Follow the chain from its beginning, and hold it against every checkpoint."""
    started = time.perf_counter()
    found, marks = Verified(), Marks()
    # First what lies outside: what is signed meanwhile is then missing there, not in the ledger.
    on_its_way = moment_text(by_the_clock() - ON_ITS_WAY)
    kept = _outside(found, outside, keys, marks)
    options = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.execution_options(reads_only=True, **options).connect() as connection:
        missing = {"events", "checkpoints", "cases", *TABLES} - set(
            inspect(connection).get_table_names()
        )
        if missing:
            found.blame(0, f"the ledger has no table {', '.join(sorted(missing))} any more")
        else:
            told = _inside(found, connection, keys, kept, marks)
            old = {one["id"] for one in told if one["at"] < on_its_way}
            _agree(found, kept, told, old, outside)
            _follow(found, connection, marks, told[-1] if told else None)
    found.seconds = time.perf_counter() - started
    return found


def _outside(
    found: Verified, path: Path, keys: Sequence[PublicKey], marks: Marks
) -> dict[int, Told]:
    """Read the checkpoints outside of the ledger."""
    kept = dict[int, Told]()
    before: Told | None = None
    for line, told in lines_of(path):
        if told is None:
            found.blame(line, f"line {line} of {path.name} is no checkpoint")
            continue
        found.outside += 1
        _judge(found, told, before, keys, f"of {path.name}")
        before, kept[told["id"]] = told, told
        _mark(marks, told, f"checkpoint {told['id']} of {path.name}")
    return kept


def _inside(
    found: Verified,
    connection: Connection,
    keys: Sequence[PublicKey],
    kept: Mapping[int, Told],
    marks: Marks,
) -> list[Told]:
    """Read the checkpoints of the ledger and compare each with the one outside."""
    seen = list[Told]()
    for told in _checkpoints(connection):
        number, twin = told["id"], kept.get(told["id"])
        if twin is not None and twin != told:
            found.blame(number, f"checkpoint {number} is another one outside of the ledger")
        before = seen[-1] if seen else None
        _judge(found, told, before, () if twin == told else keys, "of the ledger")
        _mark(marks, told, f"checkpoint {number}")
        seen.append(told)
    found.checkpoints = len(seen)
    return seen


def _agree(
    found: Verified, kept: Mapping[int, Told], told: Sequence[Told], old: set[int], outside: Path
) -> None:
    """See that either place has what the other one has."""
    gone = sorted(number for number in kept if number > max((one["id"] for one in told), default=0))
    if gone:
        found.blame(
            gone[0],
            f"checkpoints {gone[0]} to {gone[-1]} are in {outside.name} only: the ledger was "
            "replaced by an older copy, or they were deleted",
        )
    alone = sorted(number for number in old - set(kept))
    if alone:
        found.blame(
            alone[0], f"checkpoints {alone[0]} to {alone[-1]} are missing in {outside.name}"
        )


def _checkpoints(connection: Connection) -> Iterator[Told]:
    at = "at"
    if connection.dialect.name != "sqlite":
        at = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS at"
    rows = connection.execution_options(yield_per=BATCH).execute(
        text(
            f"SELECT id, {at}, event_id, events, head, purged_id, purged_head, previous, key, "  # noqa: S608 - our own words
            "signature FROM checkpoints ORDER BY id"
        )
    )
    for row in rows.mappings():
        yield dict(row)


def _judge(
    found: Verified,
    told: Told,
    before: Told | None,
    keys: Sequence[PublicKey],
    where: str,
) -> None:
    """Say what is wrong with one checkpoint; without keys its signature was verified already."""
    number, former = told["id"], before["id"] if before is not None else 0
    if number > former + 1:
        found.blame(number, f"checkpoints {former + 1} to {number - 1} {where} are missing")
    elif number <= former:
        found.blame(number, f"checkpoint {number} {where} comes after {former}")
    elif told["previous"] != (digest_of(before) if before is not None else ""):
        found.blame(number, f"checkpoint {number} {where} does not follow {former}")
    if before is not None and told["event_id"] < before["event_id"]:
        found.blame(number, f"checkpoint {number} {where} says less than the one before")
    named = [key for key in keys if key.fingerprint == told["key"]]
    if keys and not any(key.fits(told["signature"], signed_text(told)) for key in named):
        why = "its signature does not fit" if named else f"key {told['key']} is not one of yours"
        found.blame(number, f"checkpoint {number} {where} was changed or forged: {why}")


def _mark(marks: Marks, told: Told, name: str) -> None:
    marks.setdefault(told["event_id"], []).append((told["head"], name, told["events"]))


def _follow(found: Verified, connection: Connection, marks: Marks, last: Told | None) -> None:
    """Recompute every hash, in the order of the chain."""
    purged_id, before = (last["purged_id"], last["purged_head"]) if last else (0, GENESIS)
    number, states, count, signed_to = purged_id, dict[int, str](), 0, max(marks, default=0)
    tail, built = Tail(), dict[str, int]()
    rows = connection.execution_options(yield_per=BATCH).execute(
        text(links_query(connection.dialect.name))
    )
    for row in rows:
        *content, hash_ = row
        count += 1
        if hash_ != link_hash(before, content):
            found.blame(row[0], _what_happened(number, row[0], hash_))
        number, before = row[0], hash_
        if row[7] is not None and row[5] is not None:
            states[row[5]] = row[7]
            if (row[6], row[7]) == (State.REPORTING, State.REPORTED):
                built.update((one["sop_uid"], row[0]) for one in _built(row[9]))
        if number in marks:
            _compare(found, number, hash_, count if not purged_id else None, marks.pop(number))
        if number > signed_to:
            found.unsigned += 1
            tail.add(number, *row[1:4])
    found.events = count
    tail.blame(found, is_signed=signed_to > 0)
    left = [one for one in marks if one > purged_id]
    if left:
        names = ", ".join(sorted({name for one in left for _, name, _ in marks[one]})[:3])
        beyond = max(left)
        if beyond > number:
            found.blame(
                number + 1,
                f"events {number + 1} to {beyond} are missing at the end: {names} signed them",
            )
        else:
            found.blame(min(left), f"event {min(left)} is missing: {names} signed it")
    _compare_states(found, connection, states, purged=bool(purged_id))
    otherwise = decided_otherwise(connection, purged=bool(purged_id))
    for one, sentence in chain(gone(connection, built), otherwise):
        found.blame(one, sentence)


def _built(details: str) -> list[dict[str, str]]:
    """Name the objects that a report left; of what was tampered with, nothing."""
    try:
        return list(json.loads(details).get("built", ()))
    except (ValueError, AttributeError, TypeError):
        return []


@dataclass(slots=True)
class Tail:
    """The events that no checkpoint covers: whether one should have covered them long ago.

    What commands write while nobody listens is signed at the next start, and what came just
    before a crash, too. But who listens signs: what it wrote at its beginning and goes on behind is
    covered, and where nothing is covered at all, the checkpoints were taken away.
    """

    first: tuple[int, str] | None = None
    events: int = 0
    key_made: str = ""
    overdue: int = 0
    began: dict[str, str] = field(default_factory=dict)  # who listens: since when unsigned

    def add(self, number: int, at: str, actor: str, what: str) -> None:
        """Look at the next event."""
        self.first = self.first or (number, at)
        self.events += 1
        if what == "key made" and not self.key_made:
            self.key_made = at
        if what in BY_WHO_SIGNS and not self.overdue:
            since = self.began.setdefault(actor, at)
            self.overdue = number if _moment(at) - _moment(since) > OVERDUE else 0

    def blame(self, found: Verified, *, is_signed: bool) -> None:
        """Say that checkpoints are missing that were made, or ought to have been."""
        if self.first is None:
            return
        number, at = self.first
        now = by_the_clock().astimezone(UTC).replace(tzinfo=None)
        if is_signed and self.overdue:
            found.blame(
                number,
                f"events {number} to {self.overdue} were never signed although the node was "
                "listening all the time: checkpoints are missing, here and outside of the ledger",
            )
        elif not is_signed and (
            now - _moment(at) > OVERDUE
            or self.events > MANY_UNSIGNED
            or (self.key_made and now - _moment(self.key_made) > ON_ITS_WAY)
        ):
            found.blame(
                number,
                f"no event is signed, from {number} on: all checkpoints are missing, here and "
                "outside of the ledger, or this node has never listened",
            )


def _moment(at: str) -> datetime:
    """Read a time of the chain; one that somebody spoilt is of long ago."""
    try:
        return datetime.fromisoformat(at).replace(tzinfo=None)
    except (TypeError, ValueError):
        return datetime.min  # noqa: DTZ901 - the chain writes UTC without saying so


def _what_happened(before: int, number: int, hash_: str) -> str:
    if not hash_:
        return f"event {number} was inserted past the chain: it has no hash"
    if number > before + 1:
        return f"events {before + 1} to {number - 1} are missing, or event {number} was changed"
    if number <= before:
        return f"event {number} was inserted, or was purged and came back"
    return f"event {number} was changed, or did not follow event {before} when it was written"


def _compare(
    found: Verified,
    number: int,
    hash_: str,
    count: int | None,
    said: Sequence[tuple[str, str, int]],
) -> None:
    for head, name, events in said:
        if head != hash_:
            found.blame(number, f"event {number} is not the one that {name} signed")
        elif count is not None and events != count:
            found.blame(
                number, f"{name} counted {events} events up to {number}, and there are {count}"
            )


def _compare_states(
    found: Verified, connection: Connection, states: dict[int, str], *, purged: bool
) -> None:
    """See that each case is there, where the trail left it: an end may be cut off unsigned."""
    here = set[int]()
    for number, state in connection.execute(text("SELECT id, state FROM cases ORDER BY id")):
        here.add(number)
        said = states.get(number)
        if said is None and not purged:
            found.blame(number, f"the trail says nothing of case {number}")
        elif said is not None and said != state:
            found.blame(number, f"case {number} is {state}, and its last event says {said}")
    for number in sorted(set(states) - here):
        found.blame(number, f"case {number} is gone, and its last event says {states[number]}")
