"""Scores are kept as they were before a site corrected them, and before any calibration.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("raw_score", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("card_score", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("model_runs", schema=None) as batch_op:
        batch_op.drop_column("card_score")
        batch_op.drop_column("raw_score")
