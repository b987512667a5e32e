"""How the ledger reaches its database: SQLite by path, PostgreSQL by URL; and what a person is told when that fails.

SQLite runs in WAL mode, so that readers never wait for a writer, with full fsyncs: what a method has returned from
survives a killed process and a lost machine alike.
"""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, StatementError
from sqlalchemy.pool import ConnectionPoolEntry

from tunesmith.core.errors import BusyError, MachineError, RecipeError, TunesmithError
from tunesmith.core.files import make_folder

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before it gives up."""
_LEAST_ROOM = 2**16
"""Bytes; SQLite's shared memory file grows by 32 KiB at a time."""
CONNECT_SECONDS = 10
"""How long a server may take to answer."""


def address(url_or_path: str | Path) -> URL:
    """The database's URL. RecipeError where it is neither a path, nor a SQLite file, nor PostgreSQL."""
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(Path(url_or_path).absolute()))
    try:
        url = make_url(url_or_path)
    except (ArgumentError, ValueError) as error:  # the text may hold a password: not repeated
        raise RecipeError("The ledger's URL can't be read: write it as postgresql://user:password@host:5432/database.") from error
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise RecipeError(f"The ledger can't live at {shown(url)}: give a path (SQLite) or postgresql://user:password@host:5432/database.")


def shown(url: URL) -> str:
    """The address as it may be printed: a path, or the URL without its password and options."""
    if url.drivername == "sqlite" and url.database:
        return url.database
    return url.set(query={}).render_as_string(hide_password=True)


def make_engine(url: URL) -> Engine:
    """The engine for an address, its transactions set up; connects to nothing yet. MachineError where a driver is missing."""
    common: dict[str, Any] = {"json_serializer": partial(json.dumps, allow_nan=False), "hide_parameters": True}
    if url.drivername == "sqlite":
        check_file(Path(str(url.database)))
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **common)
        event.listen(engine, "connect", prepare_sqlite)
        event.listen(engine, "begin", begin_sqlite)
        return engine
    arguments = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    try:
        return create_engine(url, connect_args=arguments, pool_pre_ping=True, **common)
    except (ImportError, NoSuchModuleError) as error:
        raise MachineError("A ledger in PostgreSQL needs the driver psycopg: install it with pip install 'tunesmith[postgres]'.") from error


def check_file(path: Path) -> None:
    """Make the folder of a SQLite file; MachineError where the file can't be one that is written to."""
    make_folder(path.parent)
    if path.exists() and not path.is_file():
        raise MachineError(f"{path} is no file: the ledger needs one; name another workspace with --workspace.")
    for place in (path.parent, path):
        if place.exists() and not os.access(place, os.W_OK):
            raise _read_only(str(path))


def prepare_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Settings of one SQLite connection. BEGIN becomes ours: the driver would start transactions late and commit tables early."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            # The first change to WAL takes an exclusive lock and does not wait for it, whatever the busy timeout.
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def hurry(engine: Engine, seconds: float) -> None:
    """Let the connections of an engine wait for locks no longer than so."""
    lite = engine.dialect.name == "sqlite"

    def set_wait(connection: Any, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}" if lite else f"SET lock_timeout = {round(seconds * 1000)}")
        cursor.close()
        if not lite:
            connection.commit()

    event.listen(engine, "connect", set_wait)
    engine.dispose()


def begin_sqlite(connection: Connection) -> None:
    """Begin a transaction; one that will write takes its lock at once, so that it waits at the start and never fails half-way."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


@contextmanager
def transaction(engine: Engine, where: str, *, writes: bool) -> Iterator[Connection]:
    """One transaction: all of it or nothing. TunesmithError for whatever the database refuses, `where` named."""
    try:
        with engine.execution_options(writes=writes).begin() as connection:
            yield connection
    except StatementError as error:
        raise _explain(error, where) from error


def take_turn(connection: Connection, table: str) -> None:
    """Let one writer at a time into a table until the transaction ends. On SQLite every writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE")


def _primary_code(error: BaseException | None) -> int:
    """SQLite's primary result code, 0 where there is none."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _read_only(where: str) -> MachineError:
    return MachineError(f"The ledger {where} can't be written to: make it writable, its folder too, or name another workspace.")


def _explain(error: StatementError, where: str) -> TunesmithError:
    """The database's refusal as one sentence with a next move."""
    cause = error.orig
    if isinstance(error, IntegrityError) and "foreign key" in str(cause).lower():
        return RecipeError("The ledger was told of something made by a round it doesn't hold: record the round first.")
    if not isinstance(error, DBAPIError):  # refused before it was sent
        return RecipeError(f"The ledger can't keep this value: {cause}.")
    if isinstance(cause, sqlite3.Error):
        return _explain_sqlite(cause, where)
    said = (str(cause).strip().splitlines() or ["no reason given"])[0]
    state = getattr(cause, "sqlstate", None)
    if state == "55P03":
        return BusyError(f"The ledger {where} was locked by another process: wait until it ends or stop it, then run again.")
    if state == "25006":
        return _read_only(where)
    if state == "53100":
        return MachineError(f"No space left for the ledger {where}: nothing was half-written; free some space there and run again.")
    if state == "42501":
        return MachineError(f"The ledger {where} refuses this user ({said}): grant it the right to create and write tables there.")
    if error.connection_invalidated or state is None or state.startswith(("08", "57P")):
        return MachineError(f"The ledger {where} can't be reached ({said}): start the server or correct the URL, then run again.")
    return MachineError(f"The ledger {where} refused a statement: {said}.")


def _no_room(path: Path) -> bool:
    """Whether the disk is as good as full: SQLite calls it an I/O error when its shared memory file can't grow."""
    try:
        return shutil.disk_usage(path.parent).free < _LEAST_ROOM
    except OSError:
        return False


def _explain_sqlite(cause: sqlite3.Error, where: str) -> MachineError:
    """What SQLite's result code means for a person."""
    match _primary_code(cause):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return BusyError(
                f"The ledger {where} was locked by another process for {BUSY_SECONDS:.0f} s: wait until it ends or stop it, then run again."
            )
        case sqlite3.SQLITE_NOTADB:
            return MachineError(f"{where} is no SQLite database, so no ledger: move it away, or name another workspace with --workspace.")
        case sqlite3.SQLITE_CORRUPT:
            return MachineError(
                f"The ledger {where} is damaged ({cause}): put a copy of it back, or move it away and start anew; "
                "the reports stay in the rounds' folders."
            )
        case sqlite3.SQLITE_READONLY:
            return _read_only(where)
        case code if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _no_room(Path(where))):
            return MachineError(f"No space left for the ledger {where}: nothing was half-written; free some space there and run again.")
    return MachineError(f"The ledger {where} can't be used: {cause}.")
