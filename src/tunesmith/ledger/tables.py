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
