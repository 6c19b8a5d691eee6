"""A result may be taken back: who did it, when and why.

Revision: 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "recalls",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("case_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("recalled_by", sa.String(length=64), nullable=False),
        sa.Column("recalled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_recalls_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalls")),
        sa.UniqueConstraint("case_id", name=op.f("uq_recalls_case_id")),
    )


def downgrade() -> None:
    recalled = sa.text("SELECT count(*) FROM recalls")
    if op.get_bind().execute(recalled).scalar():
        raise ValueError(
            "some results were recalled, which revision 0003 cannot keep: stay at 0004"
        )
    op.drop_table("recalls")
