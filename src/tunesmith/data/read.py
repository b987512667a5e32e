"""Read files into rows, one by one. Every record becomes a row or is set aside with its line and the reason; the two add up to what was read.

What a file's columns are, and what its rows ask for, is told from the first 20,000 records; memory holds no more of it than these.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.rows import Row
from tunesmith.data import forms
from tunesmith.data.config import Task
from tunesmith.data.content import BadRow
from tunesmith.data.formats import BadLine, Legacy, Record, Source, reader, say_what_was_guessed
from tunesmith.data.formats.columnar import plain
from tunesmith.data.formats.json_lines import block_records, blocks, is_lines
from tunesmith.data.settings.read import ReadConfig
from tunesmith.data.shape import shape
from tunesmith.data.source import explained, find
from tunesmith.data.values import few_distinct, separator_of

SAMPLED = 20_000
"""Records looked at to tell what the columns are, and no more than hold so many characters:"""
_SAMPLED_CHARACTERS = 2**26
_TOGETHER = 2000
_MERGED = ("instruction", "input", "first", "second")
"""Roles that one prompt is made of, so that each is also kept apart, to group by."""


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
    _noted: "_Noted"
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
        shaped = _Shaper(self._recognised)
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
        noted, shaped = _Noted(self._recognised, []), _Shaper(self._recognised)
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
    noted: "_Noted"
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
        raise _nothing(source, bad)
    if len(records) < SAMPLED:
        check_share(source, bad, len(bad), len(start), config)
    typical = records if set(config.columns) - {forms.WEIGHT} else _of_commonest_form(records)
    recognised = forms.recognise(_columns(typical), config.columns, task, path)
    if recognised.form is forms.LABELS:
        held = (record.values.get(recognised.mapping["labels"]) for record in records)
        recognised = replace(recognised, separator=config.label_separator or separator_of(held))
    shaper = _Shaper(recognised)
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
        _noted=_Noted.of(recognised, chosen, task, first, records),
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


class _Shaper:
    """Makes rows of records, once it is known what their columns are."""

    def __init__(self, recognised: forms.Recognised) -> None:
        self._form, self._mapping, self._separator = recognised.form, recognised.mapping, recognised.separator
        self.used = {column for role, column in recognised.mapping.items() if role not in _MERGED}
        self._required = [recognised.mapping[role] for role in recognised.form.required]
        self._other: dict[frozenset[str], str] = {}

    def row(self, record: Record, name: str) -> Row | BadLine:
        """The row that a record makes, or why it makes none."""
        values, used = record.values, self.used
        try:
            if not all(column in values for column in self._required):
                _check_form(values, self._form, self._other)
            content = shape(self._form, self._mapping, values, self._separator)
            rest = {column: plain(value) for column, value in values.items() if column not in used}
        except BadRow as error:
            return BadLine(record.number, str(error), _as_text(values), name)
        return Row(
            id="",
            prompt=content.prompt,
            answer=content.answer,
            rejected=content.rejected,
            labels=content.labels,
            value=content.value,
            tags=content.tags,
            wanted=content.wanted,
            weight=content.weight,
            source=f"{name}:{record.number}",
            fields=rest,
        )


def _check_form(values: Mapping[str, Any], form: forms.Form, known: dict[frozenset[str], str]) -> None:
    """BadRow where a record lacks columns of the file's form and makes another form by itself."""
    columns = frozenset(values)
    if columns not in known:
        known[columns] = ", ".join(sorted(forms.forms_of(columns) - {form.name}))
    if known[columns]:
        raise BadRow(f"a row in the form {known[columns]} in a file of {form.name}")


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(plain(dict(values)), ensure_ascii=False)


def _nothing(source: Source, bad: list[BadLine]) -> DataError:
    if not bad:
        return DataError(f"{source.path} holds no rows: it must hold at least one.")
    return DataError(f"{source.path}: none of its {len(bad):,} lines can be read ({_first(bad)}); {_advice(bad)}")


def check_share(source: Source, bad: list[BadLine], count: int, total: int, config: ReadConfig) -> None:
    """DataError where more lines are bad than the recipe allows; `bad` are the first of them."""
    if count > config.bad_lines * total:
        raise DataError(
            f"{source.path}: {count:,} of {total:,} lines ({count / total:.1%}) can't be read, and data.read.bad_lines allows "
            f"{config.bad_lines:.1%} ({_first(bad)}); {_advice(bad)}"
        )


def _first(bad: list[BadLine]) -> str:
    """Where each reason is met first, the commonest reasons first."""
    counts = Counter(line.reason for line in bad)
    first = {line.reason: line.number for line in reversed(bad)}
    shown = [f"line {first[reason]:,}: {reason}" + (f", {count:,} in all" if count > 1 else "") for reason, count in counts.most_common(3)]
    return "; ".join(shown) + (" ..." if len(counts) > 3 else "")


def _advice(bad: list[BadLine]) -> str:
    reason, _ = Counter(line.reason for line in bad).most_common(1)[0]
    if reason == "not a JSON object":
        return 'write each row as an object, such as {"text": "...", "label": "..."}.'
    if reason == "not UTF-8":
        return "save the file as UTF-8, or name its encoding in data.read.encoding, such as cp1251 or shift_jis."
    if reason == "bytes that its encoding does not have":
        return "name the right encoding in data.read.encoding."
    if reason == "a key that comes twice":
        return "leave one of the two in each row."
    if reason == "nested too deeply":
        return "take the value out of its lists and objects."
    if reason.startswith("a row in the form"):
        return "put rows of each form into a file of its own."
    if reason.startswith("longer than"):
        return "divide those rows, or raise data.read.max_line_mib."
    return "mend those lines, or raise data.read.bad_lines."


@dataclass(slots=True)
class _Noted:
    """Counts what a person should know of a file, while it is read."""

    recognised: forms.Recognised
    said: list[str]
    seen: int = 0
    given: int = 0
    without: int = 0
    after: int = 0
    distinct: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, recognised: forms.Recognised, task: Task, asked: Task | None, rows: list[Row], records: list[Record]) -> "_Noted":
        """What the first rows and records tell."""
        said = []
        distinct = len({row.answer for row in rows})
        if recognised.form is forms.LABEL and task is Task.GENERATE and asked is None:
            first = "the first " if len(records) == SAMPLED else ""
            said.append(
                f"{recognised.mapping['label']!r} has {distinct:,} distinct values in {first}{len(rows):,} rows, "
                "so they are taken as texts to generate; set data.task: classify if they are classes."
            )
        if recognised.form in (forms.MESSAGES, forms.COMPLETION):
            marks = [
                column for column in records[0].values if forms.folded(column) == "label" and isinstance(records[0].values[column], bool)
            ]
            if marks:
                said.append(
                    f"{marks[0]!r} marks answers as good or bad and is not read: every answer is taken as one to learn; "
                    "set data.task: prefer to learn from both kinds."
                )
        return cls(recognised, said)

    def see(self, row: Row, record: Record) -> None:
        """One row more."""
        self.seen += 1
        if self.recognised.form is forms.LABELS:
            held = row.labels or ()
            self.given += len(held)
            self.without += not held
            self.distinct.update(held)
        elif self.recognised.form in (forms.MESSAGES, forms.MARKED_MESSAGES):
            self.after += _goes_on(record.values.get(self.recognised.mapping["messages"]))

    def add(self, other: "_Noted") -> None:
        """What was counted of rows that come after these."""
        self.seen += other.seen
        self.given += other.given
        self.without += other.without
        self.after += other.after
        self.distinct |= other.distinct

    def notes(self) -> list[str]:
        """A sentence each."""
        said = list(self.said)
        if self.recognised.form is forms.LABELS:
            column, mark = self.recognised.mapping["labels"], self.recognised.separator
            divided = f"divided at {mark!r}" if mark else "taken as lists, or as one label each"
            said.append(
                f"{column!r} is {divided}: {len(self.distinct):,} labels, {self.given / max(1, self.seen):.1f} a row; "
                f"{self.without:,} of {self.seen:,} rows have none."
            )
        if self.after:
            said.append(f"{self.after:,} conversations go on after the last assistant message; that part is left out.")
        return said


def _goes_on(turns: Any) -> bool:
    last = turns[-1] if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else {}
    return str(last.get("role", last.get("from", ""))).casefold() in ("user", "human", "tool", "function", "observation")
