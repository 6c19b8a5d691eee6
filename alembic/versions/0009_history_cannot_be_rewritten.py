"""The audit trail is a chain of hashes, with signed checkpoints, and refuses to be changed.

What was recorded before is chained here, as it is found: from now on a change of it is noticed,
an earlier one is not.

Revision: 0009, after 0008.
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = ("events", "checkpoints")


def upgrade() -> None:
    op.add_column(
        "events", sa.Column("hash", sa.String(length=64), nullable=False, server_default="")
    )
    op.create_table(
        "checkpoints",
        sa.Column("id", KEY, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("purged_id", KEY, nullable=False),
        sa.Column("purged_head", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.String(length=128), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoints")),
    )
    _chain()
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _sqlite_triggers() if on_sqlite else _postgresql_triggers():
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for deed in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_no_{deed}")
    else:
        for table in TABLES:
            op.execute(f"DROP TRIGGER {table}_no_change ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
        op.execute("DROP FUNCTION refuse_to_rewrite_history()")
    op.drop_table("checkpoints")
    op.drop_column("events", "hash")


def _chain() -> None:
    """Hash what is there; the same as in ledger/chain.py, which may change one day."""
    connection = op.get_bind()
    on_sqlite = connection.dialect.name == "sqlite"
    at = "at" if on_sqlite else "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    details = "details" if on_sqlite else "details::text"
    rows = connection.execute(
        sa.text(
            f"SELECT id, {at}, actor, what, study_uid, case_id, from_state, to_state, sentence, "
            f"{details} FROM events ORDER BY id"
        )
    ).all()
    before, hashes = "0" * 64, []
    for row in rows:
        content = json.dumps(tuple(row), separators=(",", ":"))
        before = hashlib.sha256(f"{before}\n{content}".encode("ascii")).hexdigest()
        hashes.append({"number": row[0], "digest": before})
    change = sa.text("UPDATE events SET hash = :digest WHERE id = :number")
    for some in _batched(hashes):
        connection.execute(change, some)


def _batched(rows: list[dict[str, object]], size: int = 1000) -> list[list[dict[str, object]]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _sqlite_triggers() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{deed} BEFORE {deed.upper()} ON {table} "
        "BEGIN SELECT RAISE(ABORT, 'the audit trail is not rewritten'); END"
        for table in TABLES
        for deed in ("update", "delete")
    ]


def _postgresql_triggers() -> list[str]:
    refuse = (
        "CREATE FUNCTION refuse_to_rewrite_history() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is not rewritten'; END $$"
    )
    return [
        refuse,
        *(
            f"CREATE TRIGGER {table}_no_{name} BEFORE {deeds} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION refuse_to_rewrite_history()"
            for table in TABLES
            for name, deeds, each in (
                ("change", "UPDATE OR DELETE", "ROW"),
                ("truncate", "TRUNCATE", "STATEMENT"),
            )
        ),
    ]
