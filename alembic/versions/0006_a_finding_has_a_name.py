"""What reports call a finding is kept, so that a lesion seen again is called the same.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "lesions",
        sa.Column("id", key, nullable=False),
        sa.Column("finding_id", key, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("tracking_uid", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["finding_id"], ["findings.id"], name=op.f("fk_lesions_finding_id_findings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesions")),
        sa.UniqueConstraint("finding_id", name=op.f("uq_lesions_finding_id")),
    )
    op.create_index(op.f("ix_lesions_tracking_uid"), "lesions", ["tracking_uid"])


def downgrade() -> None:
    op.drop_table("lesions")
