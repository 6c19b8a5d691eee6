"""Somebody may hold a study, or say that it was sent by mistake; some senders go before others.

Revision: 0022, after 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("ruling", sa.String(16), nullable=True))
    op.add_column("cases", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    held = sa.text("SELECT count(*) FROM cases WHERE ruling IN ('HELD', 'DISCARDED')")
    if op.get_bind().execute(held).scalar():
        raise ValueError(
            "some studies are held or were discarded, and revision 0021 would read them: stay at "
            "0022"
        )
    op.drop_column("cases", "priority")
    op.drop_column("cases", "ruling")
