"""Trials: what became of requests while a challenger was tried beside the champion."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "trials",
        sa.Column("step", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("promote_when_better", sa.Boolean, nullable=False),
        sa.Column("end_when_worse", sa.Boolean, nullable=False),
        sa.Column("one_key", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["step"], ["steps.number"], name="fk_trials_step"),
        sa.PrimaryKeyConstraint("step", name="pk_trials"),
    )
    op.create_table(
        "deals",
        sa.Column("step", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["step"], ["steps.number"], name="fk_deals_step"),
        sa.PrimaryKeyConstraint("step", name="pk_deals"),
    )
    op.create_table(
        "tried",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("choice", sa.Integer, nullable=False),
        sa.Column("arm", sa.Text, nullable=False),
        sa.Column("asker", sa.Text, nullable=False),
        sa.Column("agrees", sa.Boolean),
        sa.Column("shown_confidence", sa.Float),
        sa.Column("shown_seconds", sa.Float),
        sa.Column("other_confidence", sa.Float),
        sa.Column("other_seconds", sa.Float),
        sa.Column("answer", sa.Text),
        sa.Column("lost", sa.Text),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("arm IN ('champion', 'challenger')", name="arm"),
        sa.PrimaryKeyConstraint("number", name="pk_tried"),
        sa.UniqueConstraint("id", "choice", name="uq_tried_id"),
    )
    op.create_index("ix_tried_step", "tried", ["step"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("tried")
    op.drop_table("deals")
    op.drop_table("trials")
