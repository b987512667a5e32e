"""Requests that were answered, and what people say of the answers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "requests",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("choice", sa.Integer, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_hash", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("prompt", sa.JSON),
        sa.Column("answer", sa.Text),
        sa.Column("label", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("answer_tokens", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("finish", sa.Text),
        sa.Column("sampled", sa.Boolean, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("kind IN ('chat', 'text', 'label')", name="kind"),
        sa.PrimaryKeyConstraint("number", name="pk_requests"),
        sa.UniqueConstraint("id", "choice", name="uq_requests_id"),
    )
    op.create_index("ix_requests_created", "requests", ["created"])
    op.create_table(
        "feedback",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("completion_id", sa.Text, nullable=False),
        sa.Column("choice", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("other", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("prompt", sa.JSON),
        sa.Column("answer", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("changed", sa.Text),
        sa.CheckConstraint("kind IN ('thumbs', 'correction', 'preference', 'label', 'comment')", name="kind"),
        sa.CheckConstraint("state IN ('new', 'accepted', 'rejected', 'quarantined')", name="state"),
        sa.CheckConstraint("asked IN ('chat', 'text', 'label')", name="asked"),
        sa.PrimaryKeyConstraint("number", name="pk_feedback"),
        sa.UniqueConstraint("id", name="uq_feedback_id"),
        sa.UniqueConstraint("tenant", "key_id", "completion_id", "choice", "kind", name="uq_feedback_tenant"),
    )
    op.create_index("ix_feedback_state", "feedback", ["state"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("feedback")
    op.drop_table("requests")
