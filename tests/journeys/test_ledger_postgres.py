"""The ledger on a real PostgreSQL: the same answers as on SQLite, several writers, and its refusals.

Where there is no server (`postgres` in tests/conftest.py), these tests skip. The tests of the ledger's parts run on both databases
(tests/unit/ledger); here is what concerns PostgreSQL alone.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import URL, Connection, NullPool, create_engine, make_url

from tunesmith.core.errors import MachineError, RecipeError
from tunesmith.ledger import schema
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import ArtefactRecord, DatasetRecord, Edge, MetricRecord, RoundRecord, StageRecord
from tunesmith.ledger.tables import VERSION_TABLE, metadata

A_TIME = "2026-11-21T02:00:00Z"


def a_round(id: str) -> RoundRecord:
    return RoundRecord(id=id, identity="i" * 64, recipe={"z": 1, "a": [None, 0.1, "ü"]}, recipe_hash="h", created=A_TIME)


@pytest.fixture(scope="module")
def server(postgres: URL) -> URL:
    """A server with room for schemas."""
    return postgres


def statements(url: URL) -> AbstractContextManager[Connection]:
    """One transaction of the test's own, on a connection that ends with it."""
    return create_engine(url, poolclass=NullPool).begin()


@pytest.fixture
def url(server: URL) -> Iterator[str]:
    """The server, with an empty schema of its own for one test."""
    name = f"t_{uuid4().hex}"
    with statements(server) as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield in_schema(server, name)
    with statements(server) as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


def in_schema(server: URL, name: str, *settings: str) -> str:
    options = " ".join(f"-c{setting}" for setting in (f"search_path={name}", *settings))
    return server.set(drivername="postgresql").update_query_dict({"options": options}).render_as_string(hide_password=False)


def story(ledger: Ledger) -> list[Any]:
    """One of everything, with repeats and hostile text; what was said along the way."""
    said: list[Any] = [ledger.rounds(), ledger.reusable_stage("k"), ledger.lineage("model")]
    for id in ("r-3f2a", "r-3f2b"):
        said += [ledger.record_round(a_round(id)), ledger.record_round(a_round(id))]
    dataset = DatasetRecord(id="d1", path="/\udcff/old", task="classify", counts={"train": 3}, created=A_TIME)
    said += [ledger.record_dataset(dataset), ledger.record_dataset(replace(dataset, path="/new")), ledger.dataset("d")]
    said += [ledger.set_dataset("r-3f2a", "d1"), ledger.continue_round("r-3f2a")]
    said += [replace(ledger.finish_round("r-3f2b", "failed", 0.1, error="NUL \0, half a pair \ud800, 'quote'; --"), finished=None)]
    said += [replace(ledger.finish_round("r-3f2a", "done", 1 / 3, verdict={"b": 1, "a": {"low": None, "text": "\0"}}), finished=None)]
    stage = StageRecord(
        key="k", name="n", version=1, inputs={"x": "\ud800"}, output_path="/a", output_hash="o", seconds=0.1, created=A_TIME
    )
    said += [ledger.record_stage(stage), ledger.record_stage(replace(stage, round_id="r-3f2a")), ledger.stages("r-3f2a")]
    artefact = ArtefactRecord(content_hash="model", kind="model", path="/m", bytes=2**40, round_id="r-3f2a", created=A_TIME)
    said += [
        ledger.record_artefact(artefact),
        ledger.record_artefact(replace(artefact, kind="base")),
        ledger.artefacts(content_hash="model"),
    ]
    ledger.record_edges([Edge("model", "d1", "trained on"), Edge("model", "base", "tuned from"), Edge("d1", "model", "a loop")] * 2)
    said += [ledger.lineage("model"), ledger.parents("model")]
    metric = MetricRecord(round_id="r-3f2a", system="tuned", name="accuracy", side="test", value=0.1 + 0.2, low=1e-300)
    ledger.record_metrics([metric, replace(metric, name="f1", value=None)])
    ledger.record_metrics([replace(metric, value=0.7)])
    said += [ledger.metrics("r-3f2a"), [ledger.open_test_set("t", id) for id in ("r-3f2a", "r-3f2a", "r-3f2b")]]
    for refused in (
        lambda: ledger.round("r-3f2"),
        lambda: ledger.round("R-3F2A"),
        lambda: ledger.round("\0"),
        lambda: ledger.continue_round("r-3f2a"),
        lambda: ledger.open_test_set("t", "nobody's"),
        lambda: ledger.record_stage(replace(stage, inputs={"x": float("nan")})),
    ):
        with pytest.raises(RecipeError) as refusal:
            refused()
        said.append(str(refusal.value))
    return [*said, [replace(each, finished=None) for each in ledger.rounds()], ledger.datasets(1)]


def test_postgresql_says_what_sqlite_says(url: str, tmp_path: Path) -> None:
    with Ledger.open(url) as theirs, Ledger.open(tmp_path / "ledger.db") as ours:
        assert story(theirs) == story(ours)


def test_the_migrations_make_exactly_the_tables_of_the_code(url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with Ledger.open(url) as ledger, ledger.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == schema.HEAD


def test_many_that_open_a_new_ledger_at_once_and_write_lose_nothing(url: str) -> None:
    def work(number: int) -> int:
        with Ledger.open(url) as ledger:
            ledger.record_round(a_round(f"r-{number}"))
            ledger.record_metrics(
                MetricRecord(round_id=f"r-{number}", system=str(each), name="a", side="test", value=1.0) for each in range(20)
            )
            return ledger.open_test_set("t", f"r-{number}")

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(work, range(6))) == [1, 2, 3, 4, 5, 6]
    with Ledger.open(url) as ledger:
        assert len(ledger.rounds()) == 6
        assert all(len(ledger.metrics(each.id)) == 20 for each in ledger.rounds())


def test_a_connection_the_server_dropped_is_made_anew(url: str, server: URL) -> None:
    with Ledger.open(url) as ledger:
        with ledger.reading() as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        with statements(server) as other:
            assert other.exec_driver_sql("SELECT pg_terminate_backend(%s, 10000)", (process,)).scalar() is True
        assert ledger.record_round(a_round("r-1")) == a_round("r-1")


def test_a_newer_schema_is_refused(url: str) -> None:
    with Ledger.open(url) as ledger, ledger.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(MachineError, match="newer tunesmith"):
        Ledger.open(url)


def test_namesakes_of_its_tables_are_left_alone_and_strangers_do_not_matter(url: str) -> None:
    with statements(make_url(url).set(drivername="postgresql+psycopg")) as connection:
        connection.exec_driver_sql("CREATE TABLE spatial_ref_sys (a int); CREATE TABLE rounds (a int)")
    with pytest.raises(MachineError, match=r"tables of something else \(rounds\)"):
        Ledger.open(url)
    with statements(make_url(url).set(drivername="postgresql+psycopg")) as connection:
        connection.exec_driver_sql("DROP TABLE rounds")
    Ledger.open(url).close()


def test_a_server_that_only_lets_read_is_refused(url: str, server: URL) -> None:
    name = url.split("search_path%3D")[1].split("&")[0]
    with pytest.raises(MachineError, match="only read"):
        Ledger.open(in_schema(server, name, "default_transaction_read_only=on"))


def test_a_database_that_is_not_there_is_said_without_the_password(server: URL) -> None:
    wrong = server.set(database="no_such_database", password=server.password or "secret")
    with pytest.raises(MachineError, match=r"can't be reached.*no_such_database") as refusal:
        Ledger.open(wrong.render_as_string(hide_password=False))
    assert str(wrong.password) not in str(refusal.value)
