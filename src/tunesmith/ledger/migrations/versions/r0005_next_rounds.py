"""The next round: on which side an opinion stands, which round it taught, and what became of that."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "feedback_sides",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("feedback_id", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("user_side", sa.Text),
        sa.Column("drawn", sa.Boolean, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("side IN ('train', 'judge', 'torn')", name="side"),
        sa.PrimaryKeyConstraint("number", name="pk_feedback_sides"),
        sa.UniqueConstraint("feedback_id", name="uq_feedback_sides_feedback_id"),
    )
    op.create_table(
        "next_rounds",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("line", sa.Text, nullable=False),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("champion_hash", sa.Text, nullable=False),
        sa.Column("after_step", sa.Integer, nullable=False),
        sa.Column("round_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("found", sa.JSON),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.CheckConstraint("state IN ('open', 'promoted', 'refused', 'failed', 'overtaken')", name="state"),
        sa.PrimaryKeyConstraint("number", name="pk_next_rounds"),
        sa.UniqueConstraint("id", name="uq_next_rounds_id"),
    )
    op.create_index("ix_next_rounds_line", "next_rounds", ["line"])
    op.create_table(
        "feedback_uses",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("next_id", sa.Text, nullable=False),
        sa.Column("feedback_id", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_feedback_uses"),
        sa.UniqueConstraint("next_id", "feedback_id", name="uq_feedback_uses_next_id"),
    )
    op.create_index("ix_feedback_uses_next_id", "feedback_uses", ["next_id"])


def downgrade() -> None:
    """Remove them."""
    for table in ("feedback_uses", "next_rounds", "feedback_sides"):
        op.drop_table(table)
