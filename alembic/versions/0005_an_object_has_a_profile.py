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
    with op.batch_alter_table("products", schema=None) as batch_op:
        # Every object so far was made in the node's own way.
        batch_op.add_column(sa.Column("profile", sa.Text(), nullable=False, server_default=""))
        batch_op.add_column(
            sa.Column(
                "transfer_syntax_uid",
                sa.String(length=64),
                nullable=False,
                server_default=EXPLICIT_LITTLE_ENDIAN,
            )
        )

    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.alter_column("profile", existing_type=sa.Text(), server_default=None)
        batch_op.alter_column(
            "transfer_syntax_uid", existing_type=sa.String(length=64), server_default=None
        )


def downgrade() -> None:
    special = sa.text("SELECT count(*) FROM products WHERE profile <> ''")
    if op.get_bind().execute(special).scalar():
        raise ValueError(
            "some objects were made for one destination alone, which revision 0004 would send to "
            "all: stay at 0005"
        )
    with op.batch_alter_table("products", schema=None) as batch_op:
        batch_op.drop_column("transfer_syntax_uid")
        batch_op.drop_column("profile")
