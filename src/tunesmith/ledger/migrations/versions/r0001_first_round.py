"""The first round: datasets, rounds, stages, artefacts, lineage, metrics, openings of test sets."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "datasets",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_datasets"),
        sa.UniqueConstraint("id", name="uq_datasets_id"),
    )
    op.create_table(
        "rounds",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("recipe_hash", sa.Text, nullable=False),
        sa.Column("dataset_hash", sa.Text),
        sa.Column("base_hash", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("continued", sa.Integer, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.Column("seconds", sa.Float),
        sa.Column("verdict", sa.JSON),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("number", name="pk_rounds"),
        sa.UniqueConstraint("id", name="uq_rounds_id"),
        sa.CheckConstraint("status IN ('running', 'done', 'failed', 'diverged')", name=op.f("ck_rounds_status")),
    )
    op.create_index("ix_rounds_identity", "rounds", ["identity"])
    _create_what_rounds_leave()
    op.create_table(
        "lineage",
        sa.Column("child", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("child", "parent", "relation", name="pk_lineage"),
    )


def _create_what_rounds_leave() -> None:
    """The tables that refer to rounds."""
    op.create_table(
        "stages",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("round_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("output_path", sa.Text, nullable=False),
        sa.Column("output_hash", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_stages"),
        sa.UniqueConstraint("key", name="uq_stages_key"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_stages_round_id"),
    )
    op.create_index("ix_stages_round_id", "stages", ["round_id"])
    op.create_table(
        "artefacts",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("round_id", sa.Text),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_artefacts"),
        sa.UniqueConstraint("content_hash", "path", name="uq_artefacts_content_hash"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_artefacts_round_id"),
    )
    op.create_index("ix_artefacts_round_id", "artefacts", ["round_id"])
    op.create_table(
        "metrics",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("round_id", sa.Text, nullable=False),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("side", sa.Text, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("low", sa.Float),
        sa.Column("high", sa.Float),
        sa.PrimaryKeyConstraint("number", name="pk_metrics"),
        sa.UniqueConstraint("round_id", "system", "name", "side", name="uq_metrics_round_id"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_metrics_round_id"),
    )
    op.create_table(
        "test_openings",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("test_set_hash", sa.Text, nullable=False),
        sa.Column("round_id", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_test_openings"),
        sa.UniqueConstraint("test_set_hash", "round_id", name="uq_test_openings_test_set_hash"),
        sa.ForeignKeyConstraint(["round_id"], ["rounds.id"], name="fk_test_openings_round_id"),
    )


def downgrade() -> None:
    """Remove them, children first."""
    for table in ("test_openings", "metrics", "artefacts", "stages", "lineage", "rounds", "datasets"):
        op.drop_table(table)
