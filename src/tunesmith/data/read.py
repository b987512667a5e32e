"""Read files into rows. Every record becomes a row or is set aside with its line and the reason; the two add up to what was read."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

from tunesmith.core.errors import DataError, RecipeError
from tunesmith.core.hashing import digest
from tunesmith.core.rows import Row
from tunesmith.data import forms
from tunesmith.data.config import ReadConfig, Task
from tunesmith.data.content import BadRow, Content
from tunesmith.data.formats import BadLine, Record, Source, reader
from tunesmith.data.formats.columnar import plain
from tunesmith.data.shape import shape
from tunesmith.data.source import explained, find
from tunesmith.data.values import few_distinct, separator_of

_SAMPLED = 20_000
"""Values of each column looked at to tell what it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResult:
    """What a file held. `len(rows) + len(bad)` is the number of records read."""

    rows: list[Row]
    """In file order. A value that is missing is an empty text here; the stage `fill` drops such rows with a reason."""
    bad: list[BadLine]
    """What could not be read, in file order."""
    format: str
    """The name of one of `forms.FORMS`: text/label, messages, ..."""
    task: Task
    """The recipe's, or guessed."""
    mapping: dict[str, str]
    """Role -> column."""
    separator: str | None = None
    """What stands between labels that are one text."""
    source: str
    """The path, as it was given."""
    notes: tuple[str, ...]
    """What a person should know of how it was read, a sentence each."""


def read(path: str, config: ReadConfig, task: Task | None, *, seen: Counter[str] | None = None) -> ReadResult:
    """Read a file, a `save_to_disk` folder or the word `sample`.

    Args:
        path: JSONL, JSON, CSV, TSV, Parquet or txt, each also as .gz; a folder; or `sample`.
        config: columns, the share of bad lines allowed, the longest line.
        task: the recipe's, or None to guess it.
        seen: contents already met in other files of the same dataset; updated, so that ids stay unique across them.

    Raises:
        RecipeError: nothing is at the path, its suffix is unknown, or a named column isn't there.
        DataError: it is empty, binary or cut short, its form can't be told, or too many lines are bad.
        MachineError: it may not be read.
    """
    longest = max(1, int(config.max_line_mib * 2**20))
    family, source = find(path, longest)
    if family == "txt" and task not in (None, Task.TEXT):
        raise RecipeError(f"{path} is raw text, which serves data.task: text; {task.value if task else ''} needs rows with columns.")
    records: list[Record] = []
    bad: list[BadLine] = []
    with explained(source.path):
        for item in reader(family)(source):
            records.append(item) if isinstance(item, Record) else bad.append(item)
    if not records:
        raise _nothing(source, bad)
    _check_share(source, bad, len(records) + len(bad), config)
    typical = records if set(config.columns) - {forms.WEIGHT} else _of_commonest_form(records)
    recognised = forms.recognise(_columns(typical), config.columns, task, path)
    if recognised.form is forms.LABELS:
        held = (record.values.get(recognised.mapping["labels"]) for record in records)
        recognised = replace(recognised, separator=config.label_separator or separator_of(held))
    rows, unshaped = _rows(records, recognised, source, Counter() if seen is None else seen)
    bad = sorted([*bad, *unshaped], key=lambda line: line.number)
    _check_share(source, bad, len(records) + len(bad) - len(unshaped), config)
    chosen = task or guess_task(recognised.form, [row.answer for row in rows])
    notes = (*source.notes, *recognised.notes, *_notes(recognised, rows, chosen, task, records))
    return ReadResult(
        rows=rows,
        bad=[replace(line, file=source.path.name) for line in bad],
        format=recognised.form.name,
        task=chosen,
        mapping=recognised.mapping,
        separator=recognised.separator,
        source=path,
        notes=notes,
    )


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
    """Every column with the first of its values."""
    columns: dict[str, list[Any]] = {}
    for record in records:
        for column, value in record.values.items():
            values = columns.setdefault(column, [])
            if len(values) < _SAMPLED:
                values.append(value)
    return columns


def _rows(records: list[Record], recognised: forms.Recognised, source: Source, seen: Counter[str]) -> tuple[list[Row], list[BadLine]]:
    rows: list[Row] = []
    bad: list[BadLine] = []
    other: dict[frozenset[str], str] = {}
    merged = ("instruction", "input", "first", "second")  # one prompt is made of them, so that each is also kept apart, to group by
    used = {column for role, column in recognised.mapping.items() if role not in merged}
    required = [recognised.mapping[role] for role in recognised.form.required]
    for record in records:
        try:
            if not all(column in record.values for column in required):
                _check_form(record.values, recognised.form, other)
            content = shape(recognised.form, recognised.mapping, record.values, recognised.separator)
            rest = {column: plain(value) for column, value in record.values.items() if column not in used}
        except BadRow as error:
            bad.append(BadLine(record.number, str(error), _as_text(record.values)))
            continue
        rows.append(_row(content, rest, f"{source.path.name}:{record.number}", seen))
    return rows, bad


def _check_form(values: Mapping[str, Any], form: forms.Form, known: dict[frozenset[str], str]) -> None:
    """BadRow where a record lacks columns of the file's form and makes another form by itself."""
    columns = frozenset(values)
    if columns not in known:
        known[columns] = ", ".join(sorted(forms.forms_of(columns) - {form.name}))
    if known[columns]:
        raise BadRow(f"a row in the form {known[columns]} in a file of {form.name}")


def _as_text(values: Mapping[str, Any]) -> str:
    return json.dumps(plain(dict(values)), ensure_ascii=False)


def _row(content: Content, fields: dict[str, Any], place: str, seen: Counter[str]) -> Row:
    row = Row(id="", source=place, fields=fields, **{part.name: getattr(content, part.name) for part in dataclass_fields(content)})
    words: list[Any] = [[[turn.role, turn.content] for turn in row.prompt], row.answer, row.rejected]
    target = row.target()
    key = digest([*words, target] if target else words)[:16]
    seen[key] += 1
    turn = seen[key]
    return replace(row, id=key if turn == 1 else f"{key}-{turn}")


def _nothing(source: Source, bad: list[BadLine]) -> DataError:
    if not bad:
        return DataError(f"{source.path} holds no rows: it must hold at least one.")
    return DataError(f"{source.path}: none of its {len(bad):,} lines can be read ({_first(bad)}); {_advice(bad)}")


def _check_share(source: Source, bad: list[BadLine], total: int, config: ReadConfig) -> None:
    """DataError where more lines are bad than the recipe allows."""
    if len(bad) > config.bad_lines * total:
        raise DataError(
            f"{source.path}: {len(bad):,} of {total:,} lines ({len(bad) / total:.1%}) can't be read, and data.read.bad_lines allows "
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
        return "save the file as UTF-8, for example with `iconv -f CP1252 -t UTF-8`."
    if reason.startswith("a row in the form"):
        return "put rows of each form into a file of its own."
    if reason.startswith("longer than"):
        return "divide those rows, or raise data.read.max_line_mib."
    return "mend those lines, or raise data.read.bad_lines."


def _notes(recognised: forms.Recognised, rows: list[Row], task: Task, asked: Task | None, records: list[Record]) -> list[str]:
    notes = []
    distinct = len({row.answer for row in rows})
    if recognised.form is forms.LABEL and task is Task.GENERATE and asked is None:
        notes.append(
            f"{recognised.mapping['label']!r} has {distinct:,} distinct values in {len(rows):,} rows, "
            "so they are taken as texts to generate; set data.task: classify if they are classes."
        )
    if recognised.form in (forms.MESSAGES, forms.COMPLETION):
        marks = [column for column in records[0].values if forms.folded(column) == "label" and isinstance(records[0].values[column], bool)]
        if marks:
            notes.append(
                f"{marks[0]!r} marks answers as good or bad and is not read: every answer is taken as one to learn; set data.task: prefer to learn from both kinds."
            )
    if recognised.form is forms.LABELS:
        notes.append(_labels_note(recognised, rows))
    if recognised.form in (forms.MESSAGES, forms.MARKED_MESSAGES):
        column = recognised.mapping["messages"]
        after = sum(_goes_on(record.values.get(column)) for record in records)
        if after:
            notes.append(f"{after:,} conversations go on after the last assistant message; that part is left out.")
    return notes


def _labels_note(recognised: forms.Recognised, rows: list[Row]) -> str:
    """How labels were told apart, and how many a row has."""
    column, mark = recognised.mapping["labels"], recognised.separator
    held = [row.labels or () for row in rows]
    divided = f"divided at {mark!r}" if mark else "taken as lists, or as one label each"
    count, distinct = sum(map(len, held)), len({label for labels in held for label in labels})
    return (
        f"{column!r} is {divided}: {distinct:,} labels, {count / max(1, len(rows)):.1f} a row; "
        f"{sum(not labels for labels in held):,} of {len(rows):,} rows have none."
    )


def _goes_on(turns: Any) -> bool:
    last = turns[-1] if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else {}
    return str(last.get("role", last.get("from", ""))).casefold() in ("user", "human", "tool", "function", "observation")
