"""A reading says on what its scores rest, and those of one device are found at once.

Revision: 0021, after 0020.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "model_runs", sa.Column("scale", sa.String(64), nullable=False, server_default="")
    )
    op.create_index(
        "ix_model_runs_digest_imaged_by_id", "model_runs", ["digest", "imaged_by", "id"]
    )
    op.drop_index("ix_model_runs_digest_id", "model_runs")


def downgrade() -> None:
    op.create_index("ix_model_runs_digest_id", "model_runs", ["digest", "id"])
    op.drop_index("ix_model_runs_digest_imaged_by_id", "model_runs")
    op.drop_column("model_runs", "scale")
