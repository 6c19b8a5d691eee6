"""Which bundles read can be decided by a command; others read along, for comparison alone.

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "activations",
        sa.Column("id", key, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("activated_by", sa.String(64), nullable=False),
        sa.Column("bundles", sa.JSON(), nullable=False),
        sa.Column("before_id", key, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_activations"),
    )
    op.create_table(
        "shadow_runs",
        sa.Column("id", key, nullable=False),
        sa.Column("case_id", key, nullable=False),
        sa.Column("bundle", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("operating_point", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("cancer_score", sa.Double(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_shadow_runs_case_id_cases"),
        sa.PrimaryKeyConstraint("id", name="pk_shadow_runs"),
    )
    for column in ("case_id", "digest"):
        op.create_index(f"ix_shadow_runs_{column}", "shadow_runs", [column])
    op.add_column(
        "model_runs", sa.Column("imaged_by", sa.String(64), nullable=False, server_default="")
    )
    for column in ("digest", "imaged_by"):
        op.create_index(f"ix_model_runs_{column}_id", "model_runs", [column, "id"])


def downgrade() -> None:
    for column in ("digest", "imaged_by"):
        op.drop_index(f"ix_model_runs_{column}_id", "model_runs")
    op.drop_column("model_runs", "imaged_by")
    op.drop_table("shadow_runs")
    op.drop_table("activations")
