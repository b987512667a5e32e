"""Rows and what becomes of them.

A row is one example. It is read once, gets an id that follows it everywhere, and every stage that sees it says
what became of it: kept, changed or dropped, with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """system, user, assistant or tool."""
    content: str


Span = tuple[int, int, str]
"""Start, end and label: characters `start` to `end - 1` of a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One example: what the model is shown, and what it should answer.

    Raw text has an empty prompt and the text as its answer. For classification the answer is the label's name. What other
    tasks ask for stands beside the answer, in `labels`, `value`, `tags`, `rejected` or `wanted`.
    """

    id: str
    """Stable across runs: from the row's content and, among equal rows, its turn. 16 hex digits and `-K` for repeats."""
    prompt: tuple[Message, ...] = ()
    answer: str = ""
    rejected: str | None = None
    """The worse answer, of a preference pair."""
    labels: tuple[str, ...] | None = None
    """All labels that apply, sorted, none twice, of a multi-label row; its answer holds them in words (`score.meanings`)."""
    value: float | None = None
    """The number to be told, of a regression row; its answer is that number written."""
    tags: tuple[Span, ...] | None = None
    """The spans to be found in `text()`, in order and apart from one another; the answer is a rendering for people."""
    wanted: bool | None = None
    """Whether the answer is one to give, of feedback on single answers (KTO); None where nobody said."""
    weight: float = 1.0
    """How much the row counts in training; finite and above 0. No part of what the row is, so repeats may differ in it."""
    source: str = ""
    """File and position the row was read from, as `name.jsonl:17`; for people, never part of identity."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """The other columns, as read: for grouping, slicing and tracing."""

    def text(self) -> str:
        """The last user message, or the answer where there is no prompt: what a classifier reads."""
        for message in reversed(self.prompt):
            if message.role == "user":
                return message.content
        return self.answer

    def target(self) -> dict[str, Any]:
        """What the row asks for beside its words, as JSON values; empty for a plain row. Part of its identity."""
        found: dict[str, Any] = {}
        if self.labels is not None:
            found["labels"] = list(self.labels)
        if self.value is not None:
            found["value"] = self.value
        if self.tags is not None:
            found["tags"] = [list(span) for span in self.tags]
        if self.wanted is not None:
            found["wanted"] = self.wanted
        return found

    def with_text(self, prompt: tuple[Message, ...], answer: str, rejected: str | None) -> Self:
        """The same row with other words; the id stays."""
        return replace(self, prompt=prompt, answer=answer, rejected=rejected)


@dataclass(frozen=True, slots=True)
class Kept:
    """The row passed a stage as it was."""

    row: Row


@dataclass(frozen=True, slots=True)
class Changed:
    """The row passed a stage, rewritten."""

    row: Row
    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The row goes no further."""

    row: Row
    stage: str
    reason: str


Outcome = Kept | Changed | Dropped
