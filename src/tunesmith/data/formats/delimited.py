"""CSV and TSV, with quoted line breaks. A stray quote costs the line it stands on, not what follows it."""

import csv
from collections import deque
from collections.abc import Iterator

from tunesmith.core.errors import DataError
from tunesmith.data.formats import BadLine, Record, Source, suffix_of
from tunesmith.data.formats.lines import Line, Unreadable, decoded_for_quarantine, lines, text_of, too_long
from tunesmith.data.formats.many import printable

_DELIMITERS = ",;\t|"


class _TooLong(Exception):
    """The record grew over the limit: most often a quote that was never closed."""


class _Feed:
    """Hands lines to the csv reader, remembers which make up the current record, and can hand them out again."""

    def __init__(self, read: Iterator[Line], source: Source) -> None:
        self._read, self._source, self._longest = read, source, source.longest
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._read)
        self.taken.append(line)
        self._size += len(line.data)
        if self._size > self._longest:
            raise _TooLong
        return self.text(line)

    def text(self, line: Line) -> str:
        """A line's text; bytes that can't be told stay as halves of surrogate pairs, by which the record is set aside."""
        try:
            return text_of(line.data, line.number, self._source)
        except Unreadable:
            return line.data.decode("utf-8", "surrogateescape")

    def begin(self) -> None:
        """A new record begins."""
        self.taken, self._size = [], 0

    def give_back(self) -> Line:
        """Keep the current record's first line, and hand the others out again."""
        first, *others = self.taken
        self._again.extendleft(reversed(others))
        return first


def records(source: Source) -> Iterator[Record | BadLine]:
    """Yield one record or bad line for each record after the header; DataError where the header can't be read."""
    with source.open() as file:
        feed = _Feed(lines(file, source.longest), source)
        delimiter, header = _header(source, feed)
        if header:
            yield from _body(feed, delimiter, header, source.longest)


def _next(reader: Iterator[list[str]], longest: int) -> list[str]:
    """The next record, under our limit of a cell's length: the csv module has one for everybody, which is put back before anybody else runs."""
    before = csv.field_size_limit(longest)
    try:
        return next(reader)
    finally:
        csv.field_size_limit(before)


def _header(source: Source, feed: _Feed) -> tuple[str, list[str]]:
    """The delimiter and the column names, from the first line that isn't blank."""
    try:
        text = next((line for line in feed if line.strip()), "")
        if not text:
            return ",", []
        delimiter = "\t" if suffix_of(source.name) == ".tsv" else next((one for one in _DELIMITERS if one in text), ",")
        quoted = text.lstrip().startswith('"') and text.count('"') % 2 == 1
        cells = _next(csv.reader([text], delimiter=delimiter, strict=True), source.longest) if not quoted else []
        text.encode()
        cells = cells if feed.taken[-1].whole else []
    except (_TooLong, csv.Error, UnicodeEncodeError):
        cells = []
    if not cells:
        raise DataError(f"{source.path}: the first line can't be read as column names; it must be a header, such as text,label.")
    if delimiter != "," and suffix_of(source.name) == ".csv":
        source.note(f"{source.name}: cells are divided by {delimiter!r}.")
    names = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{source.path}: the column {printable(twice[0])!r} appears {names.count(twice[0])} times; give each column its own name."
        )
    return delimiter, names


def _body(feed: _Feed, delimiter: str, header: list[str], longest: int) -> Iterator[Record | BadLine]:
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        problem = ""
        try:
            cells = _next(reader, longest)
        except StopIteration:
            return
        except _TooLong:
            cells, problem = [], too_long(longest) if len(feed.taken) == 1 else f"a quote that isn't closed within {longest / 2**20:g} MiB"
        except csv.Error as error:
            cells, problem = [], _explain(str(error))
        if not problem and not any(line.data.strip() for line in feed.taken):
            continue
        yield _record(feed, cells, problem, delimiter, header, longest)


def _record(feed: _Feed, cells: list[str], problem: str, delimiter: str, header: list[str], longest: int) -> Record | BadLine:
    """What the csv reader made of one record; where it failed, its first line is set aside and reading goes on with the next."""
    while len(cells) > len(header) and not cells[-1]:
        cells = cells[:-1]
    if any(not line.whole for line in feed.taken):
        problem = too_long(longest)
    problem = problem or _fault(cells, header)
    if not problem:
        return Record(feed.taken[0].number, dict(zip(header, cells, strict=True)))
    first = feed.give_back()
    if delimiter == "\t" and first.whole:
        plain = feed.text(first).rstrip("\r\n").split("\t")
        if not _fault(plain, header):
            return Record(first.number, dict(zip(header, plain, strict=True)))
    return BadLine(first.number, problem, decoded_for_quarantine(first.data))


def _fault(cells: list[str], header: list[str]) -> str:
    """Why these cells are no row, or nothing."""
    if any("\0" in cell for cell in cells):
        return "holds NUL bytes"
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return "not UTF-8"
    if len(cells) != len(header):
        return f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'} where the header has {len(header)}"
    return ""


def _explain(error: str) -> str:
    if "unexpected end" in error:
        return "a quote that isn't closed"
    if "expected after" in error:
        return "text after a closing quote"
    return "cells that can't be told apart"
