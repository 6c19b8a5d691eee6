"""Images may be removed once their study is done with, and may come again.

Revision: 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("images_purged_at", sa.DateTime(timezone=True), nullable=True)
        )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("generation", sa.Integer(), nullable=False, server_default="0")
        )
        batch_op.add_column(sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("removal_due_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index("ix_instances_removal_due_at", ["removal_due_at"])
        batch_op.drop_constraint("uq_instances_sop_uid", type_="unique")
        batch_op.create_unique_constraint(
            "uq_instances_sop_uid_generation", ["sop_uid", "generation"]
        )


def downgrade() -> None:
    purged = sa.text("SELECT count(*) FROM instances WHERE purged_at IS NOT NULL")
    if op.get_bind().execute(purged).scalar():
        raise ValueError(
            "some images were removed, and revision 0019 would miss them: stay at 0020"
        )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_constraint("uq_instances_sop_uid_generation", type_="unique")
        batch_op.create_unique_constraint("uq_instances_sop_uid", ["sop_uid"])
        batch_op.drop_index("ix_instances_removal_due_at")
        for name in ("removal_due_at", "purged_at", "generation"):
            batch_op.drop_column(name)
    with op.batch_alter_table("cases", schema=None) as batch_op:
        batch_op.drop_column("images_purged_at")
