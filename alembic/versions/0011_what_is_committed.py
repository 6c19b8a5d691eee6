"""What destinations have promised to keep.

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "commitments",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("transaction_uid", sa.String(64), nullable=False, unique=True),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.add_column("deliveries", sa.Column("commitment", sa.String(16), nullable=True))
    op.add_column(
        "deliveries", sa.Column("commit_due_at", sa.DateTime(timezone=True), nullable=True)
    )
    for name in ("commit_attempts", "resent"):
        column = sa.Column(name, sa.Integer(), nullable=False, server_default="0")
        op.add_column("deliveries", column)
    op.create_index("ix_deliveries_commit_due_at", "deliveries", ["commit_due_at"])


def downgrade() -> None:
    op.drop_index("ix_deliveries_commit_due_at", "deliveries")
    for name in ("commitment", "commit_due_at", "commit_attempts", "resent"):
        op.drop_column("deliveries", name)
    op.drop_table("commitments")
