"""Watching: figures of traffic by the hour and the day, without words."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "watched",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text),
        sa.Column("span", sa.Text, nullable=False),
        sa.Column("start", sa.Text, nullable=False),
        sa.Column("writer", sa.Text, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
        sa.CheckConstraint("span IN ('hour', 'day')", name="span"),
        sa.PrimaryKeyConstraint("number", name="pk_watched"),
        sa.UniqueConstraint("model", "span", "start", "writer", name="uq_watched_model"),
    )
    op.create_index("ix_watched_start", "watched", ["start"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("watched")
