"""Read files into rows, one by one. Every record becomes a row or is set aside with its line and the reason; the two add up to what was read.

What a file's columns are, and what its rows ask for, is told from the first 20,000 records; memory holds no more of it than these.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tunesmith.core.errors import RecipeError
from tunesmith.core.rows import Row
from tunesmith.data import forms
from tunesmith.data.bad_lines import check_share, none_read
from tunesmith.data.config import Task
from tunesmith.data.formats import BadLine, Legacy, Record, Source, reader, say_what_was_guessed
from tunesmith.data.formats.json_lines import block_records, blocks, is_lines
from tunesmith.data.noted import Noted
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.shaper import Shaper
from tunesmith.data.source import explained, find
from tunesmith.data.values import few_distinct, separator_of

SAMPLED = 20_000
"""Records looked at to tell what the columns are, and no more than hold so many characters:"""
_SAMPLED_CHARACTERS = 2**26
_TOGETHER = 2000


@dataclass(slots=True, kw_only=True)
class Reading:
    """A file that is being read. Iterating yields its rows and bad lines in file order, once; `notes` is whole after that.

    A value that is missing is an empty text in a row; the stage `fill` drops such rows with a reason. The id of a row is the
    hash of its content: rows of equal content have equal ids until the account numbers them.
    """

    path: str
    """As it was given."""
    form: forms.Form
    task: Task
    """The recipe's, or guessed."""
    mapping: dict[str, str]
    """Role -> column."""
    separator: str | None
    """What stands between labels that are one text."""
    columns: frozenset[str]
    """The columns that are no role's and stay with the row, among the records looked at."""
    judged: bool
    """Whether single answers are marked as wanted or not, instead of pairs."""
    _source: Source
    _recognised: forms.Recognised
    _start: list[Record | BadLine]
    _rest: Iterator[Record | BadLine]
    _config: ReadConfig
    _noted: Noted
    _by_lines: bool = False
    """Whether any run of lines can be read by itself."""
    rows: int = 0
    bad: int = 0
    _worst: list[BadLine] = field(default_factory=list)

    def __iter__(self) -> Iterator[Row | BadLine]:
        """Rows and bad lines, in file order.

        Raises:
            DataError: too many lines are bad, said at the end; or the file is cut short.
        """
        shaped = Shaper(self._recognised)
        worst: list[BadLine] = []
        with explained(self._source.path):
            for item in _chained(self._start, self._rest):
                told = shaped.row(item, item.file) if isinstance(item, Record) else item
                if isinstance(told, Row):
                    self.rows += 1
                    if isinstance(item, Record):
                        self._noted.see(told, item)
                else:
                    self.bad += 1
                    if len(worst) < SAMPLED:
                        worst.append(told)
                yield told
        check_share(self._source, worst, self.bad, self.rows + self.bad, self._config)

    def blocks(self) -> Iterator["Block"]:
        """The file in runs, for `rows_of`; use this or iterate. The same runs whoever works on them.

        Raises:
            DataError: the file is cut short.
        """
        with explained(self._source.path):
            with self._source.open() if self._by_lines else nullcontext() as file:
                if file is not None and is_lines(file):
                    self._start.clear()
                    self._source.legacy = Legacy()
                    yield from (Block(lines=lines, before=before) for before, lines in blocks(file, self._source.longest))
                    say_what_was_guessed(self._source)
                    return
            items = _chained(self._start, self._rest)
            while some := list(islice(items, _TOGETHER)):
                yield Block(some)

    def rows_of(self, block: "Block") -> tuple[list[Row], "Told"]:
        """The rows of a block, and what is to be told of it; changes nothing here."""
        part = replace(self._source, notes=[], legacy=Legacy())
        noted, shaped = Noted(self._recognised, []), Shaper(self._recognised)
        rows: list[Row] = []
        bad: list[BadLine] = []
        for item in block.items or block_records(block.before, block.lines, part):
            told = shaped.row(item, item.file) if isinstance(item, Record) else item
            if isinstance(told, BadLine):
                bad.append(told)
            elif isinstance(item, Record):
                rows.append(told)
                noted.see(told, item)
        return rows, Told(len(rows), bad, noted, part.notes, part.legacy)

    def take(self, told: "Told") -> None:
        """Put together what was told of a block, in the order of the blocks."""
        self.rows += told.rows
        self.bad += len(told.bad)
        self._worst += told.bad[: SAMPLED - len(self._worst)]
        self._noted.add(told.noted)
        for sentence in told.notes:
            self._source.note(sentence)
        legacy = self._source.legacy
        legacy.first = legacy.first or told.legacy.first
        legacy.lines += told.legacy.lines

    def check(self) -> None:
        """DataError where too many lines were bad."""
        check_share(self._source, self._worst, self.bad, self.rows + self.bad, self._config)

    @property
    def large(self) -> bool:
        """Whether it is lines that several processes may read, and enough of them."""
        return self._by_lines and len(self._start) >= SAMPLED

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how it was read, a sentence each."""
        return (*self._source.notes, *self._recognised.notes, *self._noted.notes())


@dataclass(frozen=True, slots=True)
class Block:
    """A run of a file: lines of it, or records."""

    items: list[Record | BadLine] = field(default_factory=list)
    lines: bytes = b""
    before: int = 0
    """Lines before these."""


@dataclass(frozen=True, slots=True)
class Told:
    """What reading a block told, beside its rows."""

    rows: int
    bad: list[BadLine]
    noted: Noted
    notes: list[str]
    legacy: Legacy


def read(path: str, config: ReadConfig, task: Task | None) -> Reading:
    """Begin to read a file, a `save_to_disk` folder or the word `sample`.

    Args:
        path: JSONL, JSON, CSV, TSV, Parquet or txt, each also packed; a folder; or `sample`.
        config: columns, the share of bad lines allowed, the longest line.
        task: the recipe's, or None to guess it.

    Raises:
        RecipeError: nothing is at the path, its suffix is unknown, or a named column isn't there.
        DataError: it is empty, binary or cut short, or its form can't be told.
        MachineError: it may not be read.
    """
    family, source = find(path, max(1, int(config.max_line_mib * 2**20)), config)
    if family in ("txt", "document") and task not in (None, Task.TEXT):
        raise RecipeError(f"{path} is raw text, which serves data.task: text; {task.value if task else ''} needs rows with columns.")
    items = reader(family)(source)
    start, records = _start(source, items)
    bad = [item for item in start if isinstance(item, BadLine)]
    if not records:
        raise none_read(source, bad)
    if len(records) < SAMPLED:
        check_share(source, bad, len(bad), len(start), config)
    typical = records if set(config.columns) - {forms.WEIGHT} else _of_commonest_form(records)
    recognised = forms.recognise(_columns(typical), config.columns, task, path)
    if recognised.form is forms.LABELS:
        held = (record.values.get(recognised.mapping["labels"]) for record in records)
        recognised = replace(recognised, separator=config.label_separator or separator_of(held))
    shaper = Shaper(recognised)
    first = [row for record in records if isinstance(row := shaper.row(record, ""), Row)]
    chosen = task or guess_task(recognised.form, [row.answer for row in first])
    used = shaper.used
    return Reading(
        path=path,
        form=recognised.form,
        task=chosen,
        mapping=recognised.mapping,
        separator=recognised.separator,
        columns=frozenset(column for record in records for column in record.values if column not in used),
        judged=any(row.wanted is not None for row in first[:1]),
        _source=source,
        _recognised=recognised,
        _start=start,
        _rest=items,
        _config=config,
        _noted=Noted.of(recognised, None if task else chosen, first, records, more=len(records) == SAMPLED),
        _by_lines=family == "jsonl" and source.parts is None,
    )


def _start(source: Source, items: Iterator[Record | BadLine]) -> tuple[list[Record | BadLine], list[Record]]:
    """The first items, with as many records as are looked at."""
    start: list[Record | BadLine] = []
    records: list[Record] = []
    characters = 0
    with explained(source.path):
        for item in items:
            start.append(item)
            if isinstance(item, Record):
                records.append(item)
                characters += _characters(item.values)
            if len(records) == SAMPLED or len(start) == 2 * SAMPLED or characters > _SAMPLED_CHARACTERS:
                break
    return start, records


def _characters(value: Any) -> int:
    """About how many characters a value holds."""
    if isinstance(value, str):
        return len(value)
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 8 + sum(map(_characters, held))


def _chained(start: list[Record | BadLine], rest: Iterator[Record | BadLine]) -> Iterator[Record | BadLine]:
    """The first items, each let go of once it was given, then the others."""
    start.reverse()
    while start:
        yield start.pop()
    yield from rest


def guess_task(form: forms.Form, answers: list[str]) -> Task:
    """What rows of a form ask for.

    Preference pairs: prefer. Raw text: text. Lists of labels: multilabel. Tokens with tags: tag. A column of labels: classify where its values look like labels (at least two, each
    there twice on average, none over 80 characters), or where there is only one. Other answers: classify where each of at most
    200 different ones is there ten times on average; generate otherwise.
    """
    if len(form.tasks) == 1:
        return form.tasks[0]
    given = [answer.strip() for answer in answers if answer.strip()]
    distinct = len(set(given))
    if form is forms.LABEL:
        return Task.CLASSIFY if distinct <= 1 or few_distinct(given) else Task.GENERATE
    return Task.CLASSIFY if few_distinct(given) and distinct <= min(200, len(given) / 10) else Task.GENERATE


def _of_commonest_form(records: list[Record]) -> list[Record]:
    """The records whose columns make the form that most records make, and those that make none by themselves."""
    by_columns: dict[frozenset[str], frozenset[str]] = {}
    for record in records:
        columns = frozenset(record.values)
        if columns not in by_columns:
            by_columns[columns] = frozenset(forms.forms_of(columns))
    made = [by_columns[frozenset(record.values)] for record in records]
    counts = Counter(kind for kind in made if kind)
    if len(counts) < 2:
        return records
    commonest = counts.most_common(1)[0][0]
    return [record for record, kind in zip(records, made, strict=True) if not kind or kind == commonest]


def _columns(records: list[Record]) -> dict[str, list[Any]]:
    """Every column with its values."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for column, value in record.values.items():
            columns.setdefault(column, []).append(value)
    return columns
