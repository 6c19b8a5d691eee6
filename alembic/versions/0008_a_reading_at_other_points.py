"""A reading is kept at the card's other operating points, too: a destination may want one.

Revision: 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was read before is there at one operating point alone.
    op.add_column(
        "model_runs", sa.Column("elsewhere", sa.JSON(), nullable=False, server_default="{}")
    )


def downgrade() -> None:
    op.drop_column("model_runs", "elsewhere")
