"""Which bundles read can be decided by a command, and is then on record.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "activations",
        sa.Column("id", key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_by", sa.String(64), nullable=False),
        sa.Column("bundles", sa.JSON(), nullable=False),
        sa.Column("before_id", key, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_activations"),
    )


def downgrade() -> None:
    op.drop_table("activations")
