"""Records to rows of tables and back, inside a transaction someone else holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Table, select

from tunesmith.core.errors import RecipeError, did_you_mean
from tunesmith.ledger.records import ArtefactRecord, DatasetRecord, Edge, MetricRecord, RoundRecord, StageRecord, TestOpening

Record = DatasetRecord | RoundRecord | StageRecord | ArtefactRecord | Edge | MetricRecord | TestOpening
R = TypeVar("R", bound=Record)

_MOST_SHOWN = 8


def put(connection: Connection, table: Table, records: Sequence[Record], *, on: Sequence[str], replacing: Sequence[str] = ()) -> None:
    """Insert records; where one with the same `on` columns stands already, replace the columns named and leave the rest."""
    if not records:
        return
    insert = _insert(connection, table)
    if replacing:
        statement = insert.on_conflict_do_update(index_elements=list(on), set_={name: insert.excluded[name] for name in replacing})
    else:
        statement = insert.on_conflict_do_nothing(index_elements=list(on))
    connection.execute(statement, [_values(record) for record in records])


def insert_new(connection: Connection, table: Table, values: Sequence[Mapping[str, Any]], on: Sequence[str]) -> None:
    """Insert rows of values; one whose columns `on` are there already is left as it was."""
    if values:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(index_elements=list(on)), [dict(row) for row in values])


def plain(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A mapping as JSON can hold it, RecipeError where it can't; looked at here because drivers refuse in different ways."""
    try:
        json.dumps(dict(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"The ledger can't keep '{name}' as it is ({error}): it takes text, finite numbers, lists and mappings."
        ) from error
    return dict(value)


def _insert(connection: Connection, table: Table) -> Any:
    """The database's own insert, which can say what happens on conflict; only the dialect in use is loaded."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as into_postgresql

        return into_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as into_sqlite

    return into_sqlite(table)


def fetch(
    connection: Connection, kind: type[R], table: Table, *where: ColumnElement[bool], newest_first: bool = False, limit: int | None = None
) -> list[R]:
    """Records of one kind that fit every condition, in order of their first recording (lineage: by name)."""
    order = [column.desc() if newest_first else column.asc() for column in table.primary_key.columns]
    return [_record(kind, row) for row in connection.execute(select(table).where(*where).order_by(*order).limit(limit))]


def find(connection: Connection, kind: type[R], table: Table, id_or_prefix: str, what: str) -> R:
    """The record with this id, or the only one whose id begins so. RecipeError where there is none or several."""
    exact = fetch(connection, kind, table, table.c.id == id_or_prefix)
    if exact:
        return exact[0]
    ids = list(connection.execute(select(table.c.id).order_by(table.c.number.desc())).scalars())
    fitting = [each for each in ids if id_or_prefix and each.startswith(id_or_prefix)]
    if len(fitting) == 1:
        return fetch(connection, kind, table, table.c.id == fitting[0])[0]
    if fitting:
        some = ", ".join(fitting[:_MOST_SHOWN]) + (", ..." if len(fitting) > _MOST_SHOWN else "")
        raise RecipeError(f"'{id_or_prefix}' begins the ids of {len(fitting)} {what}s ({some}): type more of it.")
    if not ids:
        raise RecipeError(f"There is no {what} '{id_or_prefix}': this ledger holds none yet.")
    known = get_close_matches(id_or_prefix, ids) or ids[:_MOST_SHOWN]
    raise RecipeError(f"There is no {what} '{id_or_prefix}'.{did_you_mean(id_or_prefix, known)}")


def _values(record: Record) -> dict[str, Any]:
    """A record's fields as values of columns, of the same names."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: plain(value, name) if isinstance(value, Mapping) else value for name, value in values.items()}


def _record(kind: type[R], row: Row[Any]) -> R:
    """A row as a record; columns that are the ledger's own business are left out."""
    return kind(**{field.name: row._mapping[field.name] for field in fields(kind)})
