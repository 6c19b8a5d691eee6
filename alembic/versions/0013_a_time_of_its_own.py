"""Each machine keeps a steady time: when its monotonic clock stood at zero, one row a boot.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "beginnings",
        sa.Column("boot", sa.String(length=64), nullable=False),
        sa.Column("zero_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("boot", name=op.f("pk_beginnings")),
    )


def downgrade() -> None:
    op.drop_table("beginnings")
