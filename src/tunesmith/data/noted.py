"""What a person should know of how a file was read, counted while it is."""

from dataclasses import dataclass, field
from typing import Any

from tunesmith.core.rows import Row
from tunesmith.data import forms
from tunesmith.data.config import Task
from tunesmith.data.formats import Record


@dataclass(slots=True)
class Noted:
    """Counts what a person should know of a file, while it is read."""

    recognised: forms.Recognised
    said: list[str]
    seen: int = 0
    given: int = 0
    without: int = 0
    after: int = 0
    distinct: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, recognised: forms.Recognised, guessed: Task | None, rows: list[Row], records: list[Record], *, more: bool) -> "Noted":
        """What the first rows and records tell.

        Args:
            guessed: the task, where the recipe names none.
            more: whether the file may hold others.
        """
        said = []
        distinct = len({row.answer for row in rows})
        if recognised.form is forms.LABEL and guessed is Task.GENERATE:
            first = "the first " if more else ""
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

    def add(self, other: "Noted") -> None:
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
