"""A system need not judge: a reading may have no cancer score.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.alter_column("cancer_score", existing_type=sa.Double(), nullable=True)


def downgrade() -> None:
    unjudged = sa.text("SELECT count(*) FROM model_runs WHERE cancer_score IS NULL")
    if op.get_bind().execute(unjudged).scalar():
        raise ValueError(
            "some readings have no cancer score, which revision 0001 cannot keep: stay at 0002"
        )
    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.alter_column("cancer_score", existing_type=sa.Double(), nullable=False)
