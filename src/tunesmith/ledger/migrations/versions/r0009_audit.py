"""Rotation of keys, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what rotation needs, make the table."""
    op.add_column("keys", sa.Column("former_hash", sa.Text))
    op.add_column("keys", sa.Column("former_until", sa.Text))
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.JSON, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("audit")
    op.drop_column("keys", "former_until")
    op.drop_column("keys", "former_hash")
