"""What is owed is found without a look at all that was ever delivered.

Revision: 0016, after 0015.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("receipt", "commitment"):
        op.create_index(f"ix_deliveries_{column}", "deliveries", [column])


def downgrade() -> None:
    for column in ("receipt", "commitment"):
        op.drop_index(f"ix_deliveries_{column}", "deliveries")
