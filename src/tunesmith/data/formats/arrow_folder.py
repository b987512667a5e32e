"""A folder written by `datasets.save_to_disk`: Arrow files and a state that names them; read with pyarrow alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, Source
from tunesmith.data.formats.columnar import check_columns, class_names, records_of

_ROWS = 1024
"""Rows that become Python objects at a time."""


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record for each row, shard after shard; DataError where a shard is missing or cut short."""
    import pyarrow as pa

    number = 0
    for shard in shards(source.path):
        try:
            with pa.memory_map(str(shard)) as mapped:
                for batch in _batches(pa, mapped):
                    batch.validate(full=True)  # offsets that lead out of the file would be followed
                    check_columns(batch.schema.names, str(source.path))
                    names = class_names(batch.schema)
                    for start in range(0, batch.num_rows, _ROWS):
                        yield from records_of(batch.slice(start, _ROWS), number + start, names, source.longest)
                    number += batch.num_rows
        except FileNotFoundError as error:
            raise DataError(f"{source.path}: the shard {shard.name} is missing; write the folder again with save_to_disk.") from error
        except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
            raise DataError(
                f"{shard} can't be read as Arrow (it is cut short or damaged): write the folder again with save_to_disk."
            ) from error


def _batches(pa: Any, mapped: Any) -> Iterator[Any]:
    """The batches of a stream (what `datasets` writes) or of a file (Feather)."""
    try:
        yield from pa.ipc.open_stream(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        opened = pa.ipc.open_file(mapped)
        yield from (opened.get_batch(place) for place in range(opened.num_record_batches))


def shards(folder: Path) -> list[Path]:
    """The Arrow files of a folder in order, as its state names them."""
    state = folder / "state.json"
    try:
        held = json.loads(state.read_text(encoding="utf-8"))
        names = [str(entry["filename"]) for entry in held["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{state} can't be read: write the folder again with save_to_disk.") from error
    if held.get("_indices_data_files"):
        raise DataError(f"{folder} holds a selection of rows over other files: call flatten_indices() before save_to_disk.")
    return [folder / Path(name).name for name in names]
