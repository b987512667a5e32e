"""File formats: each module yields what a file holds, record by record, and what of it can't be read.

A family is one file here and one line in `FAMILIES`; a suffix is one line in `SUFFIXES`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the file holds it, before anything is known of its meaning."""

    number: int
    """The line it begins on, counted from 1; its position where a format has no lines (Parquet, Arrow)."""
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that can't be read. `raw` is written to quarantine.jsonl and nowhere else."""

    number: int
    reason: str
    raw: str
    file: str = ""


@dataclass(slots=True)
class Source:
    """A file (or a folder of Arrow files) to read records from, and what was noticed while reading it."""

    path: Path
    open: Callable[[], BinaryIO]
    """Opens the bytes, decompressed."""
    longest: int
    """Most bytes in one record."""
    notes: list[str] = field(default_factory=list)


Reader = Callable[[Source], Iterator[Record | BadLine]]

FAMILIES = {
    "jsonl": "tunesmith.data.formats.json_lines",
    "json": "tunesmith.data.formats.json_array",
    "csv": "tunesmith.data.formats.delimited",
    "parquet": "tunesmith.data.formats.columnar",
    "arrow": "tunesmith.data.formats.arrow_folder",
    "txt": "tunesmith.data.formats.plain_text",
}

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".txt": "txt",
}


def reader(family: str) -> Reader:
    """The `records` function of a family, imported when first asked for."""
    records: Reader = import_module(FAMILIES[family]).records
    return records
