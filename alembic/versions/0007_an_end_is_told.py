"""A case that ends without a result may still have to be told of.

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite could not copy this table, as batches do: rows of other tables refer to it.
    op.add_column("cases", sa.Column("telling", sa.String(length=16), nullable=True))
    # Nobody was told of the ends so far, and they are too old to be told now.
    op.add_column(
        "cases",
        sa.Column("notice_written", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def downgrade() -> None:
    telling = sa.text("SELECT count(*) FROM cases WHERE telling IS NOT NULL")
    if op.get_bind().execute(telling).scalar():
        raise ValueError(
            "some ends have still to be told, which revision 0006 does not know of: let them be "
            "delivered first, or stay at 0007"
        )
    op.drop_column("cases", "notice_written")
    op.drop_column("cases", "telling")
