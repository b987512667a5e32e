"""What a task's answers stand for: how a row's is told, how a model's text is understood, how the base is asked for it.

Text is read leniently (`score.meanings`), and where nothing can be read, the answer is what costs a base least: no label,
or the training rows' mean. A number beyond all those of the training rows is taken for the nearest of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from tunesmith.core.rows import Row
from tunesmith.score.meanings import NONE, read_labels, read_number, write_labels, write_number
from tunesmith.score.prediction import Meaning


class Meant(Protocol):
    """How the answers of one task are understood."""

    def question(self) -> str:
        """What a base that was not trained is asked."""

    def truth(self, row: Row) -> Meaning:
        """What the row's own answer stands for."""

    def understood(self, text: str) -> tuple[Meaning, str]:
        """What a generated text stands for, and how that is shown."""


@dataclass(frozen=True, slots=True)
class LabelSets:
    """Any number of known labels."""

    written: Mapping[str, str]
    """Label -> what is written for it."""

    def question(self) -> str:
        """The labels listed."""
        return f"Name every label that applies to the message, with commas between them, or say {NONE}. Labels: {', '.join(self.written.values())}."

    def truth(self, row: Row) -> Meaning:
        """The row's labels."""
        return row.labels or ()

    def understood(self, text: str) -> tuple[Meaning, str]:
        """The known labels that are named."""
        labels = read_labels(text, self.written)
        return labels, write_labels(labels)


@dataclass(frozen=True, slots=True)
class Numbers:
    """A number within what training rows hold."""

    low: float
    high: float
    mean: float

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Numbers":
        """From training rows."""
        values = [row.value for row in rows if row.value is not None]
        return cls(min(values), max(values), fmean(values))

    def question(self) -> str:
        """The range told."""
        return f"Answer with one number from {write_number(self.low)} to {write_number(self.high)}."

    def truth(self, row: Row) -> Meaning:
        """The row's number."""
        return row.value

    def understood(self, text: str) -> tuple[Meaning, str]:
        """The first number, within the range; the mean where there is none."""
        number = read_number(text)
        value = self.mean if number is None else min(self.high, max(self.low, number))
        return value, write_number(value)
