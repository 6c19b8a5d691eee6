"""Several bundles may read a case: what they agreed on comes first, then each of them.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("uncertainty", sa.Double(), nullable=True))

    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        # Every reading so far was alone, and so the one that was reported.
        batch_op.add_column(sa.Column("place", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("uncertainty", sa.Double(), nullable=True))
        batch_op.drop_constraint(batch_op.f("uq_model_runs_case_id_digest"), type_="unique")

    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.alter_column("place", existing_type=sa.Integer(), server_default=None)
        batch_op.create_unique_constraint(
            batch_op.f("uq_model_runs_case_id_place"), ["case_id", "place"]
        )


def downgrade() -> None:
    several = sa.text("SELECT count(*) FROM model_runs WHERE place > 0")
    if op.get_bind().execute(several).scalar():
        raise ValueError(
            "some cases were read by several bundles, which revision 0002 cannot keep: stay at 0003"
        )
    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("uq_model_runs_case_id_place"), type_="unique")
        batch_op.drop_column("uncertainty")
        batch_op.drop_column("place")
        batch_op.create_unique_constraint(
            batch_op.f("uq_model_runs_case_id_digest"), ["case_id", "digest"]
        )

    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.drop_column("uncertainty")
