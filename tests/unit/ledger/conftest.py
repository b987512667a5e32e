"""A ledger on SQLite, and once more on PostgreSQL where a server is at hand: whatever holds for one holds for the other."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, NullPool, create_engine

from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.tables import metadata


@pytest.fixture(scope="session")
def on_postgres(postgres: URL) -> Iterator[str]:
    """A ledger of its own on the server, migrated once."""
    name = f"t_{uuid4().hex}"
    engine = create_engine(postgres, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    url = postgres.set(drivername="postgresql").update_query_dict({"options": f"-csearch_path={name}"})
    made = url.render_as_string(hide_password=False)
    Ledger.open(made).close()
    yield made
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> "str | Path":
    """Where an empty ledger lies."""
    if request.param == "sqlite":
        return tmp_path / "ledger.db"
    made: str = request.getfixturevalue("on_postgres")
    with Ledger.open(made) as ledger, ledger.writing() as connection:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
        connection.exec_driver_sql(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    return made


@pytest.fixture
def ledger(where: "str | Path") -> Iterator[Ledger]:
    """It, open."""
    with Ledger.open(where) as made:
        yield made
