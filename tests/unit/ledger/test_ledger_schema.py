"""Opening: a ledger is made whole, an older one is brought up, and what isn't one is refused in a sentence."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from tunesmith.core.errors import MachineError
from tunesmith.ledger import schema
from tunesmith.ledger.ledger import Ledger
from tunesmith.ledger.records import RoundRecord
from tunesmith.ledger.tables import VERSION_TABLE, metadata

SOURCES = str(Path(schema.__file__).parents[2])


def make(path: Path) -> None:
    with Ledger.open(path) as ledger:
        ledger.record_round(RoundRecord(id="r-1", identity="i", recipe={}, recipe_hash="h"))


def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path) -> None:
    make(tmp_path / "ledger.db")
    with create_engine(f"sqlite:///{tmp_path / 'ledger.db'}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == schema.HEAD


def test_constraints_are_those_of_the_code(tmp_path: Path) -> None:
    """Alembic's comparison passes over check constraints and primary keys: compare what refuses rows, too."""
    make(tmp_path / "migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(engine)

    def constraints(name: str) -> dict[str, list[str]]:
        with sqlite3.connect(tmp_path / name) as connection:
            made = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name != ?", (VERSION_TABLE,)).fetchall()
        return {table: sorted(line.strip(" \t,") for line in sql.splitlines() if "CONSTRAINT" in line) for table, sql in made}

    assert constraints("migrated.db") == constraints("created.db")


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def test_a_ledger_at_head_opens_without_alembic_or_the_orm(tmp_path: Path) -> None:
    make(tmp_path / "ledger.db")
    program = (
        "import sys; from tunesmith.ledger.ledger import Ledger\n"
        f"with Ledger.open({str(tmp_path / 'ledger.db')!r}) as ledger: print(ledger.rounds()[0].id)\n"
        "assert not {'alembic', 'sqlalchemy.orm', 'psycopg', 'torch', 'transformers'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": SOURCES}, check=False)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("r-1\n", "", 0)


def test_the_records_import_without_sqlalchemy() -> None:
    program = "import sys, tunesmith.ledger.records; assert 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": SOURCES}, check=True)


def test_an_unfinished_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    real = command.upgrade

    def die_after(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    path = tmp_path / "ledger.db"
    monkeypatch.setattr(command, "upgrade", die_after)
    with pytest.raises(KeyboardInterrupt):
        Ledger.open(path)
    monkeypatch.undo()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    make(path)


def test_a_folder_with_a_percent_sign_and_spaces_will_do(tmp_path: Path) -> None:
    make(tmp_path / "100% of ü ?x=1#y" / "ledger.db")
    assert (tmp_path / "100% of ü ?x=1#y" / "ledger.db").is_file()


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    make(tmp_path / "ledger.db")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    make(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(MachineError, match=rf"newer tunesmith \(schema 9999; this one knows {schema.HEAD}\)"):
        Ledger.open(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "places.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(MachineError, match=r"tables of something else \(bookmarks\)"):
        Ledger.open(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]
