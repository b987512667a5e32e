"""Texts, the places in them that may be touched, and edits that carry spans along.

A way says what it changes as edits; applying them, moving the spans and bounding the drift is the same for all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Protocol

from tunesmith.core.rows import Span

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
"""Letters, with apostrophes inside."""
NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_KEPT_OUT = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|<[^<>\s][^<>\n]{0,80}>|\{[\w ]{1,40}\}|\[[A-Z][A-Z0-9_]{0,40}\]", re.DOTALL)
"""Code, tags, placeholders, and what `data.anonymise` puts in the place of a value (`[CARD]`, `[BIRTH_DATE]`)."""
_TOKEN = re.compile(r"\S+")
_MEANT = re.compile(r"[\d_]|://|@[^@]*\.|^\W*www\.")
"""What stands in a number, a code, an address: noise there changes what is meant."""
_TURNING = (
    "no not never none nobody nothing neither nor without cannot cant wont dont doesnt isnt arent wasnt didnt shouldnt couldnt"
    " wouldnt havent hasnt"
)
NEGATIONS = frozenset(_TURNING.split())

Edit = tuple[int, int, str]
"""Characters `start` to `end - 1` become the text."""
Bounds = tuple[int, int]


class Way(Protocol):
    """One way to make a text out of another, without an engine."""

    @property
    def name(self) -> str:
        """What made rows are marked with."""

    @property
    def noise(self) -> bool:
        """Whether it makes text worse: such text is for reading, never for answers."""

    @property
    def bound(self) -> str:
        """Which drift is bounded: `letters`, `words`, or `lists` where the lists given are the bound."""

    def edit(self, texts: Sequence[str], spans: Sequence[Bounds], draw: Random) -> list[list[Edit]]:
        """The edits of each text, in order and apart; all empty where the way finds nothing to do.

        Args:
            texts: the text the model reads, then the row's other texts; only the first where the way is noise.
            spans: parts of the first text that are to be found in it; a way that breaks them leaves them alone.
            draw: the row's own stream of chance.
        """


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, and where it stands."""

    start: int
    end: int
    text: str


@lru_cache(maxsize=1024)
def words_to_touch(text: str, spans: tuple[Bounds, ...] = ()) -> tuple[Word, ...]:
    """The words outside code, addresses, tags, whatever holds a digit, and `spans`."""
    closed = sorted(_closed(text) + list(spans))
    found, at, reach = [], 0, 0
    for match in WORD.finditer(text):
        while at < len(closed) and closed[at][0] < match.end():
            reach = max(reach, closed[at][1])  # all that begin before the word ends: does one of them end after it begins?
            at += 1
        if reach <= match.start():
            found.append(Word(match.start(), match.end(), match[0]))
    return tuple(found)


def _closed(text: str) -> list[Bounds]:
    """Code, tags, placeholders, and the tokens that are numbers, codes or addresses; linear in the text."""
    return [match.span() for match in _KEPT_OUT.finditer(text)] + [
        match.span() for match in _TOKEN.finditer(text) if _MEANT.search(match[0])
    ]


def is_negation(word: str) -> bool:
    """Words that turn a sentence round: `not`, `don't`, `without`."""
    plain = word.casefold().replace("’", "'")
    return plain.endswith("n't") or plain.replace("'", "") in NEGATIONS


def apply(text: str, edits: Sequence[Edit]) -> str:
    """The text with the edits made; they are in order and apart."""
    parts, at = [], 0
    for start, end, new in edits:
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def moved_spans(spans: Sequence[Span], edits: Sequence[Edit]) -> tuple[Span, ...] | None:
    """Where the spans stand after the edits; None where an edit crosses a span's end or leaves nothing of it."""
    found = []
    for start, end, label in spans:
        before = grown = 0
        for low, high, new in edits:
            change = len(new) - (high - low)
            if high <= start:
                before += change
            elif start <= low < end and high <= end:
                grown += change
            elif low < end:
                return None
        if end - start + grown <= 0:
            return None
        found.append((start + before, end + before + grown, label))
    return tuple(found)


def like(model: str, word: str) -> str:
    """`word` in the letter case of `model`: all capitals, a capital first, or as it is."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word


def some(items: Sequence[Word], rate: float, most: int, draw: Random) -> list[Word]:
    """A seeded sample of about `rate` of the items, one at least and `most` at most, in order."""
    wanted = min(len(items), max(1, round(rate * len(items))), most)
    return sorted(draw.sample(list(items), wanted), key=lambda word: word.start) if wanted > 0 else []


def allowed(text: str, words_kept: float) -> int:
    """How many words may change so that the share kept holds."""
    return int((1 - words_kept) * len(WORD.findall(text)) + 1e-9)
