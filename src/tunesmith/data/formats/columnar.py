"""Parquet, read with pyarrow in batches; and what Arrow values become in a row."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.many import printable

_BATCH = 1024
_BATCH_BYTES = 2**24
_BUFFER = 2**20


def plain(value: Any) -> Any:
    """A value that JSON can hold: dates and decimals as text, numbers that aren't finite as None, bytes by their count."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, timedelta)):
        return str(value)
    return str(value)


def class_names(schema: Any) -> dict[str, list[str]]:
    """Names of the classes of label columns, lists of labels included, where the `datasets` library left them in the metadata."""
    import json

    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        labels = {column: _of_items(kind) for column, kind in features.items()}
        return {column: kind["names"] for column, kind in labels.items() if isinstance(kind, dict) and kind.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError):
        return {}


def _of_items(kind: Any) -> Any:
    """What a list is of; anything else as it is."""
    if isinstance(kind, list) and len(kind) == 1:
        return kind[0]
    return kind["feature"] if isinstance(kind, dict) and kind.get("_type") in ("Sequence", "List", "LargeList") else kind


def records_of(batch: Any, number: int, names: dict[str, list[str]], longest: int) -> Iterator[Record | BadLine]:
    """The rows of one Arrow batch; `number` rows came before it."""
    try:
        rows: list[Any] = batch.to_pylist()
    except (UnicodeDecodeError, OverflowError, ValueError):
        rows = [_single(batch, place) for place in range(batch.num_rows)]
    for place, row in enumerate(rows, number + 1):
        if row is None:
            yield BadLine(place, "not UTF-8", "")
            continue
        values = {column: _named(value, names.get(column)) for column, value in row.items()}
        size = sum(len(value) for value in values.values() if isinstance(value, str))
        if size > longest:
            yield BadLine(place, f"longer than {longest / 2**20:g} MiB", "")
        else:
            yield Record(place, values)


def _single(batch: Any, place: int) -> Any:
    try:
        return batch.slice(place, 1).to_pylist()[0]
    except (UnicodeDecodeError, OverflowError, ValueError):
        return None


def _named(value: Any, names: list[str] | None) -> Any:
    if names and isinstance(value, list):
        return [_named(item, names) for item in value]
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None if names and value == -1 else plain(value)


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record for each row; DataError where the file is cut short or no Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open() as file, seekable(file) as whole:
        try:
            # not buffered ahead: a column of a row group would be in memory whole
            table = pq.ParquetFile(whole, pre_buffer=False, buffer_size=_BUFFER)
            names = class_names(table.schema_arrow)
            check_columns(table.schema_arrow.names, str(source.path))
            number = 0
            for batch in table.iter_batches(batch_size=_rows_at_a_time(table.metadata)):
                yield from records_of(batch, number, names, source.longest)
                number += batch.num_rows
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise DataError(f"{source.path} can't be read as Parquet (it is cut short or damaged): copy or write it again.") from error


@contextmanager
def seekable(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file itself, or where it can only be read forward (it is unpacked, or in an archive) a copy on disk that has no name."""
    if file.seekable():
        yield file
        return
    with TemporaryFile() as copy:
        copyfileobj(file, copy, _BUFFER)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def check_columns(names: list[str], where: str) -> None:
    """DataError where two columns have one name, since a row could hold only one of them."""
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise DataError(f"{where}: the column {printable(twice)!r} appears {names.count(twice)} times; give each column its own name.")


def _rows_at_a_time(metadata: Any) -> int:
    """How many rows a batch has, so that it takes about 16 MiB by what the file says of itself."""
    groups = [metadata.row_group(place) for place in range(min(metadata.num_row_groups, 100))]
    rows, size = sum(group.num_rows for group in groups), sum(group.total_byte_size for group in groups)
    return max(1, min(_BATCH, int(_BATCH_BYTES * rows / max(1, size))))
