"""Files to read, made on the spot."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

from tunesmith.data.config import ReadConfig, Task
from tunesmith.data.read import ReadResult, read


def reading(path: Path, task: Task | None = None, **config: Any) -> ReadResult:
    return read(str(path), ReadConfig(**config), task)


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
