"""Champions: who is in service, by whose step."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "steps",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("model_hash", sa.Text),
        sa.Column("mode", sa.Text),
        sa.Column("share", sa.Float),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("action IN ('promote', 'rollback', 'challenge', 'keep')", name="action"),
        sa.PrimaryKeyConstraint("number", name="pk_steps"),
    )
    op.create_index("ix_steps_line", "steps", ["line"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("steps")
