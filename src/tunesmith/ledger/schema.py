"""Brings a database to the tables this tunesmith knows, and refuses one it doesn't understand.

A database at HEAD costs one look and no Alembic. Otherwise the migrations run in one transaction under a lock: of two
processes that open a new ledger at once, one makes it and the other finds it made; a kill leaves it as it was.
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect

from tunesmith.core.errors import MachineError
from tunesmith.ledger.store import transaction
from tunesmith.ledger.tables import VERSION_TABLE, metadata

HEAD = "0011"
"""The newest migration; a test holds it to `migrations/versions`."""
MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 0x74756E65  # any number will do, as long as it stays the same: "tune"


def bring_to_head(engine: Engine, where: str) -> None:
    """Migrate the database to HEAD where it isn't there.

    Raises:
        MachineError: it is damaged, unreachable, read-only, of a newer tunesmith, or holds something other than a ledger.
    """
    with transaction(engine, where, writes=False) as connection:
        _check_writable(connection, where)
        if revision(connection) == HEAD:
            return
    with transaction(engine, where, writes=True) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        found = revision(connection)  # again: another process may have been first
        if found is None:
            _check_vacant(connection, where)
        if found != HEAD:
            _upgrade(connection, found, where)


def revision(connection: Connection) -> str | None:
    """The revision a database stands at; None where it holds no ledger."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return version


def _check_writable(connection: Connection, where: str) -> None:
    """A server may take part in replication, or a user be held to reading. (A SQLite file was looked at before.)"""
    if connection.dialect.name == "postgresql" and connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on":
        raise MachineError(f"The ledger {where} can't be written to: the server lets this user only read; name one it may write to.")


def _check_vacant(connection: Connection, where: str) -> None:
    """Never put tables into a SQLite file of something else, nor beside namesakes on a shared server."""
    there = set(inspect(connection).get_table_names())
    foreign = there if connection.dialect.name == "sqlite" else there & set(metadata.tables)
    if foreign:
        some = ", ".join(sorted(foreign)[:3])
        raise MachineError(f"{where} holds tables of something else ({some}), not a ledger: name another file, database or schema.")


def _upgrade(connection: Connection, found: str | None, where: str) -> None:
    """Run the migrations from `found` to HEAD inside the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if found is not None and found not in known:
        raise MachineError(
            f"The ledger {where} was written by a newer tunesmith (schema {found}; this one knows {HEAD}): "
            "upgrade tunesmith, or name another workspace with --workspace."
        )
    command.upgrade(config, "head")
