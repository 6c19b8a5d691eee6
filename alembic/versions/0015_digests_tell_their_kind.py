"""The digest of an image tells its kind; those that are there already stay SHA-256.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE instances RENAME COLUMN sha256 TO digest")
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.alter_column("digest", existing_type=sa.String(64), type_=sa.String(80))


def downgrade() -> None:
    newer = sa.text("SELECT count(*) FROM instances WHERE digest LIKE '%:%'")
    if op.get_bind().execute(newer).scalar():
        raise ValueError(
            "some images have a digest that revision 0014 cannot compare with: stay at 0015"
        )
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.alter_column("digest", existing_type=sa.String(80), type_=sa.String(64))
    op.execute("ALTER TABLE instances RENAME COLUMN digest TO sha256")
