"""Destinations may want one object made differently: in other codes, with fewer marks.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def upgrade() -> None:
    # SQLite could not copy this table, as batches do: rows of other tables refer to it.
    # Every object so far was made in the node's own way.
    op.add_column("products", sa.Column("profile", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "products",
        sa.Column(
            "transfer_syntax_uid",
            sa.String(length=64),
            nullable=False,
            server_default=EXPLICIT_LITTLE_ENDIAN,
        ),
    )


def downgrade() -> None:
    special = sa.text("SELECT count(*) FROM products WHERE profile <> ''")
    if op.get_bind().execute(special).scalar():
        raise ValueError(
            "some objects were made for one destination alone, which revision 0004 would send to "
            "all: stay at 0005"
        )
    op.drop_column("products", "transfer_syntax_uid")
    op.drop_column("products", "profile")
