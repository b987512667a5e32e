"""Files to read, made on the spot."""

import csv
import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunesmith.core.rows import Row
from tunesmith.data.config import ReadConfig, Task
from tunesmith.data.fold import keys_of, row_key
from tunesmith.data.formats import BadLine
from tunesmith.data.read import Reading, read
from tunesmith.data.table import Columns, Table
from tunesmith.data.waterfall import Ids


@dataclass(frozen=True)
class Collected:
    """A file read to its end; ids as the account gives them."""

    reading: Reading
    rows: list[Row]
    bad: list[BadLine]

    @property
    def format(self) -> str:
        return self.reading.form.name

    @property
    def task(self) -> Task:
        return self.reading.task

    @property
    def mapping(self) -> dict[str, str]:
        return self.reading.mapping

    @property
    def separator(self) -> str | None:
        return self.reading.separator

    @property
    def notes(self) -> tuple[str, ...]:
        return self.reading.notes


def collected(path: str | Path, config: ReadConfig | None = None, task: Task | None = None) -> Collected:
    opened = read(str(path), config or ReadConfig(), task)
    items = list(opened)
    rows = [item for item in items if isinstance(item, Row)]
    ids = Ids.of(np.array([row_key(row) for row in rows], np.uint64))
    return Collected(opened, [replace(row, id=ids[place]) for place, row in enumerate(rows)], [i for i in items if isinstance(i, BadLine)])


def reading(path: Path, task: Task | None = None, **config: Any) -> Collected:
    return collected(path, ReadConfig(**config), task)


def columns_of(parts: dict[str, list[Row]], by: str | None = None, time: str | None = None, *, stratified: bool = False) -> Columns:
    table, place = Table(by, time, stratified), 0
    for part, name in enumerate(("train", "validation", "test")):
        rows = parts.get(name, [])
        table.add(rows, [keys_of(row) for row in rows], range(place, place + len(rows)), [row_key(row) for row in rows], part)
        place += len(rows)
    return table.columns()


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def labelled(count: int = 40) -> list[dict[str, Any]]:
    return [{"text": f"message {number}", "label": ("yes", "no")[number % 2], "customer": number // 4} for number in range(count)]


def csv_file(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def parquet_file(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def arrow_folder(folder: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa

    folder.mkdir()
    halves = [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
    names = [f"data-{number:05}-of-00002.arrow" for number in range(2)]
    for name, half in zip(names, halves, strict=True):
        table = pa.Table.from_pylist(half)
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def gz_file(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed
