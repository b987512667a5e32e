"""The list of suspected labels for a person to fill in, and what is done with it: as JSONL or CSV, by the file's ending.

Columns: id, source, text, given, suggested, score, decision, label. `decision` is empty until someone writes `keep`, `drop` or
`fix`; `fix` writes `suggested`, or `label` where that is filled in. Spreadsheets see no formula: such cells start with `'`, which
is taken off again. Rows' texts stand in it, cut to 500 characters, so it is readable by its owner only.
"""

import csv
import io
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from tunesmith.core.errors import DataError, MachineError, RecipeError, did_you_mean
from tunesmith.core.rows import Changed, Dropped, Kept, Outcome, Row
from tunesmith.data.formats.cells import escape_formula
from tunesmith.data.quoting import nearest_label
from tunesmith.data.settings.relabel import RelabelConfig
from tunesmith.score.meanings import write_labels

STAGE = "relabel"
COLUMNS = ("id", "source", "text", "given", "suggested", "score", "decision", "label")
DECISIONS = ("keep", "drop", "fix")
_SHOWN_CHARS = 500
_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Suspect:
    """One row of the list."""

    id: str
    given: str
    """The label it has; for a set of labels the one that may be wrong, or empty where one may be lacking."""
    suggested: str
    """The label that may be right; empty where one is only too many."""
    score: float
    """Probability of the label given, 0 to 1: the lower, the likelier it is wrong."""
    text: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Fix:
    """What becomes of one row: dropped, or one label written for another."""

    given: str = ""
    label: str | None = None
    """The label to write; None drops the row."""


Decisions = Mapping[str, tuple[Fix, ...]]
"""Row id -> what is done."""


def decide(ranked: Iterable[Suspect], config: RelabelConfig, rows: int) -> Decisions:
    """What `action: drop` or `fix` does: the first of the list, at most `share` of all rows; nothing for other actions."""
    if config.action not in ("drop", "fix"):
        return {}
    most = int(config.share * rows + 1e-9)  # 7% of 100 is 7, not a hair more
    found: dict[str, tuple[Fix, ...]] = {}
    for suspect in ranked:
        if suspect.id not in found and len(found) >= most:
            break
        fix = Fix() if config.action == "drop" else Fix(suspect.given, suspect.suggested)
        found[suspect.id] = (fix,) if config.action == "drop" else (*found.get(suspect.id, ()), fix)
    return found


def relabel(rows: Iterable[Row], decisions: Decisions) -> Iterator[Outcome]:
    """Yield exactly one outcome per row, in input order."""
    for row in rows:
        fixes = decisions.get(row.id, ())
        if any(fix.label is None for fix in fixes):
            yield Dropped(row, stage=STAGE, reason="its label looks wrong")
            continue
        changed = row
        for fix in fixes:
            changed = _fixed(changed, fix)
        if row.labels is not None and changed.labels == () and row.labels:
            yield Dropped(row, stage=STAGE, reason="no label of it is left")
        else:
            yield Kept(row) if changed == row else Changed(changed, stage=STAGE, reason="label corrected")


def _fixed(row: Row, fix: Fix) -> Row:
    """The row with a label written for another; a row that no longer has that one stays."""
    label = fix.label or ""
    if row.labels is None:
        return replace(row, answer=label) if row.answer == fix.given and label else row
    if fix.given and fix.given not in row.labels:
        return row
    names = tuple(sorted(({*row.labels} - {fix.given}) | ({label} if label else set())))
    return replace(row, labels=names, answer=write_labels(names))


def write_review(path: Path, ranked: Iterable[Suspect]) -> int:
    """Write the list, whole or not at all; returns its rows. An earlier list at that place is replaced.

    Raises:
        RecipeError: the ending is neither .csv nor .jsonl.
        MachineError: the file can't be written.
    """
    _check_ending(path)
    written = 0
    part = path.with_name(path.name + ".part")
    try:
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            if path.suffix == ".csv":
                csv.writer(file).writerow(COLUMNS)
            for suspect in ranked:
                _write(file, _record(suspect), path.suffix == ".csv")
                written += 1
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise MachineError(f"The list for review can't be written to {path}: {error.strerror or error}.") from None
    return written


def _check_ending(path: Path) -> None:
    if path.suffix not in (".csv", ".jsonl"):
        raise RecipeError(f"data.relabel.review: {path.name} is neither .csv nor .jsonl: name it so.")


def _record(suspect: Suspect) -> dict[str, Any]:
    told = (suspect.id, suspect.source, suspect.text[:_SHOWN_CHARS], suspect.given, suspect.suggested, round(suspect.score, 6), "", "")
    return dict(zip(COLUMNS, told, strict=True))


def _write(file: IO[str], record: dict[str, Any], is_csv: bool) -> None:
    if is_csv:
        csv.writer(file).writerow([_escaped(value) if isinstance(value, str) else value for value in record.values()])
    else:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _escaped(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula. One that starts with `'` gets another, so that taking one off is exact."""
    return f"'{cell}" if cell.startswith("'") else escape_formula(cell)


def _plain(cell: str) -> str:
    """A cell as it was before it was escaped. Some spreadsheets take the sign away themselves."""
    rest = cell[1:]
    return rest if cell.startswith("'") and (rest.startswith("'") or escape_formula(rest) != rest) else cell


def read_review(path: Path, labels: Collection[str]) -> Decisions:
    """What a reviewed list decides. Rows without a decision, and rows to keep, are left out.

    Args:
        path: the list, as .csv or .jsonl.
        labels: the labels that there are; a fix must name one of them.

    Raises:
        RecipeError: it isn't there, or its ending is another.
        DataError: a line that can't be read, a decision or a label that isn't one, or two for the same row that differ.
        MachineError: it may not be read.
    """
    _check_ending(path)
    known = set(labels)
    found: dict[str, tuple[Fix, ...]] = {}
    for line, record in _records(path):
        decision = _told(record, "decision").casefold()
        if decision and decision not in DECISIONS:
            raise DataError(f"{path.name}:{line}: decision must be keep, drop, fix or empty.{did_you_mean(decision[:40], DECISIONS)}")
        if decision in ("", "keep"):
            continue
        row_id, fix = _told(record, "id"), _fix(record, decision, known, f"{path.name}:{line}")
        if any(
            (fix.label is None) != (other.label is None) or (other.given == fix.given and other != fix) for other in found.get(row_id, ())
        ):
            raise DataError(f"{path.name}:{line}: the row has another decision on an earlier line: leave one of them.")
        found[row_id] = (*found.get(row_id, ()), fix)
    return found


def _fix(record: Mapping[str, Any], decision: str, known: set[str], where: str) -> Fix:
    given = _told(record, "given")
    if decision == "drop":
        return Fix()
    label = _told(record, "label") or _told(record, "suggested")
    if label not in known and (label or not given):
        raise DataError(f"{where}: the label to write is none of the set's.{nearest_label(label[:80], known)}")
    return Fix(given, label)


def _told(record: Mapping[str, Any], column: str) -> str:
    value = record.get(column)
    return value.strip() if isinstance(value, str) else "" if value is None else str(value)


def _records(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Line number (that it ends on) and record of each line."""
    text = _text(path)
    lines = _csv_records(text, path) if path.suffix == ".csv" else _json_records(text, path)
    for line, record in lines:
        if not _told(record, "id") or "decision" not in record:
            raise DataError(f"{path.name}:{line}: no id, or no decision column: the list needs both, as it was written.")
        yield line, record


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path.name} holds more than 256 MiB: no list for review does.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise RecipeError(f"data.relabel.review: there is no file {path}. Run with action: report first, and fill in its list.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path.name} is not UTF-8: save it as such.") from None
    except OSError as error:
        raise MachineError(f"{path} can't be read: {error.strerror or error}.") from None


def _csv_records(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    separator = ";" if text[: text.find("\n")].count(";") > text[: text.find("\n")].count(",") else ","  # as some spreadsheets save
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for record in reader:
            yield reader.line_num, {column: _plain(cell) for column, cell in record.items() if column and isinstance(cell, str)}
    except csv.Error:
        raise DataError(f"{path.name}:{reader.line_num}: this line is no CSV.") from None


def _json_records(text: str, path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise DataError(f"{path.name}:{number}: this line is no JSON object.")
        yield number, record
