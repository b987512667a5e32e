"""Passages in, items out; and how texts are compared when an answer is looked for in a passage."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

from tunesmith.core.hashing import digest

BLANK = "_____"
"""What stands where a word was left out."""
_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_ALONE = re.compile(r"[%°$€£¥\u3040-\u30ff\u3400-\u9fff]")
"""Signs, and letters of scripts without spaces: a word each."""
_MARKS = re.compile(r"(?:[^\w%°$€£¥+#.-]|(?<!\d)\.|\.(?!\d)|(?<=\w)-|-(?!\d))+")
"""Whatever is no letter, digit or sign, nor the point or the minus of a number."""


class Passage(Protocol):
    """A stretch of a document, as a reader of documents yields it."""

    @property
    def text(self) -> str:
        """What it says."""

    @property
    def source(self) -> str:
        """The document: a file's name. Passages of one source stay on one side of a split."""

    @property
    def position(self) -> str:
        """Where in it, for people: `page 3`, `section 2`."""

    @property
    def title(self) -> str:
        """The document's or section's title; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question, its answer, and the passage both rest on."""

    kind: str
    """cloze, definitions, questions, flashcards or choices."""
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    """The answer among wrong ones, in the order to be shown; empty for an open question."""
    passage: str
    source: str
    position: str = ""
    title: str = ""
    id: str = field(default="")
    """16 hex digits of all the above."""

    @property
    def wrong(self) -> tuple[str, ...]:
        """The choices that are not the answer."""
        left = list(self.choices)
        if self.answer in left:
            left.remove(self.answer)
        return tuple(left)


def item(passage: Passage, kind: str, question: str, answer: str, choices: tuple[str, ...] = ()) -> Item:
    """An item on a passage, with its id."""
    made = Item(
        kind=kind,
        question=question,
        answer=answer,
        choices=choices,
        passage=passage.text,
        source=str(passage.source),
        position=str(passage.position),
        title=str(passage.title),
    )
    parts = [made.kind, made.question, made.answer, list(made.choices), made.passage, made.source, made.position]
    return replace(made, id=digest(parts)[:16])


def plain(text: str) -> str:
    """Words and numbers alone, folded, with one space between: `The 1,200.0 "cats"!` is `the 1200 cats`."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("−", "-")
    text = _MARKS.sub(" ", _NUMBER.sub(lambda match: _value(match[0]), text))
    return " ".join(_ALONE.sub(r" \g<0> ", text).split())


def numbers_in(text: str) -> frozenset[str]:
    """The numbers of a text, without separators of thousands or zeros after the point."""
    return frozenset(_value(match[0]) for match in _NUMBER.finditer(text))


def _value(number: str) -> str:
    whole, _, part = number.replace(",", "").partition(".")
    part = part.rstrip("0")
    return (whole.lstrip("0") or "0") + (f".{part}" if part else "")


def holds(passage: str, answer: str) -> bool:
    """Whether the answer stands in the passage word for word, marks and letter case aside; its numbers must be equal ones."""
    wanted = plain(answer)
    return bool(wanted) and f" {wanted} " in _padded(passage)


@lru_cache(maxsize=8)
def _padded(passage: str) -> str:
    """A passage is asked about many times in a row."""
    return f" {plain(passage)} "


def to_json(one: Item) -> Mapping[str, Any]:
    """All of an item as JSON values."""
    return {
        "id": one.id,
        "kind": one.kind,
        "question": one.question,
        "answer": one.answer,
        "choices": list(one.choices),
        "passage": one.passage,
        "source": one.source,
        "position": one.position,
        "title": one.title,
    }
