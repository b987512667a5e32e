"""File formats: each module yields what a file holds, record by record, and what of it can't be read.

A family is one file here and one line in `FAMILIES`; a suffix is one line in `SUFFIXES`. Readers stream: what is in memory at a time
is a record and a block, whatever the length of the file. A source of many files (a folder, a glob, an archive) reads as one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from tunesmith.core.errors import MachineError
from tunesmith.data.settings.read import ReadConfig


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the file holds it, before anything is known of its meaning."""

    number: int
    """The line it begins on, counted from 1; its position where a format has no lines (Parquet, Arrow); a page of a PDF."""
    values: dict[str, Any]
    file: str = ""
    """The file it was read from, as people are shown it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A record that can't be read. `raw` is written to quarantine.jsonl and nowhere else."""

    number: int
    reason: str
    raw: str
    file: str = ""


@dataclass(slots=True)
class Legacy:
    """Lines that weren't UTF-8 and were read as Windows-1252."""

    lines: int = 0
    first: int = 0


@dataclass(slots=True)
class Source:
    """A file (or many of one family) to read records from, and what was noticed while reading it."""

    path: Path
    open: Callable[[], BinaryIO]
    """Opens the bytes, unpacked; those of text files as UTF-8."""
    longest: int
    """Most bytes in one record."""
    notes: list[str] = field(default_factory=list)
    """What a person should know, a sentence each; complete once all is read."""
    config: ReadConfig = field(default_factory=ReadConfig)
    parts: Callable[[], Iterator["Source"]] | None = None
    """The files of a source that is many, in order, each to be read before the next is asked for."""
    name: str = ""
    """What people are shown: the file's name, with its folder where names repeat."""
    part: str = ""
    """What of the file is asked for, behind a `#` in its path: a key of a JSON object, a sheet of a workbook."""
    foreign: bool = False
    """The bytes were no UTF-8 and `open` decodes them: what it can't decode isn't guessed at."""
    legacy: Legacy = field(default_factory=Legacy)

    def __post_init__(self) -> None:
        self.name = self.name or self.path.name

    def note(self, sentence: str) -> None:
        """Keep a sentence once; of very many the first twenty."""
        if sentence not in self.notes and len(self.notes) < _NOTES:
            self.notes.append(sentence)


Reader = Callable[[Source], Iterator[Record | BadLine]]

_NOTES = 20

FAMILIES = {
    "jsonl": "tunesmith.data.formats.json_lines",
    "json": "tunesmith.data.formats.json_array",
    "csv": "tunesmith.data.formats.delimited",
    "parquet": "tunesmith.data.formats.columnar",
    "arrow": "tunesmith.data.formats.arrow_folder",
    "excel": "tunesmith.data.formats.excel",
    "txt": "tunesmith.data.formats.plain_text",
    "document": "tunesmith.data.documents",
}

SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".txt": "txt",
    ".md": "document",
    ".markdown": "document",
    ".html": "document",
    ".htm": "document",
    ".xhtml": "document",
    ".pdf": "document",
    ".docx": "document",
}
BINARY = (".parquet", ".xlsx", ".xlsm", ".pdf", ".docx")
"""Suffixes of files that are no text."""
PACKED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
"""Suffixes that may stand behind any other. What a file is packed with is told by its first bytes, not by its name."""


def suffix_of(name: str) -> str:
    """The suffix that says what a file holds, in lower case; that of its packing left out."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes]
    while suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def reader(family: str) -> Reader:
    """The records of a source of this family: lazily, each with the file it is from; the family's module is imported when first asked for.

    Raises, while it is iterated:
        DataError: a file is damaged, cut short, or no file of the family.
        MachineError: it may not be read.
    """
    from tunesmith.data.formats.nested import unnested

    one: Reader = import_module(FAMILIES[family]).records

    def records(source: Source) -> Iterator[Record | BadLine]:
        for part in source.parts() if source.parts else (source,):
            try:
                for item in unnested(one(part), part):
                    if isinstance(item, Record):
                        yield Record(item.number, item.values, part.name)
                    else:
                        yield BadLine(item.number, item.reason, item.raw, part.name)
            except OSError as error:
                raise MachineError(f"{part.path} can't be read: {error.strerror or error}.") from error
            say_what_was_guessed(part)

    return records


def say_what_was_guessed(source: Source) -> None:
    """A note on the lines that were no UTF-8, once they are all known."""
    count, first = source.legacy.lines, source.legacy.first
    if count:
        lines = "1 line is" if count == 1 else f"{count:,} lines are"
        source.note(
            f"{source.name}: {lines} not UTF-8 and read as Windows-1252 (latin-1), the first on line {first:,}; "
            "if its letters are wrong, name another in data.read.encoding."
        )
        source.legacy = Legacy()
