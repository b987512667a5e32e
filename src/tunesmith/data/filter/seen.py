"""What a rule sees of a row: what is shown, what is learned, and whether the answer is a label."""

from typing import NamedTuple

from tunesmith.core.rows import Row
from tunesmith.data.config import Task

_WRITTEN = (Task.GENERATE, Task.PREFER, Task.TEXT)


class Seen(NamedTuple):
    """The texts of a row, once for all rules."""

    text: str
    """The last user message; empty for raw text."""
    answer: str
    """What is to be written; empty where the answer is a label, a number or spans."""
    shown: str
    """All messages but system ones, or the raw text."""
    label: str | None
    """The label of a classification row."""
    labels: tuple[str, ...]
    """The labels of a multi-label row."""

    @property
    def learned(self) -> str:
        """The answer where one is written, else the text that is judged."""
        return self.answer or self.shown


def see(row: Row, task: Task) -> Seen:
    """A row as rules see it."""
    answer = row.answer if task in _WRITTEN else ""
    if not row.prompt:
        return Seen("", answer, answer, None, ())
    turns = [turn.content for turn in row.prompt if turn.role != "system"]
    shown = turns[0] if len(turns) == 1 else "\n".join(turns)
    text = shown if len(turns) == 1 else row.text()
    return Seen(text, answer, shown, row.answer if task is Task.CLASSIFY else None, row.labels or ())
