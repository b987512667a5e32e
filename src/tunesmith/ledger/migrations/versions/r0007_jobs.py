"""Fine-tuning as an API: files, jobs, and what jobs tell."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "files",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("form", sa.Text),
        sa.Column("rows", sa.Integer),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("purpose IN ('fine-tune', 'fine-tune-results')", name="purpose"),
        sa.PrimaryKeyConstraint("number", name="pk_files"),
        sa.UniqueConstraint("id", name="uq_files_id"),
    )
    op.create_index("ix_files_tenant", "files", ["tenant"])
    _jobs()
    op.create_table(
        "job_events",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("job_id", sa.Text, nullable=False),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.JSON),
        sa.Column("created", sa.Text, nullable=False),
        sa.CheckConstraint("level IN ('info', 'warn', 'error')", name="level"),
        sa.PrimaryKeyConstraint("number", name="pk_job_events"),
        sa.UniqueConstraint("id", name="uq_job_events_id"),
    )
    op.create_index("ix_job_events_job_id", "job_events", ["job_id"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("request", sa.Text),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("suffix", sa.Text),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("notes", sa.JSON),
        sa.Column("training_file", sa.Text, nullable=False),
        sa.Column("validation_file", sa.Text),
        sa.Column("hashes", sa.JSON, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("fine_tuned_model", sa.Text),
        sa.Column("round_id", sa.Text),
        sa.Column("trained_tokens", sa.BigInteger),
        sa.Column("result_file", sa.Text),
        sa.Column("checkpoint", sa.JSON),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("estimated", sa.Text),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease", sa.Float),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("started", sa.Text),
        sa.Column("finished", sa.Text),
        sa.Column("removed", sa.Text),
        sa.CheckConstraint("status IN ('validating_files', 'queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
        sa.CheckConstraint("method IN ('supervised', 'dpo')", name="method"),
        sa.PrimaryKeyConstraint("number", name="pk_jobs"),
        sa.UniqueConstraint("id", name="uq_jobs_id"),
        sa.UniqueConstraint("fine_tuned_model", name="uq_jobs_fine_tuned_model"),
        sa.UniqueConstraint("tenant", "request", name="uq_jobs_tenant"),
    )
    op.create_index("ix_jobs_tenant", "jobs", ["tenant"])
    op.create_index("ix_jobs_status", "jobs", ["status"])


def downgrade() -> None:
    """Remove them."""
    for table in ("job_events", "jobs", "files"):
        op.drop_table(table)
