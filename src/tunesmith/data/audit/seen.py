"""What the audit looks at in a row: the texts that may name groups, what is asked for, a number, where and when it is from."""

import math
import re
from datetime import UTC, datetime

from tunesmith.core.rows import Row
from tunesmith.data.chronology import moment
from tunesmith.data.config import Task
from tunesmith.data.filter.answers import refuses

MOST_VALUE = 80
"""Characters of a column's value that are told apart and shown."""
WRITTEN = (Task.GENERATE, Task.PREFER, Task.TEXT)
"""Tasks whose answers are words."""
REFUSAL, WANTED, UNWANTED = "refusal", "wanted", "not wanted"
"""What is counted like a label where answers are words."""
_SECONDS = 1e8
"""Numbers from here on are seconds since 1970 (since March 1973); smaller ones are years, versions, or anything that grows."""
_DATE = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])-[0-3][0-9](?![0-9])")
_MONTHS = 10**6
"""Periods from here on are months: this, and twelve for each year."""


def shown(row: Row) -> list[str]:
    """What the model is shown: every turn but system messages; raw text by itself."""
    return [turn.content for turn in row.prompt if turn.role != "system"] if row.prompt else [row.answer]


def asked(row: Row, task: Task) -> tuple[str, ...]:
    """What is counted like a label: labels, of spans too; whether a judged answer is wanted; whether a written one refuses."""
    if task is Task.CLASSIFY:
        return (row.answer,)
    if row.labels is not None:
        return row.labels
    if task is Task.TAG:
        return tuple({label for _, _, label in row.tags or ()})
    if row.wanted is not None:
        return (WANTED if row.wanted else UNWANTED,)
    return (REFUSAL,) if task is not Task.REGRESS and row.prompt and refuses(row.answer) else ()


def number(row: Row, task: Task) -> float | None:
    """What is averaged: the number to be told, or the natural logarithm of the answer's length; None where neither means anything."""
    if task is Task.REGRESS:
        return row.value
    return math.log1p(len(row.answer)) if task in (Task.GENERATE, Task.PREFER) and row.prompt else None


def stated(row: Row, column: str) -> str | None:
    """A column's value as a group, cut to 80 characters; None where there is none."""
    value = row.fields.get(column)
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return str(value)[:MOST_VALUE]


def came_from(row: Row, column: str | None) -> str | None:
    """The file a row was read from, or what a column says."""
    return stated(row, column) if column is not None else row.source.rpartition(":")[0][-MOST_VALUE:] or None


def period(row: Row, column: str) -> int | None:
    """The month a row is from, as a number that grows by one a month; a small number as it is, rounded down; None where unknown.

    Dates that are written out are of the month they name, whatever their zone.
    """
    value = row.fields.get(column)
    if isinstance(value, str):
        written = _DATE.match(value)
        if written is not None:
            return _MONTHS + 12 * int(written[1]) + int(written[2]) - 1
    if isinstance(value, datetime):
        return _MONTHS + 12 * value.year + value.month - 1
    seconds = moment(value)
    if not math.isfinite(seconds):
        return None
    if abs(seconds) < _SECONDS and not (isinstance(value, str) and "-" in value[1:]):
        return math.floor(seconds)
    try:
        when = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return _MONTHS + 12 * when.year + when.month - 1


def name_of_period(place: int) -> str:
    """A period for people: `2024-03`, or the number."""
    if place < _MONTHS:
        return str(place)
    year, month = divmod(place - _MONTHS, 12)
    return f"{year:04d}-{month + 1:02d}"
