"""A reading that nobody is told of is owed from the result on, and read late where it was lost.

Revision: 0019, after 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("shadow_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="1"))
        batch_op.create_index("ix_shadow_runs_due_at", ["due_at"])


def downgrade() -> None:
    with op.batch_alter_table("shadow_runs", schema=None) as batch_op:
        batch_op.drop_index("ix_shadow_runs_due_at")
        batch_op.drop_column("attempts")
        batch_op.drop_column("due_at")
