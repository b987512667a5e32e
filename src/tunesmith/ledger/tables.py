"""The tables, as SQLAlchemy Core. A change here needs a migration in `migrations/versions`; a test compares the two.

Times are text: UTC, ISO 8601. Free-form values are JSON. No text is bounded in length: SQLite would not hold it to that, PostgreSQL would.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

VERSION_TABLE = "tunesmith_ledger_version"
"""Names the schema's revision. Its own name, so that a PostgreSQL database may be shared with another Alembic user."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Words(TypeDecorator[str]):
    """Text in which NUL and lone surrogates become U+FFFD: PostgreSQL refuses the first, UTF-8 the second, and both occur in rows."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what can't be stored."""
        if value is None:
            return None
        return "".join("\ufffd" if c == "\0" or "\ud800" <= c <= "\udfff" else c for c in value)


def _round_id(**options: Any) -> Column[str]:
    return Column("round_id", Words, ForeignKey("rounds.id"), **options)


def _created() -> Column[str]:
    return Column("created", Words, nullable=False)


datasets = Table(
    "datasets",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("parent", Words),
    Column("path", Words, nullable=False),
    Column("task", Words, nullable=False),
    Column("counts", JSON, nullable=False),
    _created(),
)

rounds = Table(
    "rounds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("identity", Words, nullable=False, index=True),
    Column("recipe", JSON, nullable=False),
    Column("recipe_hash", Words, nullable=False),
    Column("dataset_hash", Words),
    Column("base_hash", Words),
    Column("status", Words, nullable=False),
    Column("continued", Integer, nullable=False),
    _created(),
    Column("finished", Words),
    Column("seconds", Float),
    Column("verdict", JSON(none_as_null=True)),
    Column("error", Words),
    CheckConstraint("status IN ('running', 'done', 'failed', 'diverged')", name="status"),
)

stages = Table(
    "stages",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("key", Words, nullable=False, unique=True),
    _round_id(index=True),
    Column("name", Words, nullable=False),
    Column("version", Integer, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("output_path", Words, nullable=False),
    Column("output_hash", Words, nullable=False),
    Column("seconds", Float, nullable=False),
    _created(),
)

artefacts = Table(
    "artefacts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("content_hash", Words, nullable=False),
    Column("kind", Words, nullable=False),
    Column("path", Words, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    _round_id(index=True),
    _created(),
    UniqueConstraint("content_hash", "path"),
)

lineage = Table(
    "lineage",
    metadata,
    Column("child", Words, primary_key=True),
    Column("parent", Words, primary_key=True),
    Column("relation", Words, primary_key=True),
)

metrics = Table(
    "metrics",
    metadata,
    Column("number", Integer, primary_key=True),
    _round_id(nullable=False),
    Column("system", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("side", Words, nullable=False),
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    UniqueConstraint("round_id", "system", "name", "side"),
)

test_openings = Table(
    "test_openings",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("test_set_hash", Words, nullable=False),
    _round_id(nullable=False),
    _created(),
    UniqueConstraint("test_set_hash", "round_id"),
)

keys = Table(
    "keys",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("name", Words, nullable=False),
    Column("hash", Words, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", Integer),
    Column("policy", Words),
    _created(),
    Column("expires", Words),
    Column("revoked", Words),
    Column("former_hash", Words),
    Column("former_until", Words),
    Column("user_secret", Words),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("action", Words, nullable=False),
    Column("who", Words, nullable=False),
    Column("what", JSON, nullable=False),
    _created(),
    Column("digest", Words, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False),
    Column("choice", Integer, nullable=False),
    Column("tenant", Words, nullable=False),
    Column("key_id", Words, nullable=False),
    Column("model", Words, nullable=False),
    Column("model_hash", Words),
    Column("asker", Words),
    Column("kind", Words, nullable=False),
    Column("prompt", JSON(none_as_null=True)),
    Column("answer", Words),
    Column("label", Words),
    Column("confidence", Float),
    Column("prompt_tokens", Integer, nullable=False),
    Column("answer_tokens", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("finish", Words),
    Column("sampled", Boolean, nullable=False),
    Column("created", Words, nullable=False, index=True),
    UniqueConstraint("id", "choice"),
    CheckConstraint("kind IN ('chat', 'text', 'label')", name="kind"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("tenant", Words, nullable=False),
    Column("key_id", Words, nullable=False),
    Column("completion_id", Words, nullable=False),
    Column("choice", Integer, nullable=False),
    Column("kind", Words, nullable=False),
    Column("value", Words, nullable=False),
    Column("other", Words),
    Column("model", Words),
    Column("model_hash", Words),
    Column("asker", Words),
    Column("asked", Words, nullable=False),
    Column("prompt", JSON(none_as_null=True)),
    Column("answer", Words),
    Column("confidence", Float),
    Column("flagged", Boolean, nullable=False),
    Column("state", Words, nullable=False, index=True),
    Column("reviewer", Words),
    Column("reason", Words),
    _created(),
    Column("changed", Words),
    UniqueConstraint("tenant", "key_id", "completion_id", "choice", "kind"),
    CheckConstraint("kind IN ('thumbs', 'correction', 'preference', 'label', 'comment')", name="kind"),
    CheckConstraint("state IN ('new', 'accepted', 'rejected', 'quarantined')", name="state"),
    CheckConstraint("asked IN ('chat', 'text', 'label')", name="asked"),
)

steps = Table(
    "steps",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("line", Words, nullable=False, index=True),
    Column("action", Words, nullable=False),
    Column("model", Words),
    Column("model_hash", Words),
    Column("mode", Words),
    Column("share", Float),
    Column("who", Words, nullable=False),
    Column("why", Words, nullable=False),
    _created(),
    CheckConstraint("action IN ('promote', 'rollback', 'challenge', 'keep')", name="action"),
)

feedback_sides = Table(
    "feedback_sides",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("feedback_id", Words, nullable=False, unique=True),
    Column("side", Words, nullable=False),
    Column("user_side", Words),
    Column("drawn", Boolean, nullable=False),
    _created(),
    CheckConstraint("side IN ('train', 'judge', 'torn')", name="side"),
)

next_rounds = Table(
    "next_rounds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("line", Words, nullable=False, index=True),
    Column("champion", Words, nullable=False),
    Column("champion_hash", Words, nullable=False),
    Column("after_step", Integer, nullable=False),
    Column("round_id", Words),
    Column("state", Words, nullable=False),
    Column("why", Words, nullable=False),
    Column("found", JSON(none_as_null=True)),
    _created(),
    Column("finished", Words),
    CheckConstraint("state IN ('open', 'promoted', 'refused', 'failed', 'overtaken')", name="state"),
)

feedback_uses = Table(
    "feedback_uses",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("next_id", Words, nullable=False, index=True),
    Column("feedback_id", Words, nullable=False),
    Column("said", Words, nullable=False),
    UniqueConstraint("next_id", "feedback_id"),
)

trials = Table(
    "trials",
    metadata,
    Column("step", Integer, ForeignKey("steps.number"), primary_key=True, autoincrement=False),
    Column("promote_when_better", Boolean, nullable=False),
    Column("end_when_worse", Boolean, nullable=False),
    Column("one_key", Boolean, nullable=False),
)

deals = Table(
    "deals",
    metadata,
    Column("step", Integer, ForeignKey("steps.number"), primary_key=True, autoincrement=False),
    Column("secret", Words, nullable=False),
)

tried = Table(
    "tried",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("step", Integer, nullable=False, index=True),
    Column("id", Words, nullable=False),
    Column("choice", Integer, nullable=False),
    Column("arm", Words, nullable=False),
    Column("asker", Words, nullable=False),
    Column("agrees", Boolean),
    Column("shown_confidence", Float),
    Column("shown_seconds", Float),
    Column("other_confidence", Float),
    Column("other_seconds", Float),
    Column("answer", Words),
    Column("lost", Words),
    _created(),
    UniqueConstraint("id", "choice"),
    CheckConstraint("arm IN ('champion', 'challenger')", name="arm"),
)

files = Table(
    "files",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("tenant", Words, nullable=False, index=True),
    Column("key_id", Words, nullable=False),
    Column("name", Words, nullable=False),
    Column("purpose", Words, nullable=False),
    Column("form", Words),
    Column("rows", Integer),
    Column("bytes", BigInteger, nullable=False),
    Column("content_hash", Words, nullable=False),
    _created(),
    CheckConstraint("purpose IN ('fine-tune', 'fine-tune-results')", name="purpose"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("tenant", Words, nullable=False, index=True),
    Column("key_id", Words, nullable=False),
    Column("request", Words),
    Column("model", Words, nullable=False),
    Column("base", Words, nullable=False),
    Column("parent", Words),
    Column("method", Words, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("suffix", Words),
    Column("seed", BigInteger, nullable=False),
    Column("notes", JSON(none_as_null=True)),
    Column("training_file", Words, nullable=False),
    Column("validation_file", Words),
    Column("hashes", JSON, nullable=False),
    Column("status", Words, nullable=False, index=True),
    Column("error", JSON(none_as_null=True)),
    Column("fine_tuned_model", Words, unique=True),
    Column("round_id", Words),
    Column("trained_tokens", BigInteger),
    Column("result_file", Words),
    Column("checkpoint", JSON(none_as_null=True)),
    Column("step", Integer, nullable=False),
    Column("estimated", Words),
    Column("cancel", Boolean, nullable=False),
    Column("worker", Words),
    Column("lease", Float),
    Column("attempts", Integer, nullable=False),
    _created(),
    Column("started", Words),
    Column("finished", Words),
    Column("removed", Words),
    UniqueConstraint("tenant", "request"),
    CheckConstraint("status IN ('validating_files', 'queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status"),
    CheckConstraint("method IN ('supervised', 'dpo')", name="method"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", Words, nullable=False, unique=True),
    Column("job_id", Words, nullable=False, index=True),
    Column("level", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("data", JSON(none_as_null=True)),
    _created(),
    CheckConstraint("level IN ('info', 'warn', 'error')", name="level"),
)

watched = Table(
    "watched",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("model", Words, nullable=False),
    Column("model_hash", Words),
    Column("span", Words, nullable=False),
    Column("start", Words, nullable=False, index=True),
    Column("writer", Words, nullable=False),
    Column("figures", JSON, nullable=False),
    UniqueConstraint("model", "span", "start", "writer"),
    CheckConstraint("span IN ('hour', 'day')", name="span"),
)
