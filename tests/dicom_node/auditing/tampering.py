"""All that somebody with the database's password may do to the audit trail."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine, text

from dicom_node.auditing.checkpoints import FIELDS, signed_text
from dicom_node.auditing.signing import Signer
from dicom_node.ledger.chain import GENESIS, link_hash, links_query

ROW, OTHER = 140, 145  # somewhere in the middle
SIGNED = 250  # how many events are signed, and
UNSIGNED = 5  # how many stand behind them


@dataclass
class Trail:
    """A copy of a trail that may be spoilt."""

    engine: Engine
    outside: Path

    def run(self, *statements: str) -> None:
        """Change the database past all triggers."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                for (name,) in connection.execute(text(triggers)).all():
                    connection.execute(text(f"DROP TRIGGER {name}"))
            else:
                connection.execute(text("SET session_replication_role = replica"))
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()

    def lines(self) -> list[str]:
        return self.outside.read_text().splitlines(keepends=True)

    def write(self, lines: list[str]) -> None:
        self.outside.write_text("".join(lines))


def rechained(connection: Connection) -> dict[int, str]:
    """Compute every hash anew, as the documentation says how; return them."""
    before, hashes = GENESIS, {}
    rows = connection.execute(text(links_query(connection.dialect.name))).all()
    for *content, _ in rows:
        before = hashes[content[0]] = link_hash(before, content)
        change = text("UPDATE events SET hash = :hash WHERE id = :id")
        connection.execute(change, {"hash": before, "id": content[0]})
    return hashes


def rewrite(trail: Trail, *, heads: bool = False, forged: bool = False) -> None:
    """Change an event and all hashes behind it; then the checkpoints, too."""
    trail.run(f"UPDATE events SET sentence = 'nothing happened' WHERE id = {ROW}")
    stranger = Signer(Ed25519PrivateKey.generate())
    with trail.engine.connect() as connection:
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET session_replication_role = replica"))
        hashes = rechained(connection)
        columns = ", ".join([*FIELDS, "signature"])
        rows = connection.execute(text(f"SELECT {columns} FROM checkpoints")).mappings().all()
        for row in rows if heads else ():
            told = dict(row) | {"head": hashes[row["event_id"]]}
            if forged:
                told["key"] = stranger.public.fingerprint
                told["signature"] = stranger.sign(signed_text(told | {"at": str(told["at"])}))
            change = "UPDATE checkpoints SET head = :head, key = :key, signature = :signature"
            values = {key: told[key] for key in ("head", "key", "signature", "id")}
            connection.execute(text(f"{change} WHERE id = :id"), values)
        connection.commit()


def insert_between(trail: Trail) -> None:
    """Make room in the middle and put a row of one's own there."""
    trail.run(
        f"UPDATE events SET id = id + 100000 WHERE id > {ROW}",
        f"UPDATE events SET id = id - 99999 WHERE id > {ROW}",
        f"INSERT INTO events (id, at, actor, what, sentence, details, hash) SELECT {ROW + 1}, at, "
        f"actor, what, 'never said', details, hash FROM events WHERE id = {ROW}",
    )


def swap(trail: Trail, columns: str) -> None:
    """Let two rows change places."""
    change = (
        f"UPDATE events SET ({columns}) = (SELECT {columns} FROM was WHERE was.id = "
        f"CASE events.id WHEN {ROW} THEN {OTHER} ELSE {ROW} END) WHERE id IN ({ROW}, {OTHER})"
    )
    made = f"CREATE TABLE was AS SELECT * FROM events WHERE id IN ({ROW}, {OTHER})"
    trail.run(made, change, "DROP TABLE was")


def _changed(column: str, value: str) -> Callable[[Trail], None]:
    return lambda trail: trail.run(f"UPDATE events SET {column} = {value} WHERE id = {ROW}")


def _sql(*statements: str) -> Callable[[Trail], None]:
    return lambda trail: trail.run(*statements)


def _line(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Trail], None]:
    def spoil(trail: Trail) -> None:
        lines = trail.lines()
        lines[1] = json.dumps(change(json.loads(lines[1]))) + "\n"
        trail.write(lines)

    return spoil


EVENTS = "events (id, at, actor, what, sentence, details, hash)"
COPIED = "at, actor, what, sentence, details"
WAYS: dict[str, Callable[[Trail], None]] = {
    "the time of an event": _changed("at", "'2020-01-01 00:00:00.000000'"),
    "who did it": _changed("actor", "'somebody else'"),
    "what was done": _changed("what", "'moved'"),
    "the study": _changed("study_uid", "'1.2.3'"),
    "the case": _changed("case_id", "77"),
    "the state before": _changed("from_state", "'FAILED'"),
    "the state after": _changed("to_state", "'DELIVERED'"),
    "the sentence": _changed("sentence", "'all was well'"),
    "the details": _changed("details", """'{"number":0}'"""),
    "a blank in the details": _changed("details", """'{"number": 139}'"""),
    "a hash": _changed("hash", f"'{'f' * 64}'"),
    "the number of an event": _changed("id", "100000"),
    "an event deleted": _sql(f"DELETE FROM events WHERE id = {ROW}"),
    "ten events deleted": _sql(f"DELETE FROM events WHERE id BETWEEN {ROW} AND {ROW + 9}"),
    "the first event deleted": _sql("DELETE FROM events WHERE id = 1"),
    "the signed tail cut": _sql(f"DELETE FROM events WHERE id > {SIGNED - 20}"),
    "the tail cut and its checkpoints": _sql(
        f"DELETE FROM events WHERE id > {SIGNED - 20}",
        f"DELETE FROM checkpoints WHERE event_id > {SIGNED - 20}",
    ),
    "the unsigned tail cut": _sql(f"DELETE FROM events WHERE id > {SIGNED}"),
    "an unsigned event changed": _sql(f"UPDATE events SET sentence = 'no' WHERE id = {SIGNED + 2}"),
    "an unsigned event deleted": _sql(f"DELETE FROM events WHERE id = {SIGNED + 2}"),
    "all events deleted": _sql("DELETE FROM events"),
    "both tables emptied": _sql("DELETE FROM events", "DELETE FROM checkpoints"),
    "the table dropped": _sql("DROP TABLE events"),
    "an event inserted at the end": _sql(
        f"INSERT INTO {EVENTS} SELECT 900, {COPIED}, '' FROM events WHERE id = {ROW}"
    ),
    "an event copied with its hash": _sql(
        f"INSERT INTO {EVENTS} SELECT 900, {COPIED}, hash FROM events WHERE id = {ROW}"
    ),
    "an event inserted before the first": _sql(
        f"INSERT INTO {EVENTS} SELECT -1, {COPIED}, hash FROM events WHERE id = 1"
    ),
    "an event inserted in the middle": insert_between,
    "two events swapped": lambda trail: swap(trail, COPIED),
    "two events swapped with their hashes": lambda trail: swap(trail, f"{COPIED}, hash"),
    "history chained anew": rewrite,
    "history and checkpoints made anew": lambda trail: rewrite(trail, heads=True),
    "history signed with another key": lambda trail: rewrite(trail, heads=True, forged=True),
    "a checkpoint's head": _sql(f"UPDATE checkpoints SET head = '{'f' * 64}' WHERE id = 2"),
    "a checkpoint's count": _sql("UPDATE checkpoints SET events = events - 1 WHERE id = 2"),
    "a checkpoint's signature": _sql("UPDATE checkpoints SET signature = '' WHERE id = 2"),
    "events said to be purged": _sql(
        f"UPDATE checkpoints SET purged_id = {ROW}, purged_head = (SELECT hash FROM events "
        f"WHERE id = {ROW}) WHERE id = (SELECT max(id) FROM checkpoints)",
        f"DELETE FROM events WHERE id <= {ROW}",
    ),
    "a checkpoint deleted": _sql("DELETE FROM checkpoints WHERE id = 2"),
    "the last checkpoint deleted": _sql(
        "DELETE FROM checkpoints WHERE id = (SELECT max(id) FROM checkpoints)"
    ),
    "all checkpoints deleted": _sql("DELETE FROM checkpoints"),
    "a checkpoint outside changed": _line(lambda told: told | {"events": 7}),
    "a checkpoint outside blotted": _line(lambda told: {"blot": told["id"]}),
    "a checkpoint outside deleted": lambda trail: trail.write(
        trail.lines()[:1] + trail.lines()[2:]
    ),
    "the end of the file outside cut": lambda trail: trail.write(trail.lines()[:-1]),
    "the file outside emptied": lambda trail: trail.write([]),
    "the file outside deleted": lambda trail: trail.outside.unlink(),
    "all checkpoints taken away, here and outside": lambda trail: (
        trail.run("DELETE FROM checkpoints"),
        trail.write([]),
    )[1],
    "a case deleted": _sql(
        "DELETE FROM instances WHERE case_id = 5", "DELETE FROM cases WHERE id = 5"
    ),
    "an image deleted": _sql("DELETE FROM instances WHERE case_id = 5"),
    "an image put with another case": _sql("UPDATE instances SET case_id = 6 WHERE case_id = 5"),
    "details that are none": lambda trail: trail.run(
        "UPDATE events SET details = "
        + ("'{'" if trail.engine.dialect.name == "sqlite" else "'[]'")
        + f" WHERE id = {ROW}"
    ),
}
